"""Which rows a file owns: `--prune` may remove only those."""

from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

from governance.domain.config.steps import Aim
from governance.domain.errors import Fault
from governance.domain.records.stored import HeldKey, HeldLimit, HeldUser, Source, Stored

HeldT = TypeVar("HeldT", HeldLimit, HeldKey, HeldUser)

OWNER_WANTED = (
    'Name an owner, with --owner or as "owner" at the top of the file, or leave --prune out: rows of {name} came from '
    "{places}. If all of them are this file's, --owner {name} says so."
)
OF_AN_OWNER = "an owner of that name"
UNKNOWN = "a place that was not noted"


def without(stored: Stored, limits: Collection[str], keys: Collection[str], users: Collection[str]) -> Stored:
    """Return the stored rows without those that have these ids."""
    return Stored(_other_rows(stored.limits, limits), _other_rows(stored.keys, keys), _other_rows(stored.users, users))


def owned(context: Aim, stored: Stored) -> Stored:
    """Return the stored rows that the file owns."""
    return Stored(
        _owned_rows(context, stored.limits), _owned_rows(context, stored.keys), _owned_rows(context, stored.users)
    )


def owner_faults(context: Aim, missing: Stored) -> Iterator[Fault]:
    """Yield a fault if the owner is a file's base name, and a file of that name in another folder made rows.

    `missing` are the stored rows that the file does not have. Those whose folder is not known count as another file's.
    """
    if not context.source.placed:
        return
    unknown = Source(context.source.name)
    foreign = {row.source for row in context.stored.rows if row.source.name == context.source.name} - {
        context.source,
        unknown,
    }
    foreign |= {row.source for row in missing.rows if row.source == unknown}
    if foreign:
        places = " and ".join(sorted({_place(source) for source in foreign}))
        yield Fault("owner", OWNER_WANTED.format(name=context.source.name, places=places))


def _place(source: Source) -> str:
    return UNKNOWN if source.place is None else source.place or OF_AN_OWNER


def _other_rows(rows: Mapping[str, HeldT], known: Collection[str]) -> dict[str, HeldT]:
    return {row_id: row for row_id, row in rows.items() if row_id not in known}


def _owned_rows(context: Aim, rows: Mapping[str, HeldT]) -> dict[str, HeldT]:
    return {row_id: row for row_id, row in rows.items() if context.owns(row.source)}
