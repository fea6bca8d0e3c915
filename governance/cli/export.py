"""`flask governance export`: write all limits, virtual keys and users to a file."""

from pathlib import Path

import click
from flask.cli import with_appcontext

from governance.cli.terminal.database import opened
from governance.cli.terminal.output import stop


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@click.option("--force", is_flag=True, help="Replace FILE where it is there already.")
@click.option("--json", "as_json", is_flag=True, help="The same: a file of limits is JSON.")
@with_appcontext
def export(file: Path, *, force: bool, as_json: bool) -> None:  # noqa: ARG001 - the file is JSON either way
    """Write all limits, virtual keys and users to FILE in the plain form; a sync of it changes nothing.

    To standard output where no file is given. Keys' values are not in it: only their digests are stored.
    A sync of it only notes that what the API made is in a file now, so that what is edited by API later stays.

    Example: flask governance export limits.json
    """
    with opened() as service:
        if str(file) == "-":
            click.echo(service.files.export(), nl=False)
            return
        try:
            service.database_file.refuse_target(file, replace=force)
            service.files.export_to(file)
        except OSError as error:
            stop(f"Give a file that can be written: {file}, {error.strerror}.")
