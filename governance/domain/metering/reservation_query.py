"""The filter of a list of reservations."""

from typing import NamedTuple

EXACT_TOTAL = 10_000
"""The largest exact total of a list of reservations. Above it, the total is not counted."""


class ReservationFilter(NamedTuple):
    """The wanted reservations. None is no filter.

    `provider` and `model` are in canonical form, so other spellings match too. `since` is inclusive and `until` is
    exclusive. Both are instants of admission in microseconds.
    """

    status: str | None = None
    provider: str | None = None
    model: str | None = None
    virtual_key_id: str | None = None
    user_id: str | None = None
    since: int | None = None
    until: int | None = None
