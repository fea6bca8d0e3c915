"""Finds whose calls a limit would have refused, by provider, model, virtual key and user.

These four are the groups. A member of a group is, for example, one model. A series is a combination of provider, model,
virtual key and user. A bucket contains the sums of usage in 15 minutes.
"""

from collections import Counter as Counts
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import NamedTuple

from governance.domain.history.query import COLUMNS, Group
from governance.domain.history.usage import Series
from governance.domain.history.what_if import Bounds, RefusedCalls, RefusedGroup
from governance.domain.records.changes import yield_gil

MOST_REFUSED = 20
"""The largest number of members of a group that an answer lists."""
BETWEEN = 500
"""After this many series, which take 0.2 ms to count, other threads may run."""


class SeriesCalls:
    """The number of calls of a series, and how many of them the limit would have refused."""

    __slots__ = ("calls", "refused")

    def __init__(self) -> None:
        self.calls = self.refused = 0


class PossiblyRefused(NamedTuple):
    """The number of calls of one member of a group.

    `possible` is the number of those calls that are in buckets in which a call may have been refused.
    """

    value: str
    calls: int
    possible: int


def exact_groups(counted: Mapping[Series, SeriesCalls]) -> dict[Group, RefusedGroup]:
    """Return the refused calls by group. `counted` contains the calls by series."""
    return {group: _exact(counted.items(), Series._fields.index(column)) for group, column in COLUMNS.items()}


def _exact(counted: Iterable[tuple[Series, SeriesCalls]], column: int) -> RefusedGroup:
    calls, refused = Counts[str](), Counts[str]()
    for number, (series, found) in enumerate(counted):
        calls[series[column]] += found.calls
        if found.refused:
            refused[series[column]] += found.refused
        if number % BETWEEN == 0:
            yield_gil()
    top = [
        RefusedCalls(value, calls[value], Bounds(count, count))
        for value, count in nsmallest(MOST_REFUSED, refused.items(), key=_most_first)
    ]
    rest = refused.total() - sum(row.refused.most for row in top)
    return RefusedGroup(top, len(refused) - len(top), Bounds(rest, rest))


def _most_first(counted: tuple[str, int]) -> tuple[int, str]:
    value, count = counted
    return -count, value


def bounded_group(refused: Bounds, top: Sequence[PossiblyRefused], members: int) -> RefusedGroup:
    """Return the refused calls of a group, if only the sums in buckets are known.

    `refused` contains the bounds of the number of refused calls among all calls. `members` is the number of members
    with calls that may have been refused.
    """
    rest = refused.most - sum(row.possible for row in top)
    return RefusedGroup(
        [RefusedCalls(row.value, row.calls, _share(refused, row.possible)) for row in top],
        members - len(top),
        _share(refused, rest),
    )


def _share(refused: Bounds, possible: int) -> Bounds:
    """Return the bounds of the number of refused calls among `possible` calls.

    At most, all of the `possible` calls were refused. The number is smallest if all other calls that may have been
    refused were refused.
    """
    others = refused.most - possible
    return Bounds(max(0, refused.least - others), possible)
