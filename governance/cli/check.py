"""`flask governance check`: list the faults and warnings of a config file."""

from pathlib import Path

import click
from flask.cli import with_appcontext

from governance.cli.terminal.output import json_option, print_json, say
from governance.cli.terminal.reading import exit_on_faults, file_argument, read, reading_json


@click.command()
@file_argument
@json_option
@with_appcontext
def check(file: Path, *, as_json: bool) -> None:
    """List every fault in FILE, a file of limits, and warn of limits that never apply or have no effect.

    The command needs no database and no secrets: an `env.NAME` that is not set is a warning. The command does not fail
    because of warnings, nor because of skipped budgets and rate limits, for example those of teams.

    Example: flask governance check examples/config.json
    """
    with exit_on_faults(as_json=as_json):
        reading = read(file, as_json=as_json, valued=False)
    document, warnings, left_out = reading
    wanted = document.wanted
    counts = {
        "model_configs": len(wanted.limits),
        "virtual_keys": len(wanted.keys),
        "users": len(wanted.users),
        "prices": len(wanted.prices),
    }
    if as_json:
        print_json({"file": document.name, "faults": []} | reading_json(reading) | counts)
    else:
        right = f"right but for what is left out ({len(left_out)})" if left_out else "right"
        limits, keys, users, prices = counts.values()
        counted = f"limits {limits}, virtual keys {keys}" + (f", users {users}" if users else "")
        counted += f", prices {prices}" if prices else ""
        say(f"{document.name} is {right}: {counted}, warnings {len(warnings)}.")
