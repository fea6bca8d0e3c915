"""The schemas of the bodies that create and update a price override.

A price override sets the price of a model. It contains the price itself: dollars per million tokens of each kind
(rates) and dollars per call. Or it is an alias: it gives the model the price of another model.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from marshmallow import ValidationError, fields, post_load

from governance.domain.errors import InvalidRequest
from governance.domain.names import ALL_MODELS
from governance.domain.pricing import drafts
from governance.domain.pricing.drafts import PriceDraft, SameAs
from governance.domain.pricing.price import DECIMALS, MAX_RATE, Price, Rates, Tier
from governance.domain.pricing.schedule import ALWAYS
from governance.domain.pricing.tokens import MAX_TOKENS
from schemas.fields import BoundedList, Integer, Name, Number, Provider, ReadOnly
from schemas.loading import Body
from schemas.time_fields import Instant

MOST_TIERS = 10
KINDS = {
    "input": "input tokens. 0 is free",
    "output": "output tokens",
    "cached_input": "input tokens that a cache had",
    "cache_write": "input tokens that a cache keeps for five minutes",
    "cache_write_1h": "input tokens that a cache keeps for an hour",
    "input_audio": "input tokens of audio",
    "output_audio": "output tokens of audio",
}


class RateField(Number):
    """A rate: exact dollars per million tokens, or per call."""

    default_error_messages = {  # noqa: RUF012
        "range": "Give {field} as a number of dollars from {least} to {most}.",
        "decimals": "Give {field} with at most {decimals} decimals.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=0, most=MAX_RATE, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Decimal:
        number = Decimal(self._ranged(value))
        if number != round(number, DECIMALS):
            raise self.make_error("decimals", decimals=DECIMALS)
        return number


def _rate(kind: str) -> RateField:
    return RateField(allow_none=True, metadata={"description": f"Dollars per million {KINDS[kind]}."})


class OneModel(Name):
    """The name of one model. `*` is refused."""

    default_error_messages = {"star": "Give {field} as one model: a price is not of all models."}  # noqa: RUF012

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        name = super()._deserialize(value)
        if name == ALL_MODELS:
            raise self.make_error("star")
        return name


class RatesBody(Body):
    """The rate of each kind of token."""

    input = _rate("input")
    output = _rate("output")
    cached_input = _rate("cached_input")
    cache_write = _rate("cache_write")
    cache_write_1h = _rate("cache_write_1h")
    input_audio = _rate("input_audio")
    output_audio = _rate("output_audio")


class TierBody(RatesBody):
    """A tier of a price: the rates of a call with more than `above` input tokens.

    If a kind of token has no rate in the tier, the rate outside the tiers applies.
    """

    above = Integer(
        least=1,
        most=MAX_TOKENS,
        required=True,
        metadata={"description": "The rates apply to all tokens of a call with more input tokens than this."},
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Tier:
        """Build the tier. Raises ValidationError if it has no rate."""
        if len(data) == 1:
            raise ValidationError("Give a tier at least one rate.", "above")
        return Tier(data.pop("above"), Rates(**data))


class SameAsBody(Body):
    """The model whose price an alias uses."""

    provider = Provider()
    model = OneModel(required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> SameAs:
        """Return the model and its provider."""
        return SameAs(data["model"], data.get("provider"))


class NewPrice(NamedTuple):
    """A new override as loaded from a body. `id` is None if the body has no id: then the service creates one."""

    id: str | None
    draft: PriceDraft


class PriceBody(RatesBody):
    """The fields that the bodies of a create and an update have in common."""

    provider = Provider(
        allow_none=True, metadata={"description": "The provider; left out, the price is for the model of any provider."}
    )
    same_as = fields.Nested(
        SameAsBody, allow_none=True, metadata={"description": "Instead of a price: the model whose price this one has."}
    )
    request = RateField(allow_none=True, metadata={"description": "Dollars per call, besides its tokens."})
    tiers = BoundedList(
        fields.Nested(TierBody),
        most=MOST_TIERS,
        allow_none=True,
        error_messages={
            "most": f"Give at most {MOST_TIERS} tiers.",
            "invalid": "Give tiers as a list of objects.",
        },
        metadata={"description": "Other rates for calls with large inputs."},
    )
    effective_from = Instant(
        allow_none=True,
        metadata={"description": "From when on the price holds; left out, always. An earlier one holds until then."},
    )
    source = ReadOnly()
    not_priced = ReadOnly()
    created_at = ReadOnly()
    updated_at = ReadOnly()


class PriceCreate(PriceBody):
    """The body of `POST /prices`."""

    id = Name(metadata={"description": "An id of your own; minted where left out."})
    model = OneModel(required=True, metadata={"description": "The model; p/model without a provider names provider p."})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Build the override from the loaded body. Raises ValidationError if its fields contradict each other."""
        draft = draft_of(data)
        for fault in drafts.faults(draft):
            raise ValidationError(fault.message, fault.param or "")
        return NewPrice(data.get("id"), draft)


class PriceUpdate(PriceBody):
    """The body of `PUT /prices/{id}`. A missing field keeps its value, and null removes the value."""

    nullable = frozenset({*KINDS, "provider", "same_as", "request", "tiers", "effective_from"})

    id = ReadOnly()
    model = OneModel()


def changed(before: PriceDraft, body: Mapping[str, Any]) -> PriceDraft:
    """Return the override `before` with the changes of `body`, the loaded body of an update.

    An alias that gets a rate, a price per call or tiers is no longer an alias. An override that gets `same_as` becomes
    an alias, and loses its own price. Raises InvalidRequest if the fields of the result contradict each other.
    """
    kept = _fields(before)
    priced = {*KINDS, "request", "tiers"}
    if body.get("same_as") is not None:
        kept = {name: value for name, value in kept.items() if name not in priced}
    elif any(body.get(name) is not None for name in priced):
        kept.pop("same_as", None)
    after = draft_of({**kept, **body})
    found = list(drafts.faults(after))
    if found:
        raise InvalidRequest.of(found)
    return after


def draft_of(data: Mapping[str, Any]) -> PriceDraft:
    """Build an override without an id from loaded fields."""
    given = {name: data[name] for name in KINDS if data.get(name) is not None}
    tiers = sorted(data.get("tiers") or (), key=lambda tier: tier.above)
    return PriceDraft(
        model=data["model"],
        provider=data.get("provider"),
        same_as=data.get("same_as"),
        price=Price(Rates(**given), data.get("request"), tuple(tiers)),
        effective_from=data.get("effective_from") or ALWAYS,
    )


def _fields(draft: PriceDraft) -> dict[str, Any]:
    price = draft.price
    found = {**price.rates._asdict(), "request": price.request, "tiers": price.tiers, "same_as": draft.same_as}
    whose = {"model": draft.model, "provider": draft.provider, "effective_from": draft.effective_from}
    return {name: value for name, value in (found | whose).items() if value is not None}
