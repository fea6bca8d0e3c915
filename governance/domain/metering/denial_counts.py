"""Counts of the calls that a limit denied."""

from typing import NamedTuple


class Denials(NamedTuple):
    """The number of calls that a limit denied, and the time of the last denial in microseconds.

    Both may be one poll interval old.
    """

    calls: int
    last_at: int
