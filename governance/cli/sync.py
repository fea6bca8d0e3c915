"""`flask governance sync`: apply a config file to the database."""

import sys
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, print_json, say, stop
from governance.cli.terminal.plans import lines
from governance.cli.terminal.reading import FileReading, exit_on_faults, file_argument, read, reading_json
from governance.container import governance
from governance.domain.config.plan import Plan
from governance.domain.gc_pause import pause_gc
from governance.services.actor import acting_as
from governance.services.config.sync import SyncResult
from schemas.config import users
from schemas.config.plans import plan_json
from schemas.loading import load

WOULD_CHANGE = 2
UNASKED = "Say --yes: there is no terminal to ask on, and nothing was changed."


@click.command()
@file_argument
@click.option("--dry-run", is_flag=True, help="Only show the plan; exit code 2 where something would change.")
@click.option("--prune", is_flag=True, help="Remove what this file made and no longer has; never what was made by API.")
@click.option("--overwrite", is_flag=True, help="Let the file win over edits by API, as it says in each entry.")
@click.option("--owner", help="Whose the file's rows are; else its own owner says, or its base name.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_appcontext
def sync(
    file: Path, *, dry_run: bool, prune: bool, overwrite: bool, owner: str | None, yes: bool, as_json: bool
) -> None:
    """Apply FILE, a file of limits, to the database. Usage is never changed.

    The command shows the plan and asks for confirmation. Then it carries out the whole plan or nothing of it.

    Example: flask governance sync examples/config.json --dry-run
    """
    with opened() as service, exit_on_faults(as_json=as_json), pause_gc():
        named = None if owner is None else load(users.OWNER, {"owner": owner})["owner"]
        reading = read(file, as_json=as_json, owner=named)
        planned = service.sync.plan(reading.document, prune=prune, overwrite=overwrite)
        plan = planned.plan
        if not as_json:
            say("\n".join(lines(plan)))
        if dry_run or (plan.changes and not _is_confirmed(yes=yes, as_json=as_json)):
            if as_json:
                print_json(_shown(reading, plan, applied=False))
            sys.exit(WOULD_CHANGE if dry_run and plan.changes else 0)
        done = SyncResult(plan, 0)
        if plan.writes:
            with acting_as(reading.document.actor):
                done = service.sync.apply(reading.document, planned, prune=prune, overwrite=overwrite)
    if as_json:
        print_json(_shown(reading, done.plan, applied=True))
    else:
        _say_done(plan, done)


def _is_confirmed(*, yes: bool, as_json: bool) -> bool:
    """Return whether the user confirms the plan (or used `--yes`). If nobody can be asked, end the command."""
    if not yes and (as_json or not sys.stdin.isatty()):
        stop(UNASKED)
    return yes or click.confirm("Apply this?")


def _shown(reading: FileReading, plan: Plan, *, applied: bool) -> dict[str, Any]:
    """Return the plan as JSON, with the warnings about the file."""
    document = reading.document
    named = {"file": document.name, "owner": document.source.name}
    return named | plan_json(plan) | {"applied": applied} | reading_json(reading)


def _say_done(shown: Plan, done: SyncResult) -> None:
    if done.plan.outline != shown.outline:
        say("The database has changed since the plan was shown. This is what was done:")
        say("\n".join(lines(done.plan)))
    if done.plan.changes:
        say("Applied.")
    if done.minted:
        say(f"The values of new virtual keys ({done.minted}) are in {governance().sync.values}.")
