"""`flask governance export`: write all limits, virtual keys, users and price overrides to a file."""

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
    """Write all limits, virtual keys, users and price overrides to FILE in the plain form.

    Without FILE, write to standard output. Only the digests of keys are stored, so FILE has no values of keys. A sync
    of FILE changes no limit. It only notes that rows made by the API are in a file now. After that, later edits by the
    API stay.

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
