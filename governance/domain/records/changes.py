"""What the memory of a worker asks of the database, and what it is told; and how both go about it."""

from collections.abc import Callable
from time import sleep
from typing import NamedTuple

from governance.domain.keys import ApiKey, VirtualKey
from governance.domain.limits.limit import Counters, Limit


class Mark(NamedTuple):
    """Up to where a memory knows the database.

    `file` is which database file it was (a restored backup is another), `revision` the config revision, and
    `touched_at` what the last write noted on the counters it moved: later writes note later instants.
    """

    file: tuple[int, int]
    revision: int
    touched_at: int


class Changes(NamedTuple):
    """What became of the database since a mark, or (`whole`) all that is in it.

    `limits` holds each limit that was made, edited or counted against; `names` maps (scope, scope_id) to a
    name, None where it is gone; `api_keys` and `virtual_keys` map ids likewise.
    """

    mark: Mark
    whole: bool
    limits: dict[str, tuple[Limit, Counters]]
    gone: list[str]
    names: dict[tuple[str, str], str | None]
    api_keys: dict[str, ApiKey | None]
    virtual_keys: dict[str, VirtualKey | None] = {}  # noqa: RUF012 - never changed


Loader = Callable[[Mark | None], Changes]
"""Reads what changed since a mark, in one transaction; all there is where the mark is None or of another file."""

BREATH = 0.0001
"""Seconds."""


def give_way() -> None:
    """Let those go first who answer calls; to be called after each half millisecond of a refresh, or so.

    On a busy core the scheduler would let a thread that computes go on for a tick, 4 ms, before any that has waited.
    """
    sleep(BREATH)
