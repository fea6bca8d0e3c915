"""Resolves the references in a config file: assigns its budgets and rate limits to its limits.

The module also finds the faults that concern several entries, for example an id that occurs twice. A budget or a rate
limit is called an item here. A path says where a value is in the file. `calendar_aligned` says whether windows follow
the calendar.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from governance.domain.config import hashes
from governance.domain.config.entries import (
    ItemEntry,
    LimitEntry,
    Section,
    Sections,
    Wanted,
    WantedItem,
    WantedKey,
    WantedLimit,
    WantedPrice,
    item_id,
    limit_id,
)
from governance.domain.config.owners import BUDGETS, RATE_LIMITS, owned
from governance.domain.errors import Fault
from governance.domain.limits.alignment import limit_flag
from governance.domain.limits.drafts import DraftItem, LimitDraft, drafted_flag, flagged
from governance.domain.limits.limit import MAX_ITEMS, Scope
from governance.domain.names import ALL_MODELS


def resolve(sections: Sections) -> tuple[Wanted, list[Fault]]:
    """Return the contents of the sections with all references resolved, and the faults that concern several entries."""
    entries = [*sections.limits.entries, *sections.implied, *_on_stored_keys(sections)]
    budgets = owned(entries, sections.budgets, sections.claims, BUDGETS)
    rates = owned(entries, sections.rate_limits, sections.claims, RATE_LIMITS)
    flags = {entry.path: _flag(entry, [*budgets.of(entry), *rates.of(entry)]) for entry in entries}
    all_limits = [_limit(entry, flags[entry.path][0], budgets.of(entry), rates.of(entry)) for entry in entries]
    limits = tuple(limit for limit in all_limits if limit.items or not limit.implied)
    keys = tuple(sections.keys.entries)
    faults = [
        *_duplicates((entry.id, f"{entry.path}.id") for entry in entries),
        *_duplicates([*_alone(sections.budgets), *_inside(entries, "budgets")]),
        *_duplicates([*_alone(sections.rate_limits), *_inside(entries, "rate_limits")]),
        *_duplicates(_provider_configs(sections)),
        *budgets.faults,
        *rates.faults,
        *_missing_owners(sections),
        *(fault for _, found in flags.values() for fault in found),
        *(fault for limit in limits for fault in _limit_faults(limit)),
        *_second_identities(limits),
        *_key_faults(keys),
        *_duplicates((user.id, f"{user.path}.id") for user in sections.users.entries),
        *_price_faults(sections.prices.entries),
    ]
    found = Wanted(
        limits=limits,
        keys=keys,
        users=tuple(sections.users.entries),
        prices=tuple(sections.prices.entries),
        skipped=tuple(sections.skipped),
        notes=tuple(sections.notes),
        left_out=(*budgets.left_out, *rates.left_out),
        unset=tuple(sections.unset),
        owner=sections.owner,
    )
    return found, faults


def _on_stored_keys(sections: Sections) -> Iterator[LimitEntry]:
    """Yield a limit for each virtual key that a budget names as its owner, but that the file does not contain.

    Such a key may be in the database.
    """
    known = {entry.named_by for entry in sections.implied if entry.named_by is not None}
    for entry in sections.budgets.entries:
        owner = entry.owner
        if owner is not None and owner.field == "virtual_key_id" and owner not in known:
            known.add(owner)
            draft = LimitDraft(ALL_MODELS, None, Scope.VIRTUAL_KEY, owner.id, None, "UTC", (), ())
            yield LimitEntry(entry.path, None, draft, None, (), None, (), owner, implied=True)


def _alone(section: Section[ItemEntry]) -> Iterator[tuple[str | None, str]]:
    return ((entry.id, f"{entry.path}.id") for entry in section.entries)


def _inside(limits: list[LimitEntry], kind: str) -> Iterator[tuple[str | None, str]]:
    for limit in limits:
        for place, item in enumerate(getattr(limit.draft, kind)):
            yield item.id, f"{limit.path}.{kind}[{place}].id"


def _provider_configs(sections: Sections) -> Iterator[tuple[str | None, str]]:
    """Yield the (id, path) of each provider config that a budget names as its owner.

    A provider config contains the settings of a virtual key for one provider.
    """
    named = {entry.owner for entry in sections.budgets.entries if entry.owner is not None}
    for entry in sections.implied:
        owner = entry.named_by
        if owner is not None and owner.field == "provider_config_id" and owner in named:
            yield owner.id, f"{entry.path}.id"


def _duplicates(named: Iterable[tuple[str | None, str]], what: str = "id") -> Iterator[Fault]:
    """Yield a fault for each id that also occurs at an earlier path.

    `what` is the word for the values in the message, if they are not ids.
    """
    first: dict[str, str] = {}
    for value, path in named:
        if value is not None and value in first:
            yield Fault(path, f"Give each {what} once: '{value}' stands at {first[value]} too.")
        elif value is not None:
            first[value] = path


def _missing_owners(sections: Sections) -> Iterator[Fault]:
    for entry in (*sections.budgets.entries, *sections.rate_limits.entries):
        owner = entry.owner
        if owner is not None and owner.field == "model_config_id" and owner.id not in sections.limits.ids:
            sentence = f"Add a model config with the id '{owner.id}' to the file, or take it out here."
            yield Fault(f"{entry.path}.model_config_id", sentence)


def _flag(entry: LimitEntry, items: Iterable[ItemEntry]) -> tuple[bool | None, list[Fault]]:
    """Return `calendar_aligned` of a limit, and the faults. The items of the limit may set `calendar_aligned` too."""
    inside = [item.said(f"{entry.path}.{path}") for path, item in flagged(entry.draft)]
    beside = [each.item.said(each.path) for each in items if each.item.aligned is not None]
    return limit_flag(entry.draft.calendar_aligned, [*inside, *beside])


def _limit(entry: LimitEntry, flag: bool | None, budgets: list[ItemEntry], rates: list[ItemEntry]) -> WantedLimit:
    """Return a limit with the items that are nested in its entry, and the separate items that belong to it."""
    inside = entry.draft
    draft = inside._replace(
        calendar_aligned=flag,
        budgets=_settled([*inside.budgets, *(each.item for each in budgets)]),
        rate_limits=_settled([*inside.rate_limits, *(each.item for each in rates)]),
    )
    identity = draft.identity
    own_id = entry.id or limit_id(identity)
    return WantedLimit(
        path=entry.path,
        id=own_id,
        identity=identity,
        draft=draft,
        budgets=tuple(_budget(own_id, item) for item in draft.budgets),
        rate_limits=tuple(_rate_limit(own_id, item) for item in draft.rate_limits),
        config_hash=_hash(entry, own_id, flag, budgets),
        implied=entry.implied,
    )


def _settled(items: Iterable[DraftItem]) -> tuple[DraftItem, ...]:
    """Return the items without `calendar_aligned`, because the limit contains this setting."""
    return tuple(item._replace(aligned=None) for item in items)


def _hash(entry: LimitEntry, own_id: str, flag: bool | None, budgets: list[ItemEntry]) -> str:
    """Return the hash of a limit's entry.

    If the limit itself does not set `calendar_aligned`, the hash includes the value from its items only if the value is
    true. Earlier releases did the same.
    """
    named = {*entry.budget_ids, *(item.id or item_id(own_id, item) for item in entry.draft.budgets)}
    rated = {*entry.rate_limit_ids, *(item.id or item_id(own_id, item) for item in entry.draft.rate_limits)}
    if entry.implied:
        named |= {each.id for each in budgets if each.owner is not None}
    draft = entry.draft._replace(calendar_aligned=flag or entry.draft.calendar_aligned)
    return hashes.of_limit(entry._replace(draft=draft), own_id, named, rated)


def _budget(owner: str, item: DraftItem) -> WantedItem:
    own_id = item.id or item_id(owner, item)
    return WantedItem(own_id, item.ceilings, hashes.of_budget(own_id, item.ceilings[0]))


def _rate_limit(owner: str, item: DraftItem) -> WantedItem:
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
    for fault in drafted_flag(limit.draft)[1]:
        yield fault._replace(param=f"{limit.path}.{fault.param}")


def _second_identities(limits: Iterable[WantedLimit]) -> Iterator[Fault]:
    first: dict[object, str] = {}
    for limit in limits:
        earlier = first.setdefault(limit.identity, limit.path)
        if earlier != limit.path:
            sentence = f"Put both into one: {earlier} is on the same model, provider and scope."
            yield Fault(limit.path if limit.implied else f"{limit.path}.model_name", sentence)


def _price_faults(prices: Iterable[WantedPrice]) -> Iterator[Fault]:
    first: dict[object, str] = {}
    ids: dict[str, str] = {}
    for price in prices:
        earlier = first.setdefault(price.draft.identity, price.path)
        same_id = ids.setdefault(price.id, price.path)
        if earlier != price.path:
            yield Fault(f"{price.path}.model", f"Put both into one: {earlier} is for the same model and time.")
        elif same_id != price.path:
            yield Fault(f"{price.path}.id", f"Give each id once: '{price.id}' stands at {same_id}.id too.")


def _key_faults(keys: tuple[WantedKey, ...]) -> Iterator[Fault]:
    yield from _duplicates((key.id, f"{key.path}.id") for key in keys if key.named)
    yield from _duplicates(((key.name, f"{key.path}.name") for key in keys), "name")
    first: dict[str, str] = {}
    for key in keys:
        earlier = None if key.digest is None else first.setdefault(key.digest, key.path)
        if earlier not in (None, key.path):
            yield Fault(f"{key.path}.value", f"Give each virtual key a value of its own: {earlier} has the same.")
