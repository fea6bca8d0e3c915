"""Whose each budget and rate limit is that stands by itself: the limit that names it, or the owner that it names.

What belongs to nobody, or to an owner of a kind that there is not here, is left out, and the reason is told.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from governance.domain.config.entries import Claim, ItemEntry, LimitEntry, Owner, Section
from governance.domain.errors import Fault

WORDS = {
    "virtual_key_id": "virtual key",
    "provider_config_id": "provider config",
    "team_id": "team",
    "customer_id": "customer",
}


class Kind(NamedTuple):
    """Budgets or rate limits: what one is called, and the fields of a limit that name one, name many, hold them."""

    what: str
    one: str
    many: str
    inside: str


BUDGETS = Kind("budget", "budget_id", "budget_ids", "budgets")
RATE_LIMITS = Kind("rate limit", "rate_limit_id", "rate_limit_ids", "rate_limits")


class Owned(NamedTuple):
    """The entries of a section by the path of the limit that they belong to; what is wrong, and what is left out."""

    by_limit: Mapping[str, list[ItemEntry]]
    faults: list[Fault]
    left_out: list[tuple[str, str]]

    def of(self, limit: LimitEntry) -> list[ItemEntry]:
        """The entries that belong to a limit."""
        return self.by_limit.get(limit.path, [])


class Reference(NamedTuple):
    """A limit and the id of one of its budgets or rate limits, with the place in the file that says so."""

    limit: LimitEntry
    item: str
    path: str


def owned(limits: list[LimitEntry], section: Section[ItemEntry], claims: Iterable[Claim], kind: Kind) -> Owned:
    """Hand out the entries of a section. `claims` are those of owners that there are not here."""
    known = {entry.id: entry for entry in section.entries}
    by_owner = {limit.named_by: limit for limit in limits if limit.named_by is not None}
    strangers = {entry.id: entry for entry in section.entries if _is_strange(entry, by_owner)}
    owner: dict[str, LimitEntry] = {}
    by_limit: dict[str, list[ItemEntry]] = {}
    faults: list[Fault] = []
    for limit, item, path in _references(limits, section, by_owner, kind):
        if item not in section.ids:
            faults.append(Fault(path, f"Add a {kind.what} with the id '{item}' to the file, or take it out here."))
        elif item in strangers:
            faults.append(Fault(path, _strange(strangers[item], kind)))
        elif item in owner and owner[item] is not limit:
            faults.append(Fault(path, _shared(item, owner[item], section, kind)))
        elif item in known and item not in owner:
            owner[item] = limit
            by_limit.setdefault(limit.path, []).append(known[item])
    return Owned(by_limit, faults, list(_left_out(section, owner, list(claims), kind)))


def _is_strange(entry: ItemEntry, by_owner: Mapping[Owner, LimitEntry]) -> bool:
    """Whether an entry names an owner that there is not here; a missing model config is a fault of its own."""
    return entry.owner is not None and entry.owner.field in WORDS and entry.owner not in by_owner


def _references(
    limits: list[LimitEntry], section: Section[ItemEntry], by_owner: Mapping[Owner, LimitEntry], kind: Kind
) -> Iterator[Reference]:
    """Each reference of a limit to an entry; what stands inside the limit itself needs none."""
    for limit in limits:
        inside = {item.id for item in getattr(limit.draft, kind.inside) if item.id is not None}
        single = getattr(limit, kind.one)
        if single is not None and single not in inside:
            yield Reference(limit, single, f"{limit.path}.{kind.one}")
        for place, item in enumerate(getattr(limit, kind.many)):
            if item not in inside:
                yield Reference(limit, item, f"{limit.path}.{kind.many}[{place}]")
    for entry in section.entries:
        if entry.owner is not None and entry.owner in by_owner:
            yield Reference(by_owner[entry.owner], entry.id, f"{entry.path}.{entry.owner.field}")


def _shared(item: str, limit: LimitEntry, section: Section[ItemEntry], kind: Kind) -> str:
    """What to write instead of one entry for two limits."""
    number = next(n for n in range(2, len(section.ids) + 3) if f"{item}-{n}" not in section.ids)
    return (
        f"Write a {kind.what} of its own for this limit, with another id such as '{item}-{number}', and name that "
        f"here: a {kind.what} belongs to one limit, and '{item}' belongs to {limit.path}."
    )


def _strange(entry: ItemEntry, kind: Kind) -> str:
    return (
        f"Write a {kind.what} of its own for this limit, with another id, and name that here: "
        f"'{entry.id}' says that it belongs to the {_named(entry)}."
    )


def _named(entry: ItemEntry) -> str:
    owner = entry.owner
    return "" if owner is None else f"{WORDS[owner.field]} '{owner.id}'"


def _left_out(
    section: Section[ItemEntry], owner: Mapping[str, LimitEntry], claims: list[Claim], kind: Kind
) -> Iterator[tuple[str, str]]:
    """Each entry that belongs to no limit, and each thing that an owner claims in vain, with the reason."""
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
        return f"it belongs to the {_named(entry)}, and there are no {WORDS[owner.field]}s here."
    if claim is not None:
        return f"it belongs to {claim.path.rpartition('.')[0]}, and there are no {claim.owners} here."
    return "nothing in this file refers to it, and it names no owner."
