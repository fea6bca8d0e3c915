"""Assigns the budgets and rate limits that are separate entries of a config file to the limits that own them.

A budget or a rate limit is called an item here. Either a limit contains the id of the item, or the item names its
owner. If the item has no owner, or if this service has no such owners (for example teams), the item is left out, and
the reason is reported. A path says where a value is in the file.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from governance.domain.config.entries import Claim, ItemEntry, LimitEntry, NamedOwner, Section
from governance.domain.errors import Fault

WORDS = {
    "virtual_key_id": "virtual key",
    "provider_config_id": "provider config",
    "team_id": "team",
    "customer_id": "customer",
}


class ItemKind(NamedTuple):
    """A kind of items: budgets or rate limits.

    `what` is the word for one item. The other fields are the names of fields of a limit. The field named by `one`
    contains the id of one item, the field named by `many` contains several ids, and the field named by `inside`
    contains whole items.
    """

    what: str
    one: str
    many: str
    inside: str


BUDGETS = ItemKind("budget", "budget_id", "budget_ids", "budgets")
RATE_LIMITS = ItemKind("rate limit", "rate_limit_id", "rate_limit_ids", "rate_limits")


class OwnedItems(NamedTuple):
    """The entries of one section, by the path of their limit.

    `faults` contains the faults of the section. `left_out` contains (path, reason) pairs of the entries that are left
    out.
    """

    by_limit: Mapping[str, list[ItemEntry]]
    faults: list[Fault]
    left_out: list[tuple[str, str]]

    def of(self, limit: LimitEntry) -> list[ItemEntry]:
        """Return the entries that belong to a limit."""
        return self.by_limit.get(limit.path, [])


class ItemReference(NamedTuple):
    """A reference between a limit and a budget or rate limit: the limit, the item's id, and the path in the file."""

    limit: LimitEntry
    item: str
    path: str


def owned(limits: list[LimitEntry], section: Section[ItemEntry], claims: Iterable[Claim], kind: ItemKind) -> OwnedItems:
    """Assign the entries of a section to limits.

    `claims` contains the items of owners that this service does not have, for example teams.
    """
    known = {entry.id: entry for entry in section.entries}
    by_owner = {limit.named_by: limit for limit in limits if limit.named_by is not None}
    foreign = {entry.id: entry for entry in section.entries if _is_foreign(entry, by_owner)}
    owner: dict[str, LimitEntry] = {}
    by_limit: dict[str, list[ItemEntry]] = {}
    faults: list[Fault] = []
    for limit, item, path in _references(limits, section, by_owner, kind):
        if item not in section.ids:
            faults.append(Fault(path, f"Add a {kind.what} with the id '{item}' to the file, or take it out here."))
        elif item in foreign:
            faults.append(Fault(path, _foreign_sentence(foreign[item], kind)))
        elif item in owner and owner[item] is not limit:
            faults.append(Fault(path, _shared_sentence(item, owner[item], section, kind)))
        elif item in known and item not in owner:
            owner[item] = limit
            by_limit.setdefault(limit.path, []).append(known[item])
    return OwnedItems(by_limit, faults, list(_left_out(section, owner, list(claims), kind)))


def _is_foreign(entry: ItemEntry, by_owner: Mapping[NamedOwner, LimitEntry]) -> bool:
    """Return whether an entry names an owner that has no limit in this service.

    An entry that names a missing limit (`model_config_id`) is reported elsewhere.
    """
    return entry.owner is not None and entry.owner.field in WORDS and entry.owner not in by_owner


def _references(
    limits: list[LimitEntry], section: Section[ItemEntry], by_owner: Mapping[NamedOwner, LimitEntry], kind: ItemKind
) -> Iterator[ItemReference]:
    """Yield each reference between a limit and an entry. References to items inside the limit itself are ignored."""
    for limit in limits:
        inside = {item.id for item in getattr(limit.draft, kind.inside) if item.id is not None}
        single = getattr(limit, kind.one)
        if single is not None and single not in inside:
            yield ItemReference(limit, single, f"{limit.path}.{kind.one}")
        for place, item in enumerate(getattr(limit, kind.many)):
            if item not in inside:
                yield ItemReference(limit, item, f"{limit.path}.{kind.many}[{place}]")
    for entry in section.entries:
        if entry.owner is not None and entry.owner in by_owner:
            yield ItemReference(by_owner[entry.owner], entry.id, f"{entry.path}.{entry.owner.field}")


def _shared_sentence(item: str, limit: LimitEntry, section: Section[ItemEntry], kind: ItemKind) -> str:
    """Return the error sentence for an entry to which two limits refer."""
    number = next(n for n in range(2, len(section.ids) + 3) if f"{item}-{n}" not in section.ids)
    return (
        f"Write a {kind.what} of its own for this limit, with another id such as '{item}-{number}', and name that "
        f"here: a {kind.what} belongs to one limit, and '{item}' belongs to {limit.path}."
    )


def _foreign_sentence(entry: ItemEntry, kind: ItemKind) -> str:
    return (
        f"Write a {kind.what} of its own for this limit, with another id, and name that here: "
        f"'{entry.id}' says that it belongs to the {_owner_text(entry)}."
    )


def _owner_text(entry: ItemEntry) -> str:
    owner = entry.owner
    return "" if owner is None else f"{WORDS[owner.field]} '{owner.id}'"


def _left_out(
    section: Section[ItemEntry], owner: Mapping[str, LimitEntry], claims: list[Claim], kind: ItemKind
) -> Iterator[tuple[str, str]]:
    """Yield a (path, reason) pair for each item that is left out.

    A claim is an item of an owner that this service does not have. Also yield a pair for each claim whose item is
    nested in that owner, or also belongs to a limit.
    """
    own = [claim for claim in claims if claim.kind == kind.what]
    first = {claim.item: claim for claim in reversed(own) if claim.item is not None}
    for entry in section.entries:
        if entry.id not in owner:
            yield entry.path, f"The {kind.what} '{entry.id}' is left out: {_reason(entry, first.get(entry.id))}"
    for claim in own:
        if claim.item is None:
            yield claim.path, f"What it holds is left out: there are no {claim.owners} here."
        elif claim.item in owner:
            limit = owner[claim.item].path
            yield (
                claim.path,
                f"The {kind.what} '{claim.item}' holds for {limit} alone: there are no {claim.owners} here.",
            )


def _reason(entry: ItemEntry, claim: Claim | None) -> str:
    owner = entry.owner
    if owner is not None and owner.field == "provider_config_id":
        return f"no virtual key in this file has a provider config with the id {owner.id}."
    if owner is not None and owner.field in WORDS:
        return f"it belongs to the {_owner_text(entry)}, and there are no {WORDS[owner.field]}s here."
    if claim is not None:
        return f"it belongs to {claim.path.rpartition('.')[0]}, and there are no {claim.owners} here."
    return "nothing in this file refers to it, and it names no owner."
