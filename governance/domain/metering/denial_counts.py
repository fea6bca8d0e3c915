"""How often a limit refused a call."""

from typing import NamedTuple


class Denials(NamedTuple):
    """How many calls a limit refused, and when last (an instant). At most one poll behind."""

    calls: int
    last_at: int
