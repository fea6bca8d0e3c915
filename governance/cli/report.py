"""`flask governance report`: who spent what, as a table with bars, as CSV, or as JSON."""

import sys
from collections.abc import Iterable

import click
from flask.cli import with_appcontext

from governance.cli.terminal.database import opened
from governance.cli.terminal.formatting import member, share
from governance.cli.terminal.output import json_option, note, print_json, say, since_option, until_option
from governance.cli.terminal.tables import table
from governance.container import Container
from governance.domain.history.calendar import Period
from governance.domain.history.query import COLUMNS, HistoryQuery, UsagePage, UsageRow
from governance.domain.limits import money
from governance.domain.times import to_the_second
from schemas.history import rows
from schemas.history.queries import HistoryListQuery
from schemas.loading import load

QUERY = HistoryListQuery()
AMOUNTS = ("COST", "", "CALLS", "TOKENS", "DENIED")


@click.command()
@since_option
@until_option
@click.option(
    "--by", "group_by", default="virtual_key", show_default=True, help="Some of provider,model,virtual_key,user."
)
@click.option("--bucket", default="total", show_default=True, help="15m, hour, day, week, month or total.")
@click.option("--timezone", help="Whose days and months; GOVERNANCE_TIMEZONE where left out.")
@click.option("--provider", help="Only usage of this provider.")
@click.option("--model", help="Only usage of this model.")
@click.option("--virtual-key-id", help="Only usage of this virtual key.")
@click.option("--user-id", help="Only usage of this user.")
@click.option("--limit", default="25", show_default=True, help="How many rows; --csv has all.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all rows as CSV.")
@json_option
@with_appcontext
def report(*, as_csv: bool, as_json: bool, **given: str | None) -> None:
    """Show who spent what: the highest cost first.

    Example: flask governance report --since 30d --by virtual_key
    """
    with opened() as service:
        query = _query(service, given)
        if as_csv:
            for line in rows.csv_lines(query, service.history.stream(query)):
                sys.stdout.write(line)
            return
        page = service.history.page(query)
        bounds = service.history.bounds(query)
    if as_json:
        shown = [rows.row(query, page, each) for each in page.rows]
        print_json({"usage": shown, "total_count": page.total, "sum": rows.amounts(page.sum), **bounds})
        return
    if page.rows:
        heads = [group.value.replace("_", " ").upper() for group in query.groups]
        when = [] if query.period == Period.TOTAL else ["FROM"]
        say(table([(*when, *heads, *AMOUNTS), *_cells(query, page, page.rows)]))
    more = f" Rows: {len(page.rows)} of {page.total}." if len(page.rows) < page.total else ""
    note(f"{bounds['since']} to {bounds['until']}: ${money.dollars(page.sum.cost)}, {page.sum.requests:,} calls.{more}")


def _query(service: Container, given: dict[str, str | None]) -> HistoryQuery:
    words = {name: value for name, value in given.items() if value} | {"sort_by": "cost"}
    return service.history.query(load(QUERY, words))


def _cells(query: HistoryQuery, page: UsagePage, found: Iterable[UsageRow]) -> Iterable[tuple[str, ...]]:
    listed = list(found)
    highest = max((each.amounts.cost for each in listed), default=0)
    for span, series, used in listed:
        when = [] if query.period == Period.TOTAL else [to_the_second(span.start)]
        tokens = used.input_tokens + used.output_tokens + used.other_tokens
        names = [member(getattr(series, COLUMNS[group]), page.names.get(group, {})) for group in query.groups]
        counts = (f"{each:,}" for each in (used.requests, tokens, used.denied))
        yield (*when, *names, f"${money.dollars(used.cost)}", share(used.cost, highest), *counts)
