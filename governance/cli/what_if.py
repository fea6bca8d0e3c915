"""`flask governance what-if`: show which past calls a limit would have refused, if it had existed."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import click
from flask.cli import with_appcontext

from governance.cli.terminal import formatting
from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, note, print_json, say, since_option, stop, until_option
from governance.cli.terminal.tables import table
from governance.domain.history.what_if import Bounds, WhatIf
from governance.domain.limits.limit import Metric
from governance.services.history.what_if import WhatIfAnswer
from schemas.history import what_if as shown
from schemas.history.what_if import WhatIfBody
from schemas.loading import load

BODY = WhatIfBody()
NO_MAXIMUM = "Give --budget, --tokens or --requests: a limit without a maximum refuses nothing."
ARE_BOUNDS = (
    "These are bounds: of older calls only sums of 15 minutes are kept. Give a later --since for exact numbers."
)
HEAD = ("BY", "NAME", "CALLS", "REFUSED")


class WindowOption(click.ParamType[tuple[Decimal | int, str]]):
    """The type of an option whose value is an amount and the length of its window, such as `18/1d`."""

    name = "AMOUNT/DURATION"
    form = re.compile(r"\$?([0-9]+(?:\.[0-9]+)?)/(\S+)")

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Decimal | int, str]:
        """Return the amount and the duration.

        If the text has another form, end the command with an error that names the option.
        """
        match = self.form.fullmatch(value)
        if match is None:
            self.fail("Give an amount and a duration, such as 18/1d.", param, ctx)
        return Decimal(match[1]) if "." in match[1] else int(match[1]), match[2]


WINDOW = WindowOption()


@click.command("what-if")
@click.option("--model", "model_name", default="*", show_default=True, help="The model; * is all models.")
@click.option("--provider", help="The provider; all where left out.")
@click.option("--scope", help="global, virtual_key or user; global where left out.")
@click.option("--scope-id", help="The id of the virtual key or user.")
@click.option("--budget", "budgets", multiple=True, type=WINDOW, help="Dollars, such as 18/1d; as often as needed.")
@click.option("--tokens", multiple=True, type=WINDOW, help="Tokens, such as 1000000/1h; as often as needed.")
@click.option("--requests", multiple=True, type=WINDOW, help="Calls, such as 100/1m; as often as needed.")
@click.option("--calendar-aligned", is_flag=True, help="Windows of days, weeks, months and years follow the calendar.")
@click.option("--timezone", help="Whose calendar; UTC where left out.")
@since_option
@until_option
@json_option
@with_appcontext
def what_if(*, since: str | None, until: str | None, as_json: bool, **given: Any) -> None:
    """Show how many past calls a limit would have refused, and whose. Nothing is stored.

    Example: flask governance what-if --model gpt-4o --budget 18/1d --since 7d
    """
    if not any(given[name] for name in ("budgets", "tokens", "requests")):
        stop(NO_MAXIMUM)
    times = {"since": since, "until": until}
    asked = {"model_config": _limit(**given)} | {name: value for name, value in times.items() if value}
    with opened() as service:
        body = load(BODY, asked)
        answer = service.what_ifs.ask(body["model_config"], body.get("since"), body.get("until"))
    if as_json:
        print_json(shown.answer(*answer))
        return
    rows = list(_rows(answer))
    if rows:
        say(table([HEAD, *rows]))
    for line in _lines(answer):
        note(line)


def _limit(
    *,
    budgets: Iterable[tuple[Decimal | int, str]],
    tokens: Iterable[tuple[Decimal | int, str]],
    requests: Iterable[tuple[Decimal | int, str]],
    **given: Any,
) -> dict[str, Any]:
    """Return the options as a body of `POST /model-configs`. The body has no field for an option that was not given."""
    return {
        **{name: value for name, value in given.items() if value},
        "budgets": [_window("", *each) for each in budgets],
        "rate_limits": [
            *(_window("token_", *each) for each in tokens),
            *(_window("request_", *each) for each in requests),
        ],
    }


def _window(prefix: str, amount: Decimal | int, duration: str) -> dict[str, Any]:
    return {f"{prefix}max_limit": amount, f"{prefix}reset_duration": duration}


def _rows(answer: WhatIfAnswer) -> Iterator[tuple[str, ...]]:
    for group, refused in answer.found.refused_by.items():
        names = answer.names.get(group, {})
        kind = group.replace("_", " ")
        for each in refused.top:
            yield kind, formatting.member(each.value, names), f"{each.calls:,}", _between(each.refused, Metric.REQUESTS)
        if refused.others:
            yield kind, f"{refused.others:,} more", "", _between(refused.others_refused, Metric.REQUESTS)


def _lines(answer: WhatIfAnswer) -> Iterator[str]:
    found, span = answer.found, answer.span
    yield f"{formatting.when(span.start)} to {formatting.when(span.end)}, {_first(found)}"
    spent = _between(found.spent, Metric.COST)
    yield f"Spent: {spent} of {formatting.amount(Metric.COST, found.cost)}."
    if not found.is_exact:
        yield ARE_BOUNDS


def _first(found: WhatIf) -> str:
    refused = f"{_between(found.refused, Metric.REQUESTS)} of {found.calls:,} calls refused"
    if found.latest is None:
        return f"{refused}."
    return f"{refused}, the first {'' if found.is_exact else 'by '}{formatting.when(found.latest)}."


def _between(bounds: Bounds, metric: str) -> str:
    least, most = (formatting.amount(metric, each) for each in bounds)
    return least if least == most else f"{least} to {most}"
