"""`flask governance …`: what an operator does in a terminal. Thin, like `web/`: load, act, show.

Exit codes: 0 done or nothing to do; 1 a fault, said on standard error; 2 (`--dry-run`) something would change.
"""

import click
from flask.cli import AppGroup

from governance.cli.audit import audit
from governance.cli.verify import verify
from governance.services.acting import acting_as


@click.group("governance", cls=AppGroup)
@click.pass_context
def commands(context: click.Context) -> None:
    """Model limits: what an operator does in a terminal."""
    context.with_resource(acting_as(f"command:{context.invoked_subcommand}"))


for command in (audit, verify):
    commands.add_command(command)
