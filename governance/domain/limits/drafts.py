"""A requested new limit (draft), the requested change of a stored limit, and the faults in a draft's calendar settings.

`calendar_aligned` says whether the windows of a limit follow the calendar. A budget or a rate limit is called an item.
"""

from collections.abc import Iterator
from typing import NamedTuple

from governance.domain.errors import Fault
from governance.domain.limits.alignment import CalendarSetting, limit_flag
from governance.domain.limits.durations import Duration
from governance.domain.limits.item_matching import Windows
from governance.domain.limits.limit import Metric, Scope
from governance.domain.names import Identity

UTC = "UTC"
"""The time zone of a limit that names no time zone, and of every limit that is not calendar-aligned."""
NOT_ALIGNABLE = (
    "Give at least one window as a whole number of d, w, M or Y, such as 1d or 1M, or leave calendar_aligned out: "
    "no window of this limit can be aligned to the calendar."
)
NOT_ALIGNED = (
    "Give calendar_aligned as true too, or leave timezone out: only windows that follow the calendar have a time zone."
)


class RuleSpec(NamedTuple):
    """A requested maximum (nano-dollars, tokens or requests) and its window."""

    metric: Metric
    max_limit: int
    duration: Duration


class DraftItem(NamedTuple):
    """A requested budget (one maximum) or rate limit (one or two maximums).

    If `id` is given, this item replaces the stored item with that id. `aligned` is the value of `calendar_aligned` in
    this item, or None. The value applies to the whole limit (see the module `alignment`).
    """

    id: str | None
    ceilings: tuple[RuleSpec, ...]
    aligned: bool | None = None

    @property
    def windows(self) -> Windows:
        """The item's windows, by metric and length.

        If the item has no id, it is matched with a stored item by these windows.
        """
        return frozenset((ceiling.metric, ceiling.duration.length) for ceiling in self.ceilings)

    def said(self, path: str) -> CalendarSetting:
        """Return the item's `calendar_aligned`. `path` is the item's path in the body, for example `budgets[0]`."""
        durations = tuple(ceiling.duration for ceiling in self.ceilings)
        return CalendarSetting(f"{path}.calendar_aligned", self.aligned is True, durations)


class LimitDraft(NamedTuple):
    """A requested new limit.

    `single` contains the names of the lists that were sent as one object, for example as `budget` instead of `budgets`.
    """

    model_name: str
    provider: str | None
    scope: Scope
    scope_id: str | None
    calendar_aligned: bool | None
    timezone: str
    budgets: tuple[DraftItem, ...]
    rate_limits: tuple[DraftItem, ...]
    single: frozenset[str] = frozenset()

    @property
    def items(self) -> tuple[DraftItem, ...]:
        """All requested budgets and rate limits."""
        return self.budgets + self.rate_limits

    @property
    def alignable(self) -> bool:
        """Whether at least one window can follow the calendar."""
        return any(ceiling.duration.alignable for item in self.items for ceiling in item.ceilings)

    def aligned(self, *, inherited: bool) -> bool:
        """Return whether the windows follow the calendar.

        `inherited` is `calendar_aligned` of the virtual key. It is used if the draft does not set `calendar_aligned`.
        """
        return inherited and self.alignable if self.calendar_aligned is None else self.calendar_aligned

    @property
    def identity(self) -> Identity:
        """The scope, scope id, provider and model of the limit. No two limits have the same identity."""
        return Identity.of(self.scope, self.scope_id, self.provider, self.model_name)


class LimitChange(NamedTuple):
    """An edit of a stored limit.

    A field that is None stays unchanged. `single` has the same meaning as in LimitDraft. `reset` contains the metrics
    whose usage becomes 0.
    """

    identity: dict[str, str]
    calendar_aligned: bool | None
    timezone: str | None
    budgets: tuple[DraftItem, ...] | None
    rate_limits: tuple[DraftItem, ...] | None
    single: frozenset[str]
    reset: frozenset[Metric]


def flagged(asked: LimitDraft | LimitChange) -> Iterator[tuple[str, DraftItem]]:
    """Yield the items that set `calendar_aligned`, each with its path in the body."""
    for name, items in (("budgets", asked.budgets), ("rate_limits", asked.rate_limits)):
        for index, item in enumerate(items or ()):
            if item.aligned is not None:
                yield (name.removesuffix("s") if name in asked.single else f"{name}[{index}]"), item


def drafted_flag(draft: LimitDraft, *, inherited: bool = True) -> tuple[bool | None, list[Fault]]:
    """Return `calendar_aligned` of a draft, and the faults.

    The draft or one of its items may set `calendar_aligned`. `inherited` is the setting of the virtual key. Pass True
    if the virtual key is not known.
    """
    flag, faults = draft.calendar_aligned, list[Fault]()
    said = [item.said(path) for path, item in flagged(draft)]
    if said:
        flag, faults = limit_flag(flag, said)
    if flag and not draft.alignable:
        return flag, [*faults, Fault("calendar_aligned", NOT_ALIGNABLE)]
    inherited = inherited and draft.scope == Scope.VIRTUAL_KEY
    if draft.timezone != UTC and not draft._replace(calendar_aligned=flag).aligned(inherited=inherited):
        faults.append(Fault("timezone", NOT_ALIGNED))
    return flag, faults
