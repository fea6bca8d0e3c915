"""The number of calls that a limit denied."""

from typing import NamedTuple


class Denials(NamedTuple):
    """How many calls a limit denied, and when it last did, in microseconds. Up to one poll interval old."""

    calls: int
    last_at: int
