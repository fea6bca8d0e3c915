"""Metering, coming in: what is asked, settled and reported."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError

from governance.domain.limits import money
from governance.domain.metering.request import (
    DEFAULT_TTL,
    LONGEST_TTL,
    MAX_REQUESTS,
    Call,
    RequestedAmounts,
    ReservationRequest,
)
from governance.domain.metering.reservation import Actual, Status
from governance.domain.pricing.tokens import MAX_TOKENS
from schemas.fields import Integer, Name, Number, OneOf, Provider
from schemas.loading import FlatBody
from schemas.queries import PageQuery


class Cost(Number):
    """The cost of one call in dollars, any number of decimals; becomes nano-dollars, rounded up."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=0, most=money.MAX_COST // money.NANOS, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number: int | Decimal = self._ranged(value)
        nanos, _exact = money.nanos(number, money.MAX_COST)
        return nanos


class Tokens(Integer):
    """The tokens of one call."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=0, most=MAX_TOKENS, **kwargs)


class CallBody(FlatBody):
    """A call to a model, on whose behalf, and how much of it."""

    model = Name(required=True, metadata={"description": "The model; p/model without a provider names provider p."})
    provider = Provider()
    virtual_key_id = Name(metadata={"description": "The virtual key that pays, by its id."})
    user_id = Name(metadata={"description": "The user that pays."})
    tokens = Tokens(metadata={"description": "0 passes always; left out passes while any are left. Neither holds any."})
    cost = Cost(
        metadata={
            "description": "Dollars, rounded up to the billionth. 0, such as of a free model, passes always; "
            "left out passes while anything is left. Neither holds any."
        }
    )


class ReservationCreate(CallBody):
    """The body of `POST /reservations` and of `POST /check`."""

    virtual_key = Name(metadata={"description": "The virtual key that pays, by its value."})
    input_tokens = Tokens(metadata={"description": "Instead of tokens, together with output_tokens."})
    output_tokens = Tokens(metadata={"description": "Instead of tokens: the most that the answer may have."})
    ttl_seconds = Integer(
        least=1,
        most=LONGEST_TTL,
        load_default=DEFAULT_TTL,
        metadata={"description": "How long the hold lasts without a settle; extend it for long streams."},
    )

    def one_form(self, data: dict[str, Any], original: Any) -> None:
        """Refuse two ways of saying the same thing."""
        given = original.get if isinstance(original, Mapping) else data.get
        in_parts = given("input_tokens") is not None or given("output_tokens") is not None
        if in_parts and given("tokens") is not None:
            raise ValidationError("Give tokens, or input_tokens and output_tokens, not both.", "tokens")
        if given("virtual_key") is not None and given("virtual_key_id") is not None:
            raise ValidationError("Give virtual_key or virtual_key_id, not both.", "virtual_key")
        if data.get("input_tokens", 0) + data.get("output_tokens", 0) > MAX_TOKENS:
            sentence = f"Give input_tokens and output_tokens of at most {MAX_TOKENS} together."
            raise ValidationError(sentence, "input_tokens")

    def make(self, data: dict[str, Any]) -> ReservationRequest:
        """Turn the body into what is asked."""
        tokens = data.get("tokens")
        if "input_tokens" in data or "output_tokens" in data:
            tokens = data.get("input_tokens", 0) + data.get("output_tokens", 0)
        call = Call(data["model"], data.get("provider"), data.get("virtual_key_id"), data.get("user_id"))
        amounts = RequestedAmounts(data.get("cost"), tokens)
        return ReservationRequest(call, amounts, data["ttl_seconds"], data.get("virtual_key"))


class UsageReport(CallBody):
    """The body of `POST /usage`: an amount left out is 0."""

    tokens = Tokens(metadata={"description": "What was used; 0 where left out."})
    cost = Cost(metadata={"description": "Dollars that were spent, rounded up to the billionth; 0 where left out."})
    requests = Integer(least=0, most=MAX_REQUESTS, load_default=1, metadata={"description": "How many calls this was."})

    def make(self, data: dict[str, Any]) -> ReservationRequest:
        """Turn the body into what was used."""
        call = Call(data["model"], data.get("provider"), data.get("virtual_key_id"), data.get("user_id"))
        amounts = RequestedAmounts(data.get("cost", 0), data.get("tokens", 0), data["requests"])
        return ReservationRequest(call, amounts)


class Settlement(FlatBody):
    """The body of `POST /reservations/{id}/settle`: an amount left out settles at what was held, 0 at nothing."""

    optional = True

    tokens = Tokens(metadata={"description": "What was used; as held where left out."})
    cost = Cost(metadata={"description": "Dollars that were spent; as held where left out."})

    def make(self, data: dict[str, Any]) -> Actual:
        """Turn the body into the actual amounts."""
        return Actual(data.get("tokens"), data.get("cost"))


class Extension(FlatBody):
    """The body of `POST /reservations/{id}/extend`."""

    optional = True
    """No body is an empty object, so that its refusal names what is missing."""

    ttl_seconds = Integer(
        least=1, most=LONGEST_TTL, required=True, metadata={"description": "Seconds from now; never less than it has."}
    )


class ReservationsQuery(PageQuery):
    """The question to `GET /reservations`."""

    status = OneOf(
        {status.value: status.value for status in Status if status != Status.REPORTED},
        metadata={"description": "Only reservations in this state."},
    )
