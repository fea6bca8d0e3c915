"""Creates and changes model limits: computes the limit to store from a request and the stored limit.

The functions are pure: the function that makes new ids, and the time, are arguments. The storage layer writes only the
differences between the two limits. A rule is one maximum and the length of its windows. An item is a budget (one rule)
or a rate limit (one or two rules). A counter contains the usage of one rule in one window. A rule finds its counters by
its anchor, from which its windows are counted, and by its generation, a number that rises when its windows change.
"""

from collections.abc import Callable, Iterable, Sequence

from governance.domain.errors import Fault, InvalidRequest
from governance.domain.limits.alignment import limit_flag
from governance.domain.limits.drafts import (
    NOT_ALIGNABLE,
    NOT_ALIGNED,
    UTC,
    DraftItem,
    LimitChange,
    LimitDraft,
    drafted_flag,
    flagged,
)
from governance.domain.limits.item_matching import match, predecessors, windows_of
from governance.domain.limits.limit import Limit, Metric, Rule, Scope, in_order, rules_by_id
from governance.domain.limits.windows import Alignment, Frame
from governance.domain.names import Identity, fold

NewId = Callable[[], str]


def created(draft: LimitDraft, *, inherited: bool, now: int, new_id: NewId) -> Limit:
    """Build a limit from a draft.

    `inherited` is `calendar_aligned` of the virtual key: whether windows follow the calendar. It is used if the draft
    does not set `calendar_aligned`. Raises InvalidRequest.
    """
    flag, faults = drafted_flag(draft, inherited=inherited)
    if faults:
        raise InvalidRequest.of(faults)
    limit_id = new_id()
    rules = in_order(rule for item in draft.items for rule in _new_rules(item, now, new_id))
    return Limit(
        id=limit_id,
        model_name=draft.model_name,
        provider=draft.provider,
        scope=draft.scope,
        scope_id=draft.scope_id,
        calendar_aligned=draft._replace(calendar_aligned=flag).aligned(inherited=inherited),
        timezone=draft.timezone,
        config_hash=None,
        created_at=now,
        updated_at=now,
        version=1,
        search_name=fold(draft.model_name),
        rules=rules,
    )


NONE_KEPT = (
    "Give calendar_aligned as false too, or keep a window of a whole number of d, w, M or Y: "
    "no window that this edit leaves can be aligned to the calendar."
)


def changed(limit: Limit, change: LimitChange, *, now: int, new_id: NewId) -> Limit:
    """Return the limit after an edit. If the edit changes nothing, return `limit` itself. Raises InvalidRequest."""
    flag, faults = _edited_flag(limit, change)
    change = change._replace(calendar_aligned=flag)
    faults += [*_identity_faults(limit, change), *_item_faults(limit, change), *_zone_faults(limit, change)]
    if faults:
        raise InvalidRequest.of(faults)
    wanted = _retuned(limit, change, _wanted_rules(limit, change, now, new_id))
    if wanted == limit:
        return limit
    windows = [rule.duration for rule in wanted.rules]
    turned_on = wanted.calendar_aligned and not limit.calendar_aligned
    if wanted.calendar_aligned and (windows or turned_on) and not any(window.alignable for window in windows):
        sentence = NOT_ALIGNABLE if change.calendar_aligned else NONE_KEPT
        raise InvalidRequest(sentence, param="calendar_aligned")
    return wanted._replace(updated_at=now, version=limit.version + 1)


def _edited_flag(limit: Limit, change: LimitChange) -> tuple[bool | None, list[Fault]]:
    """Return `calendar_aligned` after the edit, and the faults.

    A client may send stored items back unchanged, with the stored value of `calendar_aligned`. If the edit also sets
    `calendar_aligned` for the limit itself, the values in those unchanged items are ignored.
    """
    shown = {(rule.id, limit.calendar_aligned and rule.duration.alignable) for rule in limit.rules}
    given = change.calendar_aligned
    said = [item.said(path) for path, item in flagged(change) if given is None or (item.id, item.aligned) not in shown]
    return limit_flag(given, said)


def _identity_faults(limit: Limit, change: LimitChange) -> Iterable[Fault]:
    """Yield a fault for each field of the identity that differs from the stored field.

    The identity of a limit (its scope, scope id, provider and model) cannot change. The values are compared in
    canonical form, so another spelling of the same model is not a fault.
    """
    stored = {name: getattr(limit, name) for name in ("model_name", "provider", "scope", "scope_id")}
    for name, value in change.identity.items():
        if limit.scope == Scope.GLOBAL and name == "scope_id":
            continue
        if Identity.of(**stored | {name: value}) != limit.identity:
            yield Fault(name, f"Leave {name} as it was: it is fixed when a model limit is created. Create another one.")


