"""The rows that a worker's snapshot reads from the database: everything that changed since a mark."""

from collections.abc import Callable
from time import sleep
from typing import NamedTuple

from governance.domain.keys import ApiKey, VirtualKey
from governance.domain.limits.limit import Counters, Limit
from governance.domain.pricing.overrides import PriceOverride


class Mark(NamedTuple):
    """The state of the database that a snapshot has read.

    `file` identifies the database file. A restored backup counts as another file. `revision` is the config revision.
    `touched_at` (microseconds) is the newest `touched_at` of all counters. Each later write of a counter sets a larger
    one.
    """

    file: tuple[int, int]
    revision: int
    touched_at: int


class Changes(NamedTuple):
    """The changes in the database since a mark.

    If `whole` is true, they contain all rows. `limits` contains each limit that was created or edited, or whose
    counters changed. `gone` contains the ids of deleted limits. `names` maps (scope, scope_id) to a name. `api_keys`,
    `virtual_keys` and `prices` map ids to API keys, virtual keys and price overrides. The value for a deleted id is
    None.
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
"""Reads the changes since a mark in one transaction.

If the mark is None or belongs to another file, it reads all rows.
"""

BREATH = 0.0001
"""The time in seconds for which `yield_gil` sleeps."""


def yield_gil() -> None:
    """Sleep for a moment, so that threads that handle requests can run.

    A refresh calls this about every half millisecond. Otherwise, on a busy core, the scheduler would let a computing
    thread run for 4 ms while other threads wait.
    """
    sleep(BREATH)
