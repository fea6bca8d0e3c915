"""Putting a file together: who owns which budget and rate limit, and what is wrong with the file as a whole."""

from collections import Counter
from collections.abc import Iterable, Iterator

from governance.domain import hashes
from governance.domain.edits import Draft, Item, draft_faults
from governance.domain.errors import Fault
from governance.domain.files import (
    ItemEntry,
    LimitEntry,
    Section,
    Sections,
    Wanted,
    WantedItem,
    WantedKey,
    WantedLimit,
    item_id,
    limit_id,
)
from governance.domain.limits import MAX_ITEMS, Scope
from governance.domain.names import ALL_MODELS

Owned = dict[str, list[ItemEntry]]
"""The entries that stand by themselves, by the path of the limit that owns them."""


def resolve(sections: Sections) -> tuple[Wanted, list[Fault]]:
    """What the sections come to, and every fault of the whole."""
    limits = [*sections.limits.entries, *_own_limits(sections)]
    budgets, budget_faults, idle_budgets = _owned(limits, sections.budgets, "budget", "budget_id", "budget_ids")
    rates, rate_faults, idle_rates = _owned(
        limits, sections.rate_limits, "rate limit", "rate_limit_id", "rate_limit_ids"
    )
    wanted = [_limit(entry, budgets.get(entry.path, []), rates.get(entry.path, [])) for entry in limits]
    keys = tuple(sections.keys.entries)
    faults = [
        *_twice((entry.id, f"{entry.path}.id") for entry in limits),
        *_twice([*_alone(sections.budgets), *_inside(limits, "budgets")]),
        *_twice([*_alone(sections.rate_limits), *_inside(limits, "rate_limits")]),
        *budget_faults,
        *_owner_faults(sections),
        *rate_faults,
        *(fault for limit in wanted for fault in _limit_faults(limit)),
        *_second_identities(wanted),
        *_key_faults(keys),
    ]
    warnings = (*idle_budgets, *idle_rates)
    return Wanted(tuple(wanted), keys, tuple(sections.skipped), warnings, tuple(sections.unset)), faults


def _own_limits(sections: Sections) -> Iterator[LimitEntry]:
    """What Bifrost keeps on a virtual key itself: a limit of that key on all models."""
    budgets: dict[str, list[ItemEntry]] = {}
    for entry in sections.budgets.entries:
        if entry.key is not None:
            budgets.setdefault(entry.key, []).append(entry)
    paths = {key: entries[0].path for key, entries in budgets.items()}
    paths |= {key.id: key.path for key in sections.keys.entries if key.id in budgets or key.rate_limit_id}
    rates = {key.id: key.rate_limit_id for key in sections.keys.entries}
    for key, path in paths.items():
        draft = Draft(ALL_MODELS, None, Scope.VIRTUAL_KEY, key, None, "UTC", (), ())
        own = tuple(entry.item.id for entry in budgets.get(key, []) if entry.item.id is not None)
        yield LimitEntry(path, None, draft, None, own, rates.get(key), ())


def _alone(section: Section[ItemEntry]) -> Iterator[tuple[str | None, str]]:
    return ((entry.item.id, f"{entry.path}.id") for entry in section.entries)


def _inside(limits: list[LimitEntry], kind: str) -> Iterator[tuple[str | None, str]]:
    for limit in limits:
        for place, item in enumerate(getattr(limit.draft, kind)):
            yield item.id, f"{limit.path}.{kind}[{place}].id"


def _twice(named: Iterable[tuple[str | None, str]], what: str = "id") -> Iterator[Fault]:
    """A fault for each id (or other thing that may be there once) that stands at a path before."""
    first: dict[str, str] = {}
    for value, path in named:
        if value is not None and value in first:
            yield Fault(path, f"Give each {what} once: '{value}' stands at {first[value]} too.")
        elif value is not None:
            first[value] = path


def _owned(
    limits: list[LimitEntry], section: Section[ItemEntry], what: str, one: str, many: str
) -> tuple[Owned, list[Fault], list[tuple[str, str]]]:
    """The entries of a section by the limit that owns them; the faults of references; the entries nobody refers to."""
    known = {entry.item.id: entry for entry in section.entries}
    by_id = {entry.id: entry for entry in limits if entry.id is not None}
    owned: Owned = {}
    owner: dict[str, LimitEntry] = {}
    faults: list[Fault] = []
    for limit, item, path in _references(limits, section, by_id, one, many):
        if item not in section.ids:
            faults.append(Fault(path, f"Add a {what} with the id '{item}' to the file, or take it out here."))
        elif item in owner and owner[item] is not limit:
            faults.append(
                Fault(path, f"Give '{item}' to one limit: {owner[item].path} has it too. A {what} is shared by none.")
            )
        elif item in known and item not in owner:
            owner[item] = limit
            owned.setdefault(limit.path, []).append(known[item])
    idle = [(entry.path, _idle(entry, what)) for entry in section.entries if entry.item.id not in owner]
    return owned, faults, idle


