"""Which reservations a list shows."""

from typing import NamedTuple

EXACT_TOTAL = 10_000
"""A list of reservations is counted up to this number."""


class ReservationFilter(NamedTuple):
    """Which reservations are wanted; None is no filter.

    `provider` and `model` are in canonical form: other spellings are the same. `since` and `until` (microseconds, not
    included) are about the admission.
    """

    status: str | None = None
    provider: str | None = None
    model: str | None = None
    virtual_key_id: str | None = None
    user_id: str | None = None
    since: int | None = None
    until: int | None = None
