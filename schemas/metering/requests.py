"""The schemas of the requests that meter calls: reservations, settles, reports and checks.

Before a call, a reservation holds the most that the call may use. After the call, a settle replaces the held amounts by
the used amounts. A report charges usage that was not reserved. A check asks whether a reservation would be granted.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, validates_schema

from governance.domain.metering.request import (
    DEFAULT_TTL,
    LONGEST_TTL,
    MAX_REQUESTS,
    Call,
    RequestedAmounts,
    ReservationRequest,
)
from governance.domain.metering.reservation import Actual, Status
from schemas.fields import Integer, Name, OneOf, Provider
from schemas.loading import FlatBody
from schemas.metering.amounts import AmountsBody, Cost
from schemas.pricing.token_counts import Tokens, given_tokens
from schemas.queries import CallsQuery
from schemas.time_fields import Instant

FOREVER = 2**63
NEED_SINCE = ("model", "provider", "virtual_key_id", "user_id", "until")
"""The filters of `GET /reservations` that are refused without `since`."""


class CallBody(AmountsBody):
    """A call to a model: the model, the virtual key or user that pays, and the dollars and tokens of the call."""

    model = Name(required=True, metadata={"description": "The model; p/model without a provider names provider p."})
    provider = Provider()
    virtual_key_id = Name(metadata={"description": "The virtual key that pays, by its id."})
    user_id = Name(metadata={"description": "The user that pays."})
    tokens = Tokens(metadata={"description": "0 passes always; left out passes while any are left. Neither holds any."})
    cost = Cost(
        metadata={
            "description": "Dollars, rounded up to the billionth. 0, such as of a free model, passes always. "
            "Left out: computed from the tokens by kind; without them, it passes while anything is left. "
            "Neither holds any."
        }
    )


class ReservationCreate(CallBody):
    """The body of `POST /reservations` and of `POST /check`."""

    virtual_key = Name(metadata={"description": "The virtual key that pays, by its value."})
    output_tokens = Tokens(
        metadata={"description": "The most that the answer may have, with reasoning and audio in it."}
    )
    ttl_seconds = Integer(
        least=1,
        most=LONGEST_TTL,
        load_default=DEFAULT_TTL,
        metadata={"description": "How long the hold lasts without a settle; extend it for long streams."},
    )

    def one_form(self, data: dict[str, Any], original: Any) -> None:
        """Refuse a body that gives the tokens or the virtual key in two forms."""
        super().one_form(data, original)
        given = original.get if isinstance(original, Mapping) else data.get
        if given("virtual_key") is not None and given("virtual_key_id") is not None:
            raise ValidationError("Give virtual_key or virtual_key_id, not both.", "virtual_key")

    def make(self, data: dict[str, Any]) -> ReservationRequest:
        """Build the request from the loaded body."""
        call = Call(data["model"], data.get("provider"), data.get("virtual_key_id"), data.get("user_id"))
        tokens, counts = given_tokens(data)
        amounts = RequestedAmounts(data.get("cost"), tokens, counts=counts)
        return ReservationRequest(call, amounts, data["ttl_seconds"], data.get("virtual_key"))


class UsageReport(CallBody):
    """The body of `POST /usage`.

    If the tokens are missing, they are 0. If the dollars are missing, they are computed from the tokens if possible.
    Otherwise the dollars are 0.
    """

    tokens = Tokens(metadata={"description": "What was used; 0 where left out."})
    cost = Cost(
        metadata={
            "description": "Dollars that were spent, rounded up to the billionth. Left out: computed from the tokens "
            "by kind; 0 without them."
        }
    )
    requests = Integer(least=0, most=MAX_REQUESTS, load_default=1, metadata={"description": "How many calls this was."})

    def make(self, data: dict[str, Any]) -> ReservationRequest:
        """Build the report from the loaded body."""
        call = Call(data["model"], data.get("provider"), data.get("virtual_key_id"), data.get("user_id"))
        tokens, counts = given_tokens(data)
        amounts = RequestedAmounts(data.get("cost"), tokens or 0, data["requests"], counts)
        return ReservationRequest(call, amounts)


class Settlement(AmountsBody):
    """The body of `POST /reservations/{id}/settle`.

    If the tokens are missing, the reserved tokens are charged. If the dollars are missing, they are computed from the
    tokens if possible. Otherwise the reserved dollars are charged. A 0 in the body is charged as 0.
    """

    optional = True

    tokens = Tokens(metadata={"description": "What was used; as held where left out."})
    cost = Cost(
        metadata={
            "description": "Dollars that were spent. Left out: computed from the tokens by kind; as held without them."
        }
    )

    def make(self, data: dict[str, Any]) -> Actual:
        """Build the used amounts from the loaded body."""
        tokens, counts = given_tokens(data)
        return Actual(tokens, data.get("cost"), counts)


class Extension(FlatBody):
    """The body of `POST /reservations/{id}/extend`."""

    optional = True
    """A missing body counts as an empty object. The error then names the missing field."""

    ttl_seconds = Integer(
        least=1, most=LONGEST_TTL, required=True, metadata={"description": "Seconds from now; never less than it has."}
    )


class ReservationsQuery(CallsQuery):
    """The query string of `GET /reservations`."""

    since = Instant(metadata={"description": "Only reservations admitted from this time on. Other filters need it."})
    until = Instant(metadata={"description": "Only reservations admitted before this time."})

    status = OneOf(
        {status.value: status.value for status in Status if status != Status.REPORTED},
        metadata={"description": "Only reservations in this state."},
    )

    @validates_schema
    def has_since(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse filters without `since`, and an `until` that is not later than `since`.

        Without `since`, a filter would read every stored reservation.
        """
        given = [name for name in NEED_SINCE if name in data]
        if given and "since" not in data:
            raise ValidationError(f"Give since too: {given[0]} is looked for from a time on.", "since")
        if data.get("since", 0) >= data.get("until", FOREVER):
            raise ValidationError("Give until later than since.", "until")
