"""`flask governance check`: whether a file of limits is right, and what in it cannot bite."""

from pathlib import Path

import click
from flask.cli import with_appcontext

from governance.cli.output import json_option, print_json, say
from governance.cli.plans import places_json
from governance.cli.reading import faults_listed, file_argument, read


@click.command()
@file_argument
@json_option
@with_appcontext
def check(file: Path, *, as_json: bool) -> None:
    """List every fault in FILE, a file of limits, and what in it cannot bite.

    Asks no database and needs no secrets: an `env.NAME` that is not set is a warning. Warnings do not make it fail.

    Example: flask governance check examples/config.json
    """
    with faults_listed(as_json=as_json):
        document, warnings = read(file, as_json=as_json, valued=False)
    wanted = document.wanted
    counts = {"model_configs": len(wanted.limits), "virtual_keys": len(wanted.keys)}
    if as_json:
        shown = {"file": document.name, "faults": [], "warnings": places_json(warnings), "skipped": wanted.skipped}
        print_json(shown | counts)
    else:
        limits, keys = counts.values()
        say(f"{document.name} is right: limits {limits}, virtual keys {keys}, warnings {len(warnings)}.")
