"""All commands `flask governance …`, as one group.

Like an HTTP endpoint, a command checks its options, calls a service and shows the result. The exit code is 0 if
everything was done or nothing needs to be done. It is 1 after an error, with a message on standard error. It is 2 if
`--dry-run` finds something that would change.
"""

import os
import sys
from io import TextIOWrapper
from typing import Any

import click
from flask.cli import AppGroup

from governance import __version__
from governance.cli.audit import audit
from governance.cli.backup import backup
from governance.cli.check import check
from governance.cli.compact import compact
from governance.cli.doctor import doctor
from governance.cli.export import export
from governance.cli.forecast import forecast
from governance.cli.import_bifrost import import_bifrost
from governance.cli.init import init
from governance.cli.keys import keys
from governance.cli.limits import limits
from governance.cli.prices import prices
from governance.cli.report import report
from governance.cli.restore import restore
from governance.cli.sync import sync
from governance.cli.terminal.output import note
from governance.cli.usage import usage
from governance.cli.verify import verify
from governance.cli.virtual_keys import virtual_keys
from governance.cli.what_if import what_if
from governance.cli.windows import windows
from governance.services.actor import acting_as
from governance.settings import Settings

FAULT = 1


class Commands(AppGroup):
    """The group of all commands."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command.

        After a usage error, the exit code is 1. Click would use 2, but here 2 means that a dry run found a change.
        """
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                # print `?` for a character that the stream's encoding lacks, instead of raising an error
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.show()
            ctx.exit(FAULT)


@click.group("governance", cls=Commands)
@click.version_option(__version__, prog_name="model limits")
@click.pass_context
def commands(context: click.Context) -> None:
    """Commands for operators."""
    for sentence in Settings.misspelt(os.environ):
        note(f"Warning: {sentence}")
    context.with_resource(acting_as(f"command:{context.invoked_subcommand}"))


ALL = (
    limits,
    usage,
    report,
    windows,
    forecast,
    what_if,
    keys,
    virtual_keys,
    prices,
    sync,
    check,
    export,
    import_bifrost,
    audit,
    verify,
    backup,
    restore,
    init,
    compact,
    doctor,
)
for command in ALL:
    commands.add_command(command)
