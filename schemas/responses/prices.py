"""Describes the responses about prices, and the price of a call in other responses.

A price entry is an override (a price that users set for a model), or an entry of the list of prices that comes with
the service. A rate is a price in dollars per million tokens of one kind.
"""

from marshmallow import Schema, fields

from schemas.responses.envelopes import Done, Paged
from schemas.responses.fields import instant, text, whole

RATE = "Dollars per million {}. Left out if the price has no rate of this kind."


def cost_source() -> fields.String:
    """Return the field that says where a cost comes from."""
    return fields.String(
        required=True,
        metadata={
            "enum": ["given", "override", "list", "none"],
            "description": "Where the cost comes from: given by the caller, or computed by a price that is stored here "
            "or by one of the list. none: no cost was given or computed.",
        },
    )


def warnings() -> fields.List[str]:
    """Return the field for warnings. A response without warnings does not contain it."""
    return fields.List(fields.String(), metadata={"description": "What to do about a price that is not known."})


def _rate(kind: str) -> fields.Decimal:
    return fields.Decimal(metadata={"type": "number", "description": RATE.format(kind)})


class RatesShown(Schema):
    """The rate of each kind of token."""

    input = _rate("input tokens")
    output = _rate("output tokens")
    cached_input = _rate("input tokens from a cache")
    cache_write = _rate("input tokens that a cache keeps for five minutes")
    cache_write_1h = _rate("input tokens that a cache keeps for an hour")
    input_audio = _rate("input tokens of audio")
    output_audio = _rate("output tokens of audio")


class AboveShown(Schema):
    """The number of input tokens above which a tier begins."""

    above = whole("The rates apply to all tokens of a call with more input tokens than this.")


class TierShown(RatesShown, AboveShown):
    """A tier of a price: the rates of calls with large inputs."""


class CallRates(RatesShown):
    """All rates of a price, the price per call, and the tiers."""

    request = fields.Decimal(metadata={"type": "number", "description": "Dollars per call. Left out if it has none."})
    tiers = fields.List(fields.Nested(TierShown), metadata={"description": "Left out if there are none."})


class UsedEntry(Schema):
    """The price entry from which the price of a call comes. A field without a value is left out."""

    source = fields.String(required=True, metadata={"enum": ["override", "list"]})
    provider = fields.String()
    model = text()
    same_as = fields.String(metadata={"description": "The model that an alias leads to."})
    effective_from = fields.String(metadata={"format": "date-time", "description": "From when on it holds."})


class PriceUsed(CallRates, UsedEntry):
    """The price of a call, and the price entry from which it comes."""


class SameAsShown(Schema):
    """The model whose price an alias uses."""

    provider = text(null=True)
    model = text()


class EntryHead(Schema):
    """The id, the source and the model of a price entry."""

    id = text("Null for an entry of the list.", null=True)
    source = fields.String(required=True, metadata={"enum": ["override", "list"]})
    provider = text(null=True)
    model = text()
    same_as = fields.Nested(SameAsShown, required=True, allow_none=True)


class EntryTimes(Schema):
    """When a price entry applies, what it does not price, and when it was stored."""

    effective_from = instant("From when on it holds; null if it always holds.", null=True)
    not_priced = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Rates of the list that are not used, such as those of images and searches."},
    )
    created_at = instant(null=True)
    updated_at = instant(null=True)


class PriceEntry(EntryTimes, CallRates, EntryHead):
    """A price entry: an override, or an entry of the list."""


class ListShown(Schema):
    """The list of prices that comes with the service."""

    status = fields.String(required=True, metadata={"enum": ["loading", "loaded", "failed"]})
    version = text("The version of the package genai-prices.", null=True)
    newest_price = fields.String(
        required=True,
        allow_none=True,
        metadata={"format": "date", "description": "When the newest of its prices begins."},
    )
    age_days = whole("Days since then; the list may be newer.", null=True)


class PriceFound(Schema):
    """The response to a request for one override."""

    price = fields.Nested(PriceEntry, required=True)


class PriceWritten(Done):
    """The response to a create or an update: the stored override."""

    price = fields.Nested(PriceEntry, required=True)


class PriceList(Paged):
    """A page of price entries."""

    prices = fields.List(fields.Nested(PriceEntry), required=True)
    price_list = fields.Nested(ListShown, required=True)


class PriceLookedUp(Schema):
    """The response to a price look-up: the price of a call to a model."""

    provider = text("The provider, as calls are matched.", null=True)
    model = text("The model, as calls are matched.")
    at = instant("The instant of the look-up.")
    source = fields.String(required=True, metadata={"enum": ["override", "list", "none"]})
    price = fields.Nested(PriceUsed, required=True, allow_none=True)
    cost = fields.Decimal(
        required=True,
        allow_none=True,
        metadata={
            "type": "number",
            "description": "Dollars for the tokens in the query; null without tokens, or if it cannot be told.",
        },
    )
    reason = text("Where the price comes from, or what to do if there is none.")
    not_priced = fields.List(fields.String(), required=True)
    price_list = fields.Nested(ListShown, required=True)
