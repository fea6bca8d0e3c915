"""`/api/governance/prices`: prices of tokens. Overrides are stored with this API. The list is part of the service."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from governance.container import governance
from governance.domain.errors import Code
from governance.domain.keys import KeyScope
from governance.domain.records.price_query import PriceLookupQuery, PricesQuery
from governance.web.http.answers import answer, plain_page
from governance.web.http.flask_app import HttpResponse
from governance.web.http.operation import operation
from schemas.pricing import bodies, prices, queries
from schemas.pricing.lookups import lookup
from schemas.responses.envelopes import Done
from schemas.responses.prices import PriceFound, PriceList, PriceLookedUp, PriceWritten

blueprint = Blueprint("prices", __name__, url_prefix="/api/governance/prices")


@blueprint.get("")
@operation(
    "List prices",
    scope=KeyScope.READ,
    query=queries.PriceListQuery(),
    answer=PriceList(),
    refusals=(Code.NOT_READY,),
)
def list_prices(query: PricesQuery) -> HttpResponse:
    """Return a page of prices. The overrides come first, newest first. Then comes the list, by provider and model."""
    found = governance().prices.page(query)
    shown = [prices.override(each) for each in found.overrides]
    shown += [prices.listed(each, found.now) for each in found.listed]
    listed = {"price_list": prices.list_info(found.info, found.now)}
    return plain_page("prices", shown, found.total, query.page, listed)


@blueprint.get("/lookup")
@operation(
    "Look up a price",
    scope=KeyScope.READ,
    also=KeyScope.METER,
    query=queries.LookupQuery(),
    answer=PriceLookedUp(),
    refusals=(Code.NOT_READY,),
)
def look_up_price(query: PriceLookupQuery) -> HttpResponse:
    """Return the price of a call to a model, where the price comes from, and why.

    Also return the cost of the given numbers of tokens.
    """
    return answer(lookup(governance().prices.look_up(query)))


@blueprint.post("")
@operation(
    "Create a price override",
    scope=KeyScope.WRITE,
    body=bodies.PriceCreate(),
    answer=PriceWritten(),
    refusals=(Code.ALREADY_EXISTS,),
)
def create_price(body: bodies.NewPrice) -> HttpResponse:
    """Store a price for a model, or an alias, which is the name of another model with the same price.

    Every worker process uses it after its next poll of the database.
    """
    new = governance().prices.create(body.draft, body.id)
    return answer({"message": "Price created successfully", "price": prices.override(new)})


@blueprint.get("/<id:price_id>")
@operation("Read a price override", scope=KeyScope.READ, answer=PriceFound(), refusals=(Code.PRICE_NOT_FOUND,))
def get_price(price_id: str) -> HttpResponse:
    """Read one override."""
    return answer({"price": prices.override(governance().prices.get(price_id))})


@blueprint.put("/<id:price_id>")
@operation(
    "Change a price override",
    scope=KeyScope.WRITE,
    body=bodies.PriceUpdate(),
    answer=PriceWritten(),
    refusals=(Code.PRICE_NOT_FOUND, Code.ALREADY_EXISTS),
)
def update_price(price_id: str, body: Mapping[str, Any]) -> HttpResponse:
    """Store an edit. A missing field keeps its value, and null removes the value.

    Open reservations keep the price that they had before.
    """
    after = governance().prices.change(price_id, body)
    return answer({"message": "Price updated successfully", "price": prices.override(after)})


@blueprint.delete("/<id:price_id>")
@operation("Delete a price override", scope=KeyScope.WRITE, answer=Done(), refusals=(Code.PRICE_NOT_FOUND,))
def delete_price(price_id: str) -> HttpResponse:
    """Delete an override. Then an earlier override of the model applies again, or the price of the list."""
    governance().prices.delete(price_id)
    return answer({"message": "Price deleted successfully"})
