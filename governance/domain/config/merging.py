"""Merges a stored limit with its entry in a config file.

Only the parts that have changed in the file change the stored limit. A part has not changed in the file if the hash of
its entry equals the stored hash. Then the stored values stay, even if they were changed through the API.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from governance.domain.config.entries import WantedItem, WantedLimit, item_id
from governance.domain.errors import InvalidRequest
from governance.domain.limits.drafts import DraftItem, LimitChange, RuleSpec
from governance.domain.limits.edits import changed, created
from governance.domain.limits.item_matching import match, windows_of
from governance.domain.limits.limit import MAX_ITEMS, Limit, Metric, Rule, rules_by_id


class MergeContext(NamedTuple):
    """The settings of a merge, besides the limit and its entry.

    `taken` contains the ids of other limits' budgets and rate limits. `inherited` is `calendar_aligned` of the limit's
    virtual key: whether windows follow the calendar. `now` is in microseconds.
    """

    taken: set[str]
    inherited: bool
    now: int


class _Part(NamedTuple):
    """A budget or rate limit to store, with its entry in the file.

    `wanted` is None if the file contains no such entry.
    """

    item: DraftItem
    wanted: WantedItem | None


def new_limit(wanted: WantedLimit, own_id: str, setting: MergeContext) -> Limit:
    """Build a new limit for an entry that matches no stored limit."""
    ids = _new_ids(own_id, wanted.items, setting.taken)
    new_id = iter([own_id, *ids]).__next__
    made = created(wanted.draft, inherited=setting.inherited, now=setting.now, new_id=new_id)
    return _hashed(made, wanted, dict(zip(ids, wanted.items, strict=True)))


def merged(limit: Limit, wanted: WantedLimit, setting: MergeContext) -> Limit:
    """Merge a stored limit with its entry. If the result would be invalid, return the limit as it is in the file."""
    try:
        result = _merged(limit, wanted, setting, whole=False)
    except InvalidRequest:
        return as_written(limit, wanted, setting)
    return result if _is_valid(result) else as_written(limit, wanted, setting)


def as_written(limit: Limit, wanted: WantedLimit, setting: MergeContext) -> Limit:
    """Return the stored limit with exactly the values of its entry, without any edits made through the API."""
    return _merged(limit, wanted, setting, whole=True)


def _merged(limit: Limit, wanted: WantedLimit, setting: MergeContext, *, whole: bool) -> Limit:
    same = not whole and limit.config_hash == wanted.config_hash
    budgets = list(_parts(limit, wanted, "budgets", whole=whole, same=same))
    rates = list(_parts(limit, wanted, "rate_limits", whole=whole, same=same))
    aligned = wanted.draft.aligned(inherited=setting.inherited)
    change = LimitChange(
        identity={},
        calendar_aligned=None if same else aligned,
        timezone=None if same else wanted.draft.timezone,
        budgets=tuple(part.item for part in budgets),
        rate_limits=tuple(part.item for part in rates),
        single=frozenset(),
        reset=frozenset(),
    )
    fresh = [part.wanted for part in (*budgets, *rates) if part.item.id is None and part.wanted is not None]
    ids = _new_ids(limit.id, fresh, setting.taken)
    after = changed(limit, change, now=setting.now, new_id=iter(ids).__next__)
    by_id = {part.item.id: part.wanted for part in (*budgets, *rates) if part.item.id and part.wanted}
    return _hashed(after, wanted, by_id | dict(zip(ids, fresh, strict=True)))


def _parts(limit: Limit, wanted: WantedLimit, kind: str, *, whole: bool, same: bool) -> Iterator[_Part]:
    """Yield the budgets or the rate limits (items) to store.

    The items of the file are matched with stored items as in an edit through the API. If `same` is true, the entry of
    the limit has not changed. Then the stored items that no file created are yielded too.
    """
    items = wanted.budgets if kind == "budgets" else wanted.rate_limits
    stored = rules_by_id(rule for rule in limit.rules if (rule.metric == Metric.COST) == (kind == "budgets"))
    for row_id, item in zip(_matched(stored, items, single=kind in wanted.draft.single), items, strict=True):
        rules = stored.pop(row_id) if row_id is not None else []
        kept = not whole and rules != [] and rules[0].config_hash == item.config_hash
        yield _Part(DraftItem(row_id, _ceilings(rules) if kept else item.ceilings), item)
    for row_id, rules in stored.items():
        if same and rules[0].config_hash is None:
            yield _Part(DraftItem(row_id, _ceilings(rules)), None)


def _matched(stored: Mapping[str, list[Rule]], items: Iterable[WantedItem], *, single: bool) -> list[str | None]:
    """Return, for each item in the file, the id of the stored item that it matches, or None.

    If the id of an item in the file is not stored, the item is matched by its windows.
    """
    windows = {row_id: windows_of(rules) for row_id, rules in stored.items()}
    wanted = [(item.id if item.id in stored else None, item.item.windows) for item in items]
    return match(windows, wanted, single=single)


def _ceilings(rules: Iterable[Rule]) -> tuple[RuleSpec, ...]:
    return tuple(RuleSpec(Metric(rule.metric), rule.max_limit, rule.duration) for rule in rules)


def _is_valid(limit: Limit) -> bool:
    """Return whether no two rules share a window, and there are at most MAX_ITEMS budgets and MAX_ITEMS rate limits."""
    windows = [(rule.metric, rule.duration.length) for rule in limit.rules]
    budgets = sum(rule.metric == Metric.COST for rule in limit.rules)
    rates = {rule.id for rule in limit.rules if rule.metric != Metric.COST}
    return len(set(windows)) == len(windows) and max(budgets, len(rates)) <= MAX_ITEMS


def _new_ids(owner: str, items: Iterable[WantedItem], taken: set[str]) -> list[str]:
    """Return the ids of new items.

    An item (a budget or a rate limit) keeps its id from the file. If another item has the same id, a new id is derived
    from that id.
    """
    ids: list[str] = []
    for item in items:
        own_id = item.id
        while own_id in taken or own_id in ids:
            own_id = item_id(f"{owner} {own_id}", item.item)
        ids.append(own_id)
    return ids


def _hashed(limit: Limit, wanted: WantedLimit, items: Mapping[str, WantedItem]) -> Limit:
    """Return the limit with the hash of its entry. The rules whose ids are in `items` get the hashes of these items."""
    rules = (
        rule._replace(config_hash=items[rule.id].config_hash) if rule.id in items else rule for rule in limit.rules
    )
    return limit._replace(config_hash=wanted.config_hash, rules=tuple(rules))
