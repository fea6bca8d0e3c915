"""The number of calls that a limit denied, and the time of the last denial."""

from typing import NamedTuple


class Denials(NamedTuple):
    """The number of calls that a limit denied, and the time of the last denial in microseconds.

    Both values may be one poll interval old, because each worker writes its counts to the database once per poll.
    """

    calls: int
    last_at: int
