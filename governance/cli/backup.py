"""`flask governance backup`: copy the database while the service runs."""

from pathlib import Path

import click
from flask.cli import with_appcontext

from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, print_json, say


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE where it is there already.")
@json_option
@with_appcontext
def backup(*, file: Path, force: bool, as_json: bool) -> None:
    """Copy the database to a file, even while the service runs.

    FILE appears when it is complete and checked. Only its owner can read it.

    Example: flask governance backup backup.db
    """
    with opened() as service:
        made = service.database_file.back_up(file, replace=force)
    if as_json:
        print_json({"file": str(made.file), "bytes": made.size})
    else:
        say(f"{made.file}: {made.size:,} bytes, checked.")
