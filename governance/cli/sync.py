"""`flask governance sync`: make the database what a file asks for."""

import sys
from pathlib import Path

import click
from flask.cli import with_appcontext

from governance.cli.output import faults_told, json_option, print_json
from governance.cli.plans import lines, places_json, plan_json
from governance.cli.reading import Reading, faults_listed, file_argument, read
from governance.domain.plans import Plan
from governance.services.sync import Applied
from governance.web.context import governance

WOULD_CHANGE = 2
UNASKED = "Say --yes: there is no terminal to ask on, and nothing was changed."


@click.command()
@file_argument
@click.option("--dry-run", is_flag=True, help="Only show the plan; exit code 2 where something would change.")
@click.option("--prune", is_flag=True, help="Remove what came from this file and is no longer in it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_appcontext
def sync(file: Path, *, dry_run: bool, prune: bool, yes: bool, as_json: bool) -> None:
    """Make the database what a FILE of limits asks for: planned, shown, asked, and then applied whole or not at all.

    Usage is never touched. Example: flask governance sync examples/config.json --dry-run
    """
    with faults_told(), faults_listed(as_json=as_json):
        reading = read(file, as_json=as_json)
        plan = governance().sync.plan(reading.document, prune=prune)
        if not as_json:
            click.echo("\n".join(lines(plan)))
        if dry_run or (plan.changes and not _agreed(yes=yes, as_json=as_json)):
            _end(reading, plan, Applied(plan, 0), as_json=as_json, applied=False)
            sys.exit(WOULD_CHANGE if dry_run and plan.changes else 0)
        done = governance().sync.apply(reading.document, prune=prune) if plan.writes else Applied(plan, 0)
    _end(reading, plan, done, as_json=as_json, applied=True)


def _agreed(*, yes: bool, as_json: bool) -> bool:
    """Whether the plan may be applied. Ends the command where nobody can be asked."""
    if yes:
        return True
    if as_json or not sys.stdin.isatty():
        sys.exit(UNASKED)
    return click.confirm("Apply this?")


def _end(reading: Reading, shown: Plan, done: Applied, *, as_json: bool, applied: bool) -> None:
    """Say what was done."""
    if as_json:
        wanted = reading.document.wanted
        told = {"applied": applied, "warnings": places_json(reading.warnings), "skipped": wanted.skipped}
        print_json({"file": reading.document.name} | plan_json(done.plan) | told)
        return
    if applied and done.plan.outline != shown.outline:
        click.echo("The database has changed since the plan was shown. This is what was done:")
        click.echo("\n".join(lines(done.plan)))
    if applied and shown.changes:
        click.echo("Applied.")
    if done.minted:
        click.echo(f"The values of new virtual keys ({done.minted}) are in {governance().sync.values}.")
