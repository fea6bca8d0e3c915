"""Which rows are a file's own: those that it may prune."""

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
    """What is stored beside the rows with these ids."""
    return Stored(_left(stored.limits, limits), _left(stored.keys, keys), _left(stored.users, users))


def owned(aim: Aim, stored: Stored) -> Stored:
    """The part of it that is the file's own."""
    return Stored(_own(aim, stored.limits), _own(aim, stored.keys), _own(aim, stored.users))


def elsewhere(aim: Aim, missing: Stored) -> Iterator[Fault]:
    """A fault where a file is known by its base name alone, and a file in another place made rows of that name.

    `missing` are the rows that the file does not have. Of rows whose place is not known, it may be another file's.
    """
    if not aim.source.placed:
        return
    unknown = Source(aim.source.name)
    foreign = {row.source for row in aim.stored.rows if row.source.name == aim.source.name} - {aim.source, unknown}
    foreign |= {row.source for row in missing.rows if row.source == unknown}
    if foreign:
        places = " and ".join(sorted({_place(source) for source in foreign}))
        yield Fault("owner", OWNER_WANTED.format(name=aim.source.name, places=places))


def _place(source: Source) -> str:
    return UNKNOWN if source.place is None else source.place or OF_AN_OWNER


def _left(rows: Mapping[str, HeldT], known: Collection[str]) -> dict[str, HeldT]:
    return {row_id: held for row_id, held in rows.items() if row_id not in known}


def _own(aim: Aim, rows: Mapping[str, HeldT]) -> dict[str, HeldT]:
    return {row_id: held for row_id, held in rows.items() if aim.owns(held.source)}
