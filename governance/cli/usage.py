"""`flask governance usage`: list the budgets and rate limits that are nearest to their maximum."""

from typing import Any

import click
from flask.cli import with_appcontext

from governance.cli.terminal import formatting
from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, note, print_json, say
from governance.cli.terminal.tables import table
from governance.domain.metering.decision import RuleStatus
from governance.domain.times import lasting
from governance.services.metering.overview import UsageOverview
from schemas.metering import decisions

HEAD = ("USED", "", "MODEL", "PROVIDER", "FOR", "WINDOW", "RESETS IN", "DENIED", "ID")
DEFAULT, MOST = 20, 1000


@click.command()
@click.option(
    "--limit", "most", type=click.IntRange(1, MOST), default=DEFAULT, show_default=True, help="How many rules at most."
)
@json_option
@with_appcontext
def usage(*, most: int, as_json: bool) -> None:
    """Show the rules that are nearest to their maximum, and how many calls each limit refused.

    The highest share comes first. Only a budget or rate limit with usage or reservations has a line.

    Example: flask governance usage --limit 5
    """
    with opened() as service:
        nearest = service.overview.nearest(most)
    if as_json:
        shown = [_document(each, nearest) for each in nearest.statuses]
        print_json({"usage": shown, "count": len(shown), "total_count": nearest.rules, "full_count": nearest.full})
        return
    if nearest.statuses:
        say(table([HEAD, *(_row(each, nearest) for each in nearest.statuses)], spare=1))
    note(f"{nearest.full} of {nearest.rules} budgets and rate limits have nothing left.")


def _document(status: RuleStatus, nearest: UsageOverview) -> dict[str, Any]:
    denials = formatting.denials(nearest.denials.get(status.matched.limit.id))
    return {name: value for name, value in decisions.rule(status).items() if name != "requested"} | {"denials": denials}


def _row(status: RuleStatus, nearest: UsageOverview) -> tuple[str, ...]:
    limit, scope_name = status.matched.limit, status.matched.scope_name
    return (
        formatting.gauge(status),
        formatting.amounts(status),
        limit.model_name,
        formatting.provider(limit),
        formatting.scope(limit, scope_name),
        formatting.span(status),
        lasting(status.window.end - nearest.now),
        formatting.denied(nearest.denials.get(limit.id), nearest.now),
        limit.id,
    )
