"""The filter for a list of reservations."""

from typing import NamedTuple

EXACT_TOTAL = 10_000
"""A list counts up to this many reservations. If there are more, the response contains no total."""


class ReservationFilter(NamedTuple):
    """Selects reservations.

    A field that is `None` does not filter. `provider` and `model` are in canonical form, so other spellings match too.
    `since` and `until` are compared with the time at which a reservation was granted. `since` is inclusive and `until`
    is exclusive. Both are in microseconds since 1970.
    """

    status: str | None = None
    provider: str | None = None
    model: str | None = None
    virtual_key_id: str | None = None
    user_id: str | None = None
    since: int | None = None
    until: int | None = None
