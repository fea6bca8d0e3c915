"""Matches the budgets and rate limits of an edit to stored ones.

A matched item keeps its counter. The functions are pure.
"""

from collections.abc import Iterable, Mapping, Sequence

from governance.domain.limits.limit import Rule

Window = tuple[str, int]
"""A metric, and the length of a window in microseconds."""
Windows = frozenset[Window]
RuleKey = tuple[str, str]


def windows_of(rules: Iterable[Rule]) -> Windows:
    """Return the windows of rules, by metric and length."""
    return frozenset(_window(rule) for rule in rules)


def match(
    stored: Mapping[str, Windows], wanted: Sequence[tuple[str | None, Windows]], *, single: bool = False
) -> list[str | None]:
    """Return, for each requested item (id, windows), the id of the stored item that it replaces.

    For a new item the id is None. An item with an id replaces the stored item with that id. An item that was sent as a
    single object (`single`) without an id replaces the only stored item, whatever its window is. All other items are
    matched by equal windows. The pair with the largest number of equal windows is matched first. Ties are resolved by
    the order of the requested items, then by the order of the stored items.
    """
    found = [item_id for item_id, _ in wanted]
    if single and found == [None] and len(stored) == 1:
        return list(stored)
    named = {item_id: windows for item_id, windows in wanted if item_id is not None}
    asked = _union(_without(windows, stored.get(item_id or "")) for item_id, windows in wanted)
    released = _union(_without(windows, named.get(item_id)) for item_id, windows in stored.items())
    pairs = [
        (-len(windows & held), place, number, stored_id)
        for place, (item_id, windows) in enumerate(wanted)
        for number, (stored_id, held) in enumerate(stored.items())
        if item_id is None and stored_id not in named and _is_match(windows, held, asked, released)
    ]
    taken: set[str] = set()
    for _, place, _, stored_id in sorted(pairs):
        if found[place] is None and stored_id not in taken:
            found[place] = stored_id
            taken.add(stored_id)
    return found


def predecessors(before: Sequence[Rule], after: Sequence[Rule]) -> dict[RuleKey, Rule]:
    """Return, by the key of each rule after an edit, the earlier rule whose counters it continues.

    The earlier rule has the same key. If no rule has that key, it is a removed rule with the same metric and length. So
    a request window that moves from one rate limit to another keeps its usage.
    """
    known = {rule.key: rule for rule in before}
    kept = {rule.key for rule in after}
    gone = {_window(rule): rule for rule in before if rule.key not in kept}
    found = {rule.key: known.get(rule.key) or gone.pop(_window(rule), None) for rule in after}
    return {key: rule for key, rule in found.items() if rule is not None}


def _is_match(wanted: Windows, held: Windows, asked: Windows, released: Windows) -> bool:
    """Return whether an item without an id may replace a stored item.

    They must share a window. They may differ in another window, which then counts as an edit of its duration, under two
    conditions. No other requested item has the stored window (`asked`). No other stored item has the requested window
    (`released`). Otherwise the counter moves with its window: see `predecessors`.
    """
    differing = [(new, old) for new in wanted for old in held if new[0] == old[0] and new != old]
    return bool(wanted & held) and all(old not in asked and new not in released for new, old in differing)


def _without(windows: Windows, kept: Windows | None) -> Windows:
    """Return the windows whose metrics are not in `kept`, the windows of the item that was matched by id."""
    metrics = {metric for metric, _ in kept or ()}
    return frozenset(window for window in windows if window[0] not in metrics)


def _union(each: Iterable[Windows]) -> Windows:
    return frozenset().union(*each)


def _window(rule: Rule) -> Window:
    return rule.metric, rule.duration.length
