"""`flask governance doctor`: check everything that the service needs, and say what to do about each problem."""

import sys

import click
from flask.cli import with_appcontext

from governance.cli.terminal.database import unchecked
from governance.cli.terminal.output import json_option, note, print_json, say
from governance.cli.terminal.tables import Styled, table
from governance.services.operations.doctor import Finding

WORDS = {
    True: Styled(click.style("ok", fg="green")),
    False: Styled(click.style("to do", fg="red")),
    None: "–",
}


@click.command()
@json_option
@with_appcontext
def doctor(*, as_json: bool) -> None:
    """Check everything that the service needs, and say what to do about each problem.

    The command looks at the database, its files, the disk, the clock and the settings. It works even if the service
    does not start.

    Example: flask governance doctor
    """
    with unchecked() as service:
        findings = service.doctor.look()
    failed = sum(finding.ok is False for finding in findings)
    if as_json:
        print_json({"ok": not failed, "checks": [finding._asdict() for finding in findings]})
    else:
        say(table([_row(finding) for finding in findings]))
    if failed and not as_json:
        note(f"{failed} of {len(findings)} checks say what to do.")
    sys.exit(1 if failed else 0)


def _row(finding: Finding) -> tuple[str, ...]:
    return WORDS[finding.ok], finding.check, finding.message
