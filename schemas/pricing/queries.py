"""The schemas of the query strings of `GET /prices` and `GET /prices/lookup`."""

from typing import Any

from marshmallow import post_load

from governance.domain.names import canonical_provider, fold
from governance.domain.pricing.schedule import CostSource
from governance.domain.pricing.tokens import MAX_TOKENS, TokenCounts
from governance.domain.records.list_query import Page
from governance.domain.records.price_query import PriceLookupQuery, PricesQuery
from schemas.fields import OneOf
from schemas.pricing.token_counts import SPLIT, check_counts
from schemas.queries import PageQuery, Query, QueryInteger, QueryText
from schemas.time_fields import Instant

SOURCES = {source.value: source for source in (CostSource.OVERRIDE, CostSource.LIST)}


class PriceListQuery(PageQuery):
    """The query string of `GET /prices`."""

    provider = QueryText(metadata={"description": "Only prices of this provider."})
    search = QueryText(load_default="", metadata={"description": "Substring of provider/model, ignoring case."})
    source = OneOf(SOURCES, metadata={"description": "Only overrides, or only the list."})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> PricesQuery:
        """Build the query from the parameters."""
        provider = data.get("provider")
        return PricesQuery(
            page=Page(data["limit"], data["offset"]),
            provider=None if provider is None else canonical_provider(provider),
            search=fold(data["search"]),
            source=data.get("source"),
        )


def _tokens(what: str) -> QueryInteger:
    return QueryInteger(least=0, most=MAX_TOKENS, metadata={"description": f"{what}, to compute a cost."})


class LookupQuery(Query):
    """The query string of `GET /prices/lookup`."""

    model = QueryText(required=True, metadata={"description": "The model, as a call names it."})
    provider = QueryText(metadata={"description": "The provider, as a call names it."})
    at = Instant(metadata={"description": "The instant at which the price must hold; now where left out."})
    input_tokens = _tokens("All input tokens")
    cached_input_tokens = _tokens("The part from a cache")
    cache_write_tokens = _tokens("The part that a cache keeps for five minutes")
    cache_write_1h_tokens = _tokens("The part that a cache keeps for an hour")
    input_audio_tokens = _tokens("The part that is audio")
    output_tokens = _tokens("All output tokens")
    output_audio_tokens = _tokens("The part that is audio")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> PriceLookupQuery:
        """Build the query from the parameters. Raises ValidationError if parts exceed the input or the output."""
        given = {count: data[name] for name, count in SPLIT.items() if name in data}
        counts = TokenCounts(**given) if given else None
        if counts is not None:
            check_counts(counts)
        return PriceLookupQuery(data["model"], data.get("provider") or None, data.get("at"), counts)
