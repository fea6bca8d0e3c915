"""Finds the stored rows that a config file owns: the rows that were created from this file.

`flask governance sync --prune` removes the rows that a file owns and no longer contains. The owner name of a file is
stored with its rows. By default, the owner name is the name of the file without its folder.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

from governance.domain.config.plan_steps import PlanContext
from governance.domain.errors import Fault
from governance.domain.records.stored import ManagedKey, ManagedLimit, ManagedPrice, ManagedUser, Source, StoredRows

HeldT = TypeVar("HeldT", ManagedLimit, ManagedKey, ManagedUser, ManagedPrice)

OWNER_WANTED = (
    'Name an owner, with --owner or as "owner" at the top of the file, or leave --prune out: rows of {name} came from '
    "{places}. If all of them are this file's, --owner {name} says so."
)
OF_AN_OWNER = "an owner of that name"
UNKNOWN = "a place that was not noted"


def without(
    stored: StoredRows, limits: Collection[str], keys: Collection[str], users: Collection[str], prices: Collection[str]
) -> StoredRows:
    """Return the stored rows except those with these ids."""
    return StoredRows(
        _other_rows(stored.limits, limits),
        _other_rows(stored.keys, keys),
        _other_rows(stored.users, users),
        _other_rows(stored.prices, prices),
    )


def owned(context: PlanContext, stored: StoredRows) -> StoredRows:
    """Return the stored rows that the file owns."""
    return StoredRows(
        _owned_rows(context, stored.limits),
        _owned_rows(context, stored.keys),
        _owned_rows(context, stored.users),
        _owned_rows(context, stored.prices),
    )


def owner_faults(context: PlanContext, missing: StoredRows) -> Iterator[Fault]:
    """Yield a fault if it is not certain which rows the file owns.

    This is so if the owner name is only the name of the file, and a file with the same name in another folder has
    created rows. `missing` contains the stored rows that this file does not contain. If the folder of such a row is not
    known, the row counts as a row of another file.
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


def _owned_rows(context: PlanContext, rows: Mapping[str, HeldT]) -> dict[str, HeldT]:
    return {row_id: row for row_id, row in rows.items() if context.owns(row.source)}
