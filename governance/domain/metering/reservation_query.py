"""The filter of a list of reservations."""

from typing import NamedTuple

EXACT_TOTAL = 10_000
"""The largest number of reservations that a list counts exactly. If there are more, the list has no total."""


class ReservationFilter(NamedTuple):
    """Selects reservations.

    A field that is `None` does not filter. `provider` and `model` are in canonical form, so other spellings match too.
    `since` is inclusive and `until` is exclusive. Both are in microseconds, and are compared with the instant of
    admission.
    """

    status: str | None = None
    provider: str | None = None
    model: str | None = None
    virtual_key_id: str | None = None
    user_id: str | None = None
    since: int | None = None
    until: int | None = None
