"""`flask governance prices …`: list and look up prices, and set and remove overrides.

An override is a price that an operator has set. It is used instead of the price in the price list. The endpoints
`/api/governance/prices` do the same as these commands.
"""

import re
from decimal import Decimal
from typing import Any

import click
from flask.cli import with_appcontext

from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, note, print_json, say
from governance.cli.terminal.paging import envelope, load_query, note_page, page_options
from governance.cli.terminal.tables import table
from governance.container import Container
from governance.domain.limits import money
from governance.domain.pricing.listed import ListedModel
from governance.domain.pricing.overrides import PriceOverride
from governance.domain.pricing.price import Price, Rates
from governance.domain.pricing.price_json import number
from governance.domain.pricing.schedule import ALWAYS, CostSource
from governance.domain.times import to_the_second
from governance.services.pricing.price_list import COMMAND_PATIENCE
from schemas.loading import load
from schemas.pricing import bodies
from schemas.pricing import prices as shown
from schemas.pricing.lookups import lookup
from schemas.pricing.queries import LookupQuery, PriceListQuery

BODY, QUERY, LOOKUP = bodies.PriceCreate(), PriceListQuery(), LookupQuery()
HEAD = ("SOURCE", "PROVIDER", "MODEL", "INPUT", "OUTPUT", "CACHED", "FROM", "ID")
PER_MILLION = {"input": "input", "output": "output", "cached_input": "cached input"}
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


@click.group()
def prices() -> None:
    """Show prices, and set overrides, which are used before the list."""


@prices.command("list")
@page_options(QUERY)
@json_option
@with_appcontext
def list_prices(*, as_json: bool, **given: str | None) -> None:
    """List prices in dollars per million tokens: overrides first, then the list.

    Example: flask governance prices list --provider openai --search gpt-4o
    """
    with opened() as service:
        query = load_query(QUERY, given)
        found = _ready(service).prices.page(query)
    if as_json:
        documents = [shown.override(each) for each in found.overrides]
        documents += [shown.listed(each, found.now) for each in found.listed]
        listed = shown.list_info(found.info, found.now)
        print_json(envelope("prices", documents, found.total, query.page) | {"price_list": listed})
        return
    rows = [*map(_override_row, found.overrides), *(_listed_row(each, found.now) for each in found.listed)]
    if rows:
        say(table([HEAD, *rows], spare=2))
    note_page(len(rows), found.total, query.page)


@prices.command("lookup")
@click.argument("model")
@page_options(LOOKUP, leave_out=["model"])
@json_option
@with_appcontext
def look_up_price(*, model: str, as_json: bool, **given: str | None) -> None:
    """Show the price of a call to MODEL, where it comes from, and why. Also show the cost of some tokens.

    Example: flask governance prices lookup gpt-4o --provider openai
    """
    with opened() as service:
        result = _ready(service).prices.look_up(load_query(LOOKUP, {"model": model, **given}))
    found = lookup(result)
    if as_json:
        print_json(found)
        return
    say(found["reason"])
    if result.found is not None:
        say(table(_rate_rows(result.found.price)))
    if result.cost is not None:
        say(f"These tokens cost ${money.dollars(result.cost)}.")


