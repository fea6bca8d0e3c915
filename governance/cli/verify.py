"""`flask governance verify`: check that stored sums of usage equal the calls that they sum.

A counter contains the usage of one budget or rate limit in one time window. Its ledger contains the amounts that each
call added to it. The usage history contains the sums of all calls for each 15 minutes, day and month. The command also
finds counters that are almost too large to be stored.
"""

import sys
from typing import Any

import click
from flask.cli import with_appcontext

from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, note, print_json
from governance.domain.history.verification import UsageDifference
from governance.domain.limits import money
from governance.domain.limits.limit import Metric
from governance.domain.metering.verification import CounterDifference, FullCounter
from governance.domain.times import rfc3339
from schemas.history import rows


@click.command()
@json_option
@with_appcontext
def verify(*, as_json: bool) -> None:
    """Compare every counter with its ledger, and the usage history with all stored calls.

    The service may run meanwhile. The exit code is 1 if anything differs, or if a counter is near the largest value
    that it can have.

    Example: flask governance verify --json
    """
    with opened() as service:
        total, differences = service.verification.verify()
        full = service.verification.full()
        compared, usage = service.verification.verify_history()
    if as_json:
        shown = {"differences": [_shown(each) for each in differences], "full": [_shown(each) for each in full]}
        history = {"history": compared, "history_differences": [_shown_usage(each) for each in usage]}
        print_json({"counters": total, **shown, **history})
    else:
        _print(total, differences, full)
        _print_history(compared, usage)
    sys.exit(1 if differences or full or usage else 0)


def _print_history(compared: int, differences: list[UsageDifference]) -> None:
    if not differences:
        click.echo(f"Usage history: {compared} buckets, days and months. Each equals the calls that it sums.")
    for each in differences:
        who = ", ".join(name for name in each.series if name)
        stored, summed = each.stored._asdict(), each.summed._asdict()
        told = [
            f"{name} {_amount(name, value)}, its calls say {_amount(name, summed[name])}"
            for name, value in stored.items()
            if value != summed[name]
        ]
        note(f"{each.period} from {rfc3339(each.start)} of {who}: {'; '.join(told)}.")


def _amount(name: str, value: int) -> str:
    return f"${money.dollars(value)}" if name in rows.MONEY else str(value)


def _shown_usage(each: UsageDifference) -> dict[str, Any]:
    amounts = {"stored": rows.amounts(each.stored), "summed": rows.amounts(each.summed)}
    return {"period": each.period, "start": rfc3339(each.start), **each.series._asdict(), **amounts}


def _print(total: int, differences: list[CounterDifference], full: list[FullCounter]) -> None:
    if not differences:
        click.echo(f"Counters: {total}. Each equals its ledger.")
    for line in (*map(_line, differences), *map(_line_of_full, full)):
        note(line)


def _shown(difference: CounterDifference | FullCounter) -> dict[str, Any]:
    return difference._asdict() | {"window_start": rfc3339(difference.window_start)}


def _line(difference: CounterDifference) -> str:
    """Return the sentence that reports a difference. Amounts of a budget are in dollars."""
    amount = money.dollars if difference.metric == Metric.COST else str
    used, ledger_used, reserved, ledger_reserved = (amount(value) for value in difference[3:])
    return (
        f"{difference.metric} of rule {difference.rule_id} from {rfc3339(difference.window_start)}: "
        f"used {used}, its ledger says {ledger_used}; reserved {reserved}, its ledger says {ledger_reserved}."
    )


def _line_of_full(counter: FullCounter) -> str:
    return (
        f"{counter.metric} of rule {counter.rule_id} from {rfc3339(counter.window_start)}: PUT reset_usage: true on "
        "its limit, since its sum has come near 2^62 and more is refused."
    )