def _zone_faults(limit: Limit, change: LimitChange) -> Iterable[Fault]:
    """Yield a fault for a time zone if the limit is not calendar-aligned.

    UTC and the stored time zone are always accepted.
    """
    aligned = limit.calendar_aligned if change.calendar_aligned is None else change.calendar_aligned
    if not aligned and change.timezone not in (None, UTC, limit.timezone):
        yield Fault("timezone", NOT_ALIGNED)


def _item_faults(limit: Limit, change: LimitChange) -> Iterable[Fault]:
    for name, items in (("budgets", change.budgets), ("rate_limits", change.rate_limits)):
        if items is None:
            continue
        stored = {rule.id for rule in limit.rules if (rule.metric == Metric.COST) == (name == "budgets")}
        singular = name in change.single
        where = name.removesuffix("s")
        if singular and len(stored) > 1:
            yield Fault(
                where, f"Send the whole list, {name}: this limit has {len(stored)}, and {where} stands for one."
            )
        named = [item.id for item in items]
        for index, item_id in enumerate(named):
            path = f"{where}.id" if singular else f"{name}[{index}].id"
            if item_id is not None and item_id not in stored:
                yield Fault(path, f"Leave the id out to add one: '{item_id}' is none of this limit's {name}.")
            elif item_id is not None and item_id in named[:index]:
                yield Fault(path, f"Give each id once: '{item_id}' stands twice among the {name}.")


def _wanted_rules(limit: Limit, change: LimitChange, now: int, new_id: NewId) -> tuple[Rule, ...]:
    budgets = [rule for rule in limit.rules if rule.metric == Metric.COST]
    rates = [rule for rule in limit.rules if rule.metric != Metric.COST]
    single = [name in change.single for name in ("budgets", "rate_limits")]
    rules = in_order(
        (
            *_merged(budgets, change.budgets, now, new_id, single=single[0]),
            *_merged(rates, change.rate_limits, now, new_id, single=single[1]),
        )
    )
    before = predecessors(limit.rules, rules)
    return tuple(_continued(rule, before.get(rule.key)) for rule in rules)


def _merged(
    stored: Sequence[Rule], wanted: Sequence[DraftItem] | None, now: int, new_id: NewId, *, single: bool
) -> Iterable[Rule]:
    """Yield the rules of the requested items.

    A requested item that matches a stored item gets the id of the stored item. All other items get new ids.
    """
    if wanted is None:
        yield from stored
        return
    items = rules_by_id(stored)
    windows = {key: windows_of(rules) for key, rules in items.items()}
    keys = match(windows, [(item.id, item.windows) for item in wanted], single=single)
    for key, item in zip(keys, wanted, strict=True):
        yield from _new_rules(item, now, new_id) if key is None else _same_item(items[key], item, now)


def _continued(rule: Rule, before: Rule | None) -> Rule:
    """Return the rule with the anchor and the generation of `before`, so that it continues to use the same counters."""
    return rule if before is None else rule._replace(anchor=before.anchor, generation=before.generation)


def _new_rules(item: DraftItem, now: int, new_id: NewId) -> list[Rule]:
    rule_id = new_id()
    return [
        Rule(rule_id, ceiling.metric, ceiling.max_limit, ceiling.duration.text, now, 0, None, now, now)
        for ceiling in item.ceilings
    ]


def _same_item(stored: list[Rule], item: DraftItem, now: int) -> Iterable[Rule]:
    """Yield the rules of a stored item with the requested maximums.

    If the item gets a rule of a new metric, that rule gets a new anchor: the instant from which its windows are
    counted.
    """
    known = {rule.metric: rule for rule in stored}
    ceilings = {(c.metric, c.max_limit, c.duration.text) for c in item.ceilings}
    edited = ceilings != {(rule.metric, rule.max_limit, rule.reset_duration) for rule in stored}
    updated_at = now if edited else stored[0].updated_at
    fresh = stored[0]._replace(anchor=now, generation=0)
    for metric, max_limit, duration in item.ceilings:
        yield known.get(metric, fresh)._replace(
            metric=metric, max_limit=max_limit, reset_duration=duration.text, updated_at=updated_at
        )


def _retuned(limit: Limit, change: LimitChange, rules: tuple[Rule, ...]) -> Limit:
    """Return the limit with the requested settings.

    If the windows of a rule change, its generation rises by 1. A counter belongs to one generation, so the rule then
    gets new counters.
    """
    aligned = limit.calendar_aligned if change.calendar_aligned is None else change.calendar_aligned
    zone = change.timezone or limit.timezone if aligned else UTC
    after = limit._replace(calendar_aligned=aligned, timezone=zone)
    kept = predecessors(limit.rules, rules)
    before = {key: rule.frame(limit.alignment) for key, rule in kept.items()}
    return after._replace(rules=tuple(_regenerated(rule, before.get(rule.key), after.alignment) for rule in rules))


def _regenerated(rule: Rule, before: Frame | None, alignment: Alignment) -> Rule:
    if before is None or before == rule.frame(alignment):
        return rule
    return rule._replace(generation=rule.generation + 1)
