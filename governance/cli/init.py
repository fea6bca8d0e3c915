"""`flask governance init`: a new, empty database, also where an earlier one was lost."""

import click
from flask.cli import with_appcontext

from governance.cli.terminal.output import faults_told, json_option, print_json, say
from governance.storage.sqlite.files import restore as storage
from governance.web.http.context import governance


@click.command()
@json_option
@with_appcontext
def init(*, as_json: bool) -> None:
    """Make a new, empty database, also where an earlier one is gone.

    A start does this by itself where nothing says that there was a database before. A file that is there is kept.

    Example: flask governance init
    """
    settings = governance().settings
    with faults_told():
        storage.begin_anew(settings.database_path, governance().group.clock(), settings.busy_timeout)
    if as_json:
        print_json({"file": str(settings.database_path)})
    else:
        say(f"{settings.database_path}: a new, empty database. Start the service.")
