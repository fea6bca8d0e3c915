"""`flask governance windows`: list the usage of a limit in its current and past time windows."""

from collections.abc import Iterator

import click
from flask.cli import with_appcontext

from governance.cli.terminal import formatting
from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, print_json, say
from governance.cli.terminal.paging import envelope, load_query, note_page, page_options
from governance.cli.terminal.tables import table
from governance.domain.history.windows import CountedWindow
from governance.domain.records.list_query import Page
from schemas.history import windows as shown
from schemas.history.windows import WindowsQuery

QUERY = WindowsQuery()
HEAD = ("FROM", "TO", "METRIC", "USED", "", "RESERVED", "LIMIT")


@click.command()
@click.argument("limit_id", metavar="ID")
@page_options(QUERY)
@json_option
@with_appcontext
def windows(*, limit_id: str, as_json: bool, **given: str | None) -> None:
    """Show what was used in each window of a limit, past ones too, newest first.

    ID is the id of the limit, as `limits list` shows it.

    Example: flask governance windows 8f1e0c6a-5a0e-4a8f-9f0e-2f6f3f1f0b5d --metric cost
    """
    with opened() as service:
        query = load_query(QUERY, given)
        page = Page(query["limit"], query["offset"])
        found, total, now = service.limit_windows.page(limit_id, query.get("rule_id"), query.get("metric"), page)
    if as_json:
        print_json(envelope("windows", [shown.window(each, now) for each in found], total, page))
        return
    if found:
        say(table([HEAD, *_rows(found)]))
    note_page(len(found), total, page)


def _rows(found: list[CountedWindow]) -> Iterator[tuple[str, ...]]:
    for each in found:
        used, reserved = (formatting.amount(each.metric, value) for value in (each.used, each.reserved))
        yield (
            formatting.when(each.start),
            formatting.when(each.end),
            each.metric,
            used,
            _bar(each),
            reserved,
            "not known" if each.max_limit is None else formatting.amount(each.metric, each.max_limit),
        )


def _bar(found: CountedWindow) -> str:
    most = found.max_limit
    return "" if most is None else formatting.share(min(found.used, most), most)