@prices.command("set")
@click.argument("model")
@click.option("--provider", help="The provider; left out, the price is for the model of any provider.")
@click.option("--input", metavar="DOLLARS", help="Dollars per million input tokens; 0 is free.")
@click.option("--output", metavar="DOLLARS", help="Dollars per million output tokens.")
@click.option("--cached-input", metavar="DOLLARS", help="Per million input tokens that a cache had.")
@click.option("--cache-write", metavar="DOLLARS", help="Per million input tokens that a cache keeps for five minutes.")
@click.option("--cache-write-1h", metavar="DOLLARS", help="Per million input tokens that a cache keeps for an hour.")
@click.option("--input-audio", metavar="DOLLARS", help="Per million input tokens of audio.")
@click.option("--output-audio", metavar="DOLLARS", help="Per million output tokens of audio.")
@click.option("--request", metavar="DOLLARS", help="Per call, besides its tokens.")
@click.option("--tier", "tiers", multiple=True, metavar="ABOVE:KIND=DOLLARS,…", help="Rates of large inputs.")
@click.option("--same-as", metavar="PROVIDER/MODEL", help="Instead of a price: the model whose price this one has.")
@click.option("--effective-from", metavar="TIME", help="From when on, such as 2027-01-01T00:00:00Z; left out, always.")
@json_option
@with_appcontext
def set_price(*, model: str, tiers: tuple[str, ...], same_as: str | None, as_json: bool, **given: str | None) -> None:
    """Set the price of MODEL. It replaces an override of the same model that begins at the same time.

    Example: flask governance prices set llama-3.3-70b --provider vllm --input 0.4 --output 0.4
    """
    body: dict[str, Any] = {name: _value(name, value) for name, value in given.items() if value is not None}
    if tiers:
        body["tiers"] = [_tier(each) for each in tiers]
    if same_as is not None:
        body["same_as"] = _model(same_as)
    with opened() as service:
        stored, is_new = service.prices.set(load(BODY, body | {"model": model}).draft)
    if as_json:
        print_json({"price": shown.override(stored)})
        return
    note(f"{'Stored' if is_new else 'Changed'}. It holds for new calls within one poll; open reservations keep theirs.")
    say(table([HEAD, _override_row(stored)]))


@prices.command("remove")
@click.argument("price_id", metavar="ID")
@json_option
@with_appcontext
def remove_price(*, price_id: str, as_json: bool) -> None:
    """Remove an override. Then an earlier override of the model holds again, or the price of the list.

    Example: flask governance prices remove 0f6d2f4c-2a9d-4d7e-a1b0-0b5b1f4c7a55
    """
    with opened() as service:
        service.prices.delete(price_id)
    if as_json:
        print_json({"removed": price_id})
    else:
        note(f"Removed: {price_id}.")


def _ready(service: Container) -> Container:
    service.price_list.wait(COMMAND_PATIENCE)
    return service


def _value(name: str, text: str) -> Any:
    """Return the text of a rate as a number. Any other text is returned unchanged, and is checked by the schema."""
    is_rate = name not in ("provider", "effective_from") and NUMBER.fullmatch(text)
    return Decimal(text) if is_rate else text


def _tier(text: str) -> dict[str, Any]:
    above, _, rest = text.partition(":")
    rates = dict(each.partition("=")[::2] for each in rest.split(",")) if rest else {}
    return {"above": int(above) if above.isdecimal() else above} | {
        name.strip().replace("-", "_"): _value(name, value) for name, value in rates.items()
    }


def _model(text: str) -> dict[str, str]:
    """Split `provider/model` into the provider and the model. A name without a slash is a model without a provider."""
    head, slash, rest = text.partition("/")
    return {"provider": head, "model": rest} if slash else {"model": text}


def _override_row(stored: PriceOverride) -> tuple[str, ...]:
    begins = "–" if stored.effective_from == ALWAYS else to_the_second(stored.effective_from)
    priced = (f"= {stored.same_as}", "", "") if stored.same_as else _dollars(stored.price)
    return (CostSource.OVERRIDE, stored.provider or "any", stored.model, *priced, begins, stored.id)


def _listed_row(entry: ListedModel, now: int) -> tuple[str, ...]:
    found = entry.at(now)
    begins = "–" if found.begins == ALWAYS else to_the_second(found.begins)
    return (CostSource.LIST, entry.provider, entry.model, *_dollars(found.price), begins, "–")


def _dollars(price: Price) -> tuple[str, ...]:
    return tuple(_amount(getattr(price.rates, kind)) for kind in PER_MILLION)


def _rate_rows(price: Price) -> list[tuple[str, str]]:
    rows = [*_named(price.rates, ""), *([("request", f"{_amount(price.request)} a call")] if price.request else [])]
    for tier in price.tiers:
        rows += _named(tier.rates, f" above {tier.above} input tokens")
    return rows or [("no rate", "–")]


def _named(rates: Rates, when: str) -> list[tuple[str, str]]:
    given = {kind: rate for kind, rate in rates._asdict().items() if rate is not None}
    return [(kind.replace("_", " ") + when, f"{_amount(rate)} per million tokens") for kind, rate in given.items()]


def _amount(rate: Decimal | None) -> str:
    return "–" if rate is None else f"${number(rate)}"
