"""`flask governance forecast`: predict when each rule (a budget, or a part of a rate limit) will be used up."""

import click
from flask.cli import with_appcontext

from governance.cli.terminal import formatting
from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, print_json, say
from governance.cli.terminal.tables import table
from governance.domain.history.forecast import Forecast, Outlook
from schemas.history import windows as shown

HEAD = ("WINDOW", "METRIC", "USED", "LIMIT", "FORECAST", "AT THE RESET", "RESETS")


@click.command()
@click.argument("limit_id", metavar="ID")
@json_option
@with_appcontext
def forecast(*, limit_id: str, as_json: bool) -> None:
    """Show when each rule of a limit runs out, and what it will have used at its reset.

    ID is the id of the limit, as `limits list` shows it.

    Example: flask governance forecast 8f1e0c6a-5a0e-4a8f-9f0e-2f6f3f1f0b5d
    """
    with opened() as service:
        found = service.limit_windows.forecasts(limit_id)
    if as_json:
        print_json({"model_config_id": limit_id, "forecasts": [shown.forecast(each) for each in found]})
        return
    say(table([HEAD, *map(_row, found)]) if found else "No rule: it caps nothing.")


def _row(found: Forecast) -> tuple[str, ...]:
    rule, window = found.rule, found.window
    return (
        rule.reset_duration,
        rule.metric,
        formatting.amount(rule.metric, window.used),
        formatting.amount(rule.metric, rule.max_limit),
        _outlook(found),
        "–" if found.at_reset is None else formatting.amount(rule.metric, found.at_reset),
        formatting.when(window.end),
    )


def _outlook(found: Forecast) -> str:
    if found.outlook == Outlook.RUNS_OUT:
        return f"runs out {formatting.when(found.runs_out_at)}"
    if found.outlook == Outlook.TOO_EARLY:
        return f"from {formatting.when(found.possible_from)} on"
    return "used up" if found.outlook == Outlook.USED_UP else "lasts"
