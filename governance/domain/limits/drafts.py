"""What is asked for of a model limit: a draft of a new one, a change of a stored one; what is wrong with a draft."""

from collections.abc import Iterator
from typing import NamedTuple

from governance.domain.errors import Fault
from governance.domain.limits.alignment import CalendarSetting, limit_flag
from governance.domain.limits.durations import Duration
from governance.domain.limits.item_matching import Windows
from governance.domain.limits.limit import Metric, Scope
from governance.domain.names import Identity

UTC = "UTC"
"""The zone of a limit that names none, and of every one that is not aligned."""
NOT_ALIGNABLE = (
    "Give at least one window as a whole number of d, w, M or Y, such as 1d or 1M, or leave calendar_aligned out: "
    "no window of this limit can be aligned to the calendar."
)
NOT_ALIGNED = (
    "Give calendar_aligned as true too, or leave timezone out: only windows that follow the calendar have a time zone."
)


class RuleSpec(NamedTuple):
    """A wanted maximum with its window: nano-dollars, tokens or requests."""

    metric: Metric
    max_limit: int
    duration: Duration


class DraftItem(NamedTuple):
    """A wanted budget (one ceiling) or rate limit (one or two), with the id of the stored one it stands for.

    `aligned` is what it says itself of the calendar, which is a setting of its limit (`alignment`).
    """

    id: str | None
    ceilings: tuple[RuleSpec, ...]
    aligned: bool | None = None

    @property
    def windows(self) -> Windows:
        """The item's windows by metric and length: what matches it to a stored one where no id does."""
        return frozenset((ceiling.metric, ceiling.duration.length) for ceiling in self.ceilings)

    def said(self, path: str) -> CalendarSetting:
        """What it says of the calendar; `path` is where it stands."""
        durations = tuple(ceiling.duration for ceiling in self.ceilings)
        return CalendarSetting(f"{path}.calendar_aligned", self.aligned is True, durations)


class LimitDraft(NamedTuple):
    """A limit as it is asked for. `single` names the lists that were given as a singular."""

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
        """All wanted budgets and rate limits."""
        return self.budgets + self.rate_limits

    @property
    def alignable(self) -> bool:
        """Whether any of its windows can be aligned to the calendar."""
        return any(ceiling.duration.alignable for item in self.items for ceiling in item.ceilings)

    def aligned(self, *, inherited: bool) -> bool:
        """Whether its windows follow the calendar, given its virtual key's flag."""
        return inherited and self.alignable if self.calendar_aligned is None else self.calendar_aligned

    @property
    def identity(self) -> Identity:
        """What no second limit may share."""
        return Identity.of(self.scope, self.scope_id, self.provider, self.model_name)


class LimitChange(NamedTuple):
    """An edit of a stored limit; None leaves a thing as it is. `single` names the lists given as a singular.

    `reset` are the metrics of which it zeroes what is used.
    """

    identity: dict[str, str]
    calendar_aligned: bool | None
    timezone: str | None
    budgets: tuple[DraftItem, ...] | None
    rate_limits: tuple[DraftItem, ...] | None
    single: frozenset[str]
    reset: frozenset[Metric]


def flagged(asked: LimitDraft | LimitChange) -> Iterator[tuple[str, DraftItem]]:
    """The items that say something of the calendar themselves, each with its path."""
    for name, items in (("budgets", asked.budgets), ("rate_limits", asked.rate_limits)):
        for index, item in enumerate(items or ()):
            if item.aligned is not None:
                yield (name.removesuffix("s") if name in asked.single else f"{name}[{index}]"), item


def drafted_flag(draft: LimitDraft, *, inherited: bool = True) -> tuple[bool | None, list[Fault]]:
    """The calendar flag that a draft asks for, which its budgets may set too; and what is wrong with the draft.

    `inherited` is its virtual key's flag: true where it is not known.
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
