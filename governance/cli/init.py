"""`flask governance init`: create a new, empty database, even if an earlier one was lost."""

import click
from flask.cli import with_appcontext

from governance.cli.terminal.output import exit_on_errors, json_option, print_json, say
from governance.container import governance


@click.command()
@json_option
@with_appcontext
def init(*, as_json: bool) -> None:
    """Create a new, empty database, even if an earlier one was lost.

    A start creates the database by itself if there are no signs of an earlier one. An existing database file is kept.

    Example: flask governance init
    """
    file = governance().database_file
    with exit_on_errors():
        file.begin_anew()
    if as_json:
        print_json({"file": str(file.path)})
    else:
        say(f"{file.path}: a new, empty database. Start the service.")
