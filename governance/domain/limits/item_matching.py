"""Finds which stored budget or rate limit each budget or rate limit of an edit replaces.

An item is a budget or a rate limit. It has one or two rules. A rule sets a maximum of dollars, tokens or requests in a
time window. An item that replaces a stored item keeps the stored usage. The functions are pure.
"""

from collections.abc import Iterable, Mapping, Sequence

from governance.domain.limits.limit import Rule

Window = tuple[str, int]
"""What a rule counts (the metric), and the length of the rule's window in microseconds."""
Windows = frozenset[Window]
RuleKey = tuple[str, str]


def windows_of(rules: Iterable[Rule]) -> Windows:
    """Return the set of (metric, window length) of rules."""
    return frozenset(_window(rule) for rule in rules)


def match(
    stored: Mapping[str, Windows], wanted: Sequence[tuple[str | None, Windows]], *, single: bool = False
) -> list[str | None]:
    """For each requested item (id, windows), return the id of the stored item that it replaces.

    For a new item, return None. A requested item with an id replaces the stored item with that id. `single` means that
    the request contains one object instead of a list. If this object has no id and only one item is stored, it replaces
    the stored item, even if their windows differ. All other items are matched by equal windows. The pair with the most
    equal windows is matched first. Between pairs with the same number, the order of the requested items decides, then
    the order of the stored items.
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
    """For each rule after an edit, return the rule before the edit whose usage it keeps.

    The keys of the result are the keys of the rules after the edit. The value is the rule before the edit with the same
    key. If no rule before the edit has this key, the value is a removed rule with the same metric and window length. So
    a window that counts requests keeps its usage when it moves from one rate limit to another. A rule that keeps no
    usage is not in the result.
    """
    known = {rule.key: rule for rule in before}
    kept = {rule.key for rule in after}
    gone = {_window(rule): rule for rule in before if rule.key not in kept}
    found = {rule.key: known.get(rule.key) or gone.pop(_window(rule), None) for rule in after}
    return {key: rule for key, rule in found.items() if rule is not None}


def _is_match(wanted: Windows, held: Windows, asked: Windows, released: Windows) -> bool:
    """Return whether an item without an id may replace a stored item.

    `wanted` contains the windows of the requested item, and `held` those of the stored item. They must have a window in
    common. For the other metric, their window lengths may differ. The difference then counts as an edit of the length.
    The difference is allowed if no other requested item has the stored window (`asked`) and no other stored item has
    the requested window (`released`). Otherwise the usage moves with the window to the other item: see `predecessors`.
    """
    differing = [(new, old) for new in wanted for old in held if new[0] == old[0] and new != old]
    return bool(wanted & held) and all(old not in asked and new not in released for new, old in differing)


def _without(windows: Windows, kept: Windows | None) -> Windows:
    """Return the windows whose metric does not occur in `kept`.

    `kept` contains the windows of the item with the same id. It is None if there is no such item.
    """
    metrics = {metric for metric, _ in kept or ()}
    return frozenset(window for window in windows if window[0] not in metrics)


def _union(each: Iterable[Windows]) -> Windows:
    return frozenset().union(*each)


def _window(rule: Rule) -> Window:
    return rule.metric, rule.duration.length
