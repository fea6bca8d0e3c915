"""`flask governance …`: what an operator does in a terminal. Thin, like `web/`: load, act, show.

Exit codes: 0 done or nothing to do; 1 a fault, said on standard error.
"""

import json
import sys
from typing import Any

import click
from flask.cli import AppGroup

from governance.domain import money
from governance.domain.errors import GovernanceError
from governance.domain.limits import Metric
from governance.domain.times import rfc3339
from governance.storage.verification import Difference
from governance.web.context import governance

commands = AppGroup("governance", help="Model limits: what an operator does in a terminal.")


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(*, as_json: bool) -> None:
    """Recompute every counter from its ledger, and name every difference.

    May be asked while the service runs. Example: flask governance verify --json
    """
    try:
        total, found = governance().verification.verify()
    except GovernanceError as error:
        sys.exit(error.message)
    if as_json:
        click.echo(json.dumps({"counters": total, "differences": [_shown(each) for each in found]}))
    elif not found:
        click.echo(f"Counters: {total}. Each equals its ledger.")
    for each in () if as_json else found:
        click.echo(_line(each), err=True)
    sys.exit(1 if found else 0)


def _shown(difference: Difference) -> dict[str, Any]:
    return difference._asdict() | {"window_start": rfc3339(difference.window_start)}


def _line(difference: Difference) -> str:
    """One difference in a sentence; amounts of a budget are dollars."""
    amount = money.dollars if difference.metric == Metric.COST else str
    used, ledger_used, reserved, ledger_reserved = (amount(value) for value in difference[3:])
    return (
        f"{difference.metric} of rule {difference.rule_id} from {rfc3339(difference.window_start)}: "
        f"used {used}, its ledger says {ledger_used}; reserved {reserved}, its ledger says {ledger_reserved}."
    )