def _references(
    limits: list[LimitEntry], section: Section[ItemEntry], by_id: dict[str, LimitEntry], one: str, many: str
) -> Iterator[tuple[LimitEntry, str, str]]:
    """Each reference: the limit, the id it refers to, and where it stands."""
    for limit in limits:
        single = getattr(limit, one)
        if single is not None:
            yield limit, single, f"{limit.path}.{one}"
        for place, item in enumerate(getattr(limit, many)):
            yield limit, item, f"{limit.path}.{many}[{place}]"
    for entry in section.entries:
        if entry.owner is not None and entry.owner in by_id and entry.item.id is not None:
            yield by_id[entry.owner], entry.item.id, f"{entry.path}.model_config_id"


def _owner_faults(sections: Sections) -> Iterator[Fault]:
    for entry in sections.budgets.entries:
        if entry.owner is not None and entry.owner not in sections.limits.ids:
            sentence = f"Add a model config with the id '{entry.owner}' to the file, or take it out here."
            yield Fault(f"{entry.path}.model_config_id", sentence)


def _idle(entry: ItemEntry, what: str) -> str:
    if entry.stranger:
        return f"The {what} '{entry.item.id}' names a {entry.stranger}, which is none of ours: it limits nothing here."
    return f"No model config refers to the {what} '{entry.item.id}': it limits nothing here."


def _limit(entry: LimitEntry, budgets: list[ItemEntry], rates: list[ItemEntry]) -> WantedLimit:
    """A limit with all that is inside it and all that it owns."""
    draft = entry.draft
    if draft.calendar_aligned is None and any(each.aligned for each in budgets):
        draft = draft._replace(calendar_aligned=True)
    draft = draft._replace(
        budgets=(*draft.budgets, *(each.item for each in budgets)),
        rate_limits=(*draft.rate_limits, *(each.item for each in rates)),
    )
    identity = draft.identity
    own_id = entry.id or limit_id(identity)
    wanted_budgets = tuple(_budget(own_id, item) for item in draft.budgets)
    wanted_rates = tuple(_rate_limit(own_id, item) for item in draft.rate_limits)
    inside = len(entry.draft.budgets), len(entry.draft.rate_limits)
    named = {*entry.budget_ids, *(each.id for each in wanted_budgets[: inside[0]])}
    rated = {*entry.rate_limit_ids, *(each.id for each in wanted_rates[: inside[1]])}
    config_hash = hashes.of_limit(entry._replace(draft=draft), own_id, named, rated)
    return WantedLimit(entry.path, own_id, identity, draft, wanted_budgets, wanted_rates, config_hash)


def _budget(owner: str, item: Item) -> WantedItem:
    own_id = item.id or item_id(owner, item)
    return WantedItem(own_id, item.ceilings, hashes.of_budget(own_id, item.ceilings[0]))


def _rate_limit(owner: str, item: Item) -> WantedItem:
    own_id = item.id or item_id(owner, item)
    return WantedItem(own_id, item.ceilings, hashes.of_rate_limit(own_id, item.ceilings))


def _limit_faults(limit: WantedLimit) -> Iterator[Fault]:
    for name, items in (("budgets", limit.draft.budgets), ("rate limits", limit.draft.rate_limits)):
        if len(items) > MAX_ITEMS:
            yield Fault(limit.path, f"Give this limit at most {MAX_ITEMS} {name}: it has {len(items)}.")
        windows = Counter((ceiling.metric, ceiling.duration.length) for item in items for ceiling in item.ceilings)
        texts = {(c.metric, c.duration.length): c.duration.text for item in items for c in item.ceilings}
        for window, times in windows.items():
            if times > 1:
                sentence = f"Give each window once among {name}: {times} of this limit are as long as {texts[window]}."
                yield Fault(limit.path, sentence)
    for fault in draft_faults(limit.draft):
        yield fault._replace(param=f"{limit.path}.{fault.param}")


def _second_identities(limits: list[WantedLimit]) -> Iterator[Fault]:
    first: dict[object, str] = {}
    for limit in limits:
        known = first.setdefault(limit.identity, limit.path)
        if known != limit.path:
            sentence = f"Put both into one: {known} is on the same model, provider and scope."
            yield Fault(f"{limit.path}.model_name", sentence)


def _key_faults(keys: tuple[WantedKey, ...]) -> Iterator[Fault]:
    yield from _twice((key.id, f"{key.path}.id") for key in keys if key.named)
    yield from _twice(((key.name, f"{key.path}.name") for key in keys), "name")
    first: dict[str, str] = {}
    for key in keys:
        known = first.setdefault(key.digest or key.path, key.path)
        if known != key.path:
            yield Fault(f"{key.path}.value", f"Give each virtual key a value of its own: {known} has the same.")
