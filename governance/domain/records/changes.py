"""The changes in the database that a worker reads to refresh its snapshot.

A snapshot is a worker's copy of the database in memory. A mark identifies the state of the database that a snapshot
contains. A refresh reads everything that changed since this mark.
"""

from collections.abc import Callable
from time import sleep
from typing import NamedTuple

from governance.domain.keys import ApiKey, VirtualKey
from governance.domain.limits.limit import Counters, Limit
from governance.domain.pricing.overrides import PriceOverride


class Mark(NamedTuple):
    """Identifies the state of the database that a snapshot contains.

    `file` identifies the database file. A restored backup counts as another file. `revision` is the config revision, a
    number that each edit of limits, keys, users or prices raises by 1. `touched_at` (microseconds) is the latest
    `touched_at` of all counters. A counter contains the usage of a limit in a time window. Each write of counters sets
    a `touched_at` that is later than all earlier ones.
    """

    file: tuple[int, int]
    revision: int
    touched_at: int


class Changes(NamedTuple):
    """The changes in the database since a mark.

    If `whole` is true, the changes contain all rows. `limits` contains each limit that was created or edited, or whose
    counters changed. `gone` contains the ids of deleted limits. `names` maps (scope, scope_id) to the name of a virtual
    key or user. `api_keys`, `virtual_keys` and `prices` map ids to API keys, virtual keys and price overrides. The
    value for a deleted id is None.
    """

    mark: Mark
    whole: bool
    limits: dict[str, tuple[Limit, Counters]]
    gone: list[str]
    names: dict[tuple[str, str], str | None]
    api_keys: dict[str, ApiKey | None]
    virtual_keys: dict[str, VirtualKey | None] = {}  # noqa: RUF012 - never changed
    prices: dict[str, PriceOverride | None] = {}  # noqa: RUF012 - never changed


Loader = Callable[[Mark | None], Changes]
"""A function that reads the changes since a mark in one transaction.

If the mark is None or belongs to another database file, the function reads all rows.
"""

BREATH = 0.0001
"""The time in seconds for which `yield_gil` sleeps."""


def yield_gil() -> None:
    """Sleep for a moment, so that threads that handle requests can run.

    A refresh of the snapshot calls this about every half millisecond. Without it, on a busy core, the scheduler would
    let the thread of the refresh run for 4 ms while other threads wait.
    """
    sleep(BREATH)
