"""The dashboard's pages for prices: all prices, the look-up of one price, and forms for overrides.

A price comes from the price list, which is part of a Python package, or from an override. An override is a stored price
that is used before the list.
"""

from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from governance.container import governance
from governance.domain.errors import Code, Conflict, InvalidRequest
from governance.domain.keys import KeyScope
from governance.domain.pricing.overrides import PriceOverride
from governance.domain.records.price_query import PricesQuery
from governance.web.dashboard import price_views
from governance.web.dashboard.core import addresses, entry_forms, forms, paging
from governance.web.dashboard.core.blueprint import acts, shows
from governance.web.dashboard.core.entry_forms import EntryForm, FormField
from governance.web.http.context import the_request
from schemas import queries
from schemas.loading import load
from schemas.pricing import bodies
from schemas.pricing.lookups import reason
from schemas.pricing.queries import LookupQuery, PriceListQuery

QUERY, LOOKUP = PriceListQuery(), LookupQuery()
CREATE, UPDATE = bodies.PriceCreate(), bodies.PriceUpdate()
PATH = "/api/governance/prices"
NUMBERS = (*bodies.KINDS, "request", "above")
DONE = {
    "created": "The price was created.",
    "changed": "The price was changed.",
    "deleted": "The price was deleted.",
}
ASKED = ("model", "provider", "input_tokens", "output_tokens")
"""The parameters of the look-up. On this page their names have the prefix `for_`."""
HELD = ("It holds in every worker within one poll.", "Open reservations keep the price of their admission.")
FORGOTTEN = ("An earlier override of the model holds again, or the list.", *HELD)


@shows("prices")
def prices() -> ResponseReturnValue:
    """Show a page of prices. If the query string asks for the price of one model, show that price too."""
    args = the_request().args
    raw = b"&".join(part for part in addresses.question().split(b"&") if not part.startswith(b"for_"))
    query: PricesQuery = queries.read(QUERY, raw)
    query = query._replace(page=paging.shown(query.page))
    found = governance().prices.page(query)
    shown = [price_views.override(each) for each in found.overrides]
    shown += [price_views.listed(each, found.now) for each in found.listed]
    asked = {name: args[f"for_{name}"] for name in ASKED if args.get(f"for_{name}")}
    looked_up, faults = _looked_up(asked)
    page = render_template(
        "dashboard/prices.html",
        prices=shown,
        total=found.total,
        page=query.page,
        filters=args,
        info=found.info,
        looked_up=looked_up,
        faults=faults,
        done=DONE.get(args.get("done", "")),
    )
    return page, 400 if faults else 200


@shows("new-price", KeyScope.WRITE)
def new_price() -> ResponseReturnValue:
    """Show the form for a new override. Parameters in the query string fill in fields of the form."""
    return entry_forms.show(_creation(), forms.body(the_request().args, CREATE))


@acts("new-price")
def create_price(fields: MultiDict[str, str]) -> ResponseReturnValue:
    """Create an override: a price, or an alias, which uses the price of another model."""
    body = entry_forms.body_of(fields, CREATE, NUMBERS)
    try:
        new = load(CREATE, body)
        governance().prices.create(new.draft, new.id)
    except (InvalidRequest, Conflict) as error:
        return entry_forms.show(_creation(), body, error=error)
    return addresses.go("prices", source="override", done="created")


@shows("change-price", KeyScope.WRITE)
def change_price_form() -> ResponseReturnValue:
    """Show the form filled with the stored override."""
    price = governance().prices.get(the_request().args.get("id", ""))
    return entry_forms.show(_edit(price), price_views.editable(price), version=str(price.updated_at))


@acts("change-price")
def change_price(fields: MultiDict[str, str]) -> ResponseReturnValue:
    """Store an edit, unless somebody else has changed the override in the meantime."""
    service = governance().prices
    body = entry_forms.body_of(fields, UPDATE, NUMBERS, is_edit=True)
    price = service.get(the_request().args.get("id", ""))
    try:
        service.change(price.id, load(UPDATE, body), seen=entry_forms.seen(fields))
    except (InvalidRequest, Conflict) as error:
        if error.code == Code.STALE_VERSION:
            stored = price_views.editable(price)
            return entry_forms.show(_edit(price), body, version=str(price.updated_at), stored=stored)
        return entry_forms.show(_edit(price), body, version=fields.get("version", ""), error=error)
    return addresses.go("prices", source="override", done="changed")


@shows("delete-price", KeyScope.WRITE)
def delete_price_form() -> ResponseReturnValue:
    """Show what the deletion of an override would do."""
    return entry_forms.show(_deletion(governance().prices.get(the_request().args.get("id", ""))), {})


@acts("delete-price")
def delete_price(_: MultiDict[str, str]) -> ResponseReturnValue:
    """Delete an override."""
    governance().prices.delete(the_request().args.get("id", ""))
    return addresses.go("prices", source="override", done="deleted")


def _looked_up(asked: dict[str, str]) -> tuple[Any, forms.Faults]:
    """Look up the price of one model. Return the result, and the faults of the parameters.

    The result contains the cost, and a sentence that says where the price comes from.
    """
    if not asked:
        return None, {}
    try:
        found = governance().prices.look_up(load(LOOKUP, asked))
    except InvalidRequest as error:
        return None, forms.faults(error)
    return {"reason": reason(found), "cost": found.cost, "model": found.model, "is_found": found.found is not None}, {}


def _fields(tiers: int) -> tuple[FormField, ...]:
    """Return the fields of the form for a price with this number of tiers.

    A tier contains the rates for calls with more input tokens than a given number. The form has an empty row for one
    more tier, up to the largest number of tiers.
    """
    rates = [FormField(kind, f"Dollars per million {kind.replace('_', ' ')} tokens") for kind in bodies.KINDS]
    rows = []
    for at in (f"tiers[{number}]" for number in range(min(tiers + 1, bodies.MOST_TIERS))):
        rows.append(FormField(f"{at}.above", "Tier: for calls with more input tokens than", "Empty for no tier."))
        rows += [FormField(f"{at}.{kind}", f"Tier: {kind.replace('_', ' ')}") for kind in ("input", "output")]
        rows.append(FormField(f"{at}.cached_input", "Tier: cached input"))
    return (
        FormField("model", "Model", "As calls name it.", is_required=True),
        FormField("provider", "Provider", "Empty means any provider."),
        *rates,
        FormField("request", "Dollars per call"),
        FormField("same_as.model", "Or the price of another model", "An alias has no rates of its own."),
        FormField("same_as.provider", "Of the provider"),
        FormField("effective_from", "Holds from", "Such as 2027-01-31T00:00:00Z. Empty means always."),
        *rows,
    )


def _trail() -> list[tuple[str, str]]:
    return [(addresses.link("prices", source="override"), "Prices")]


def _creation() -> EntryForm:
    return EntryForm("New price", _trail(), _fields(0), addresses.link("new-price"), "Create it", ("POST", PATH), HELD)


def _edit(price: PriceOverride) -> EntryForm:
    action = addresses.link("change-price", id=price.id)
    fields = _fields(len(price.price.tiers))
    curl = ("PUT", f"{PATH}/{price.id}")
    return EntryForm(f"Change the price of {price.model}", _trail(), fields, action, "Change it", curl, HELD)


def _deletion(price: PriceOverride) -> EntryForm:
    action = addresses.link("delete-price", id=price.id)
    curl = ("DELETE", f"{PATH}/{price.id}")
    title = f"Delete the price of {price.model}?"
    return EntryForm(title, _trail(), (), action, "Delete it", curl, FORGOTTEN, is_dangerous=True)
