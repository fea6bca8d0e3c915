"""`flask governance audit`: list the audit log."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import click
from flask.cli import with_appcontext

from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, say
from governance.cli.terminal.paging import load_query
from governance.domain.records.audit import AuditAction, RecordedEntry
from governance.domain.records.list_query import DEFAULT_PAGE, FARTHEST_OFFSET, Page
from governance.domain.times import rfc3339
from schemas import render
from schemas.audit import AuditListQuery, entry

QUERY = AuditListQuery()
OF_ITEMS = "[*].id"
"""The end of the name of a field that contains the ids of a limit's budgets or rate limits.

Such a field is hidden if other fields have changed. The names of the other fields already identify a budget or a rate
limit by the length of its window, such as `budgets[1d].max_limit`.
"""


@click.command()
@click.option("--entity", help="model_config, virtual_key, user or api_key.")
@click.option("--entity-id", help="Only changes of the thing with this id.")
@click.option("--actor", help="Such as key:<id>, command:<name> or file:<name>.")
@click.option("--action", help="create, update or delete.")
@click.option("--since", help="From this time on, such as 2026-11-23T00:00:00Z.")
@click.option("--until", help="Before this time.")
@click.option("--limit", type=click.IntRange(1, FARTHEST_OFFSET), default=DEFAULT_PAGE, show_default=True)
@json_option
@with_appcontext
def audit(*, limit: int, as_json: bool, **filters: str | None) -> None:
    """Show who changed what and when, with the old and the new values, newest first.

    Example: flask governance audit --entity model_config --limit 5
    """
    with opened() as service:
        query = load_query(QUERY, filters)
        entries, total = service.audit.page(query._replace(page=Page(limit)))
    if as_json:
        shown = {
            "audit": [entry(each) for each in entries],
            "total_count": total,
            "count": len(entries),
            "limit": limit,
        }
        click.echo(render.dumps(shown | {"offset": 0}))
        return
    for each in entries:
        say("\n".join(_lines(each)))
    say(_summary(len(entries), total))


def _summary(shown: int, total: int) -> str:
    return f"Changes: {total}." if shown == total else f"Changes: {total}; shown are the newest {shown} (see --limit)."


def _lines(recorded: RecordedEntry) -> Iterator[str]:
    """Yield a line for the changed object, and a line for each changed field."""
    row = recorded.entry
    yield f"{rfc3339(row.at):27}  {row.action}  {row.entity} {row.entity_id}  by {row.actor}"
    changes = json.loads(row.changes, parse_float=Decimal)
    for change in [each for each in changes if not each["field"].endswith(OF_ITEMS)] or changes:
        yield f"    {change['field']}: {_change(row.action, change)}"


def _change(action: str, change: dict[str, Any]) -> str:
    """Return `old → new`.

    For a created object return only the new value, and for a deleted object only the old value.
    """
    sides = {AuditAction.CREATE: ("new",), AuditAction.DELETE: ("old",)}.get(AuditAction(action), ("old", "new"))
    return " → ".join(_value(change[side]) for side in sides)


def _value(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)
