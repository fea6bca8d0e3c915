"""`flask governance restore`: replace the database with a backup while the service is stopped."""

from pathlib import Path

import click
from flask.cli import with_appcontext

from governance.cli.terminal.output import exit_on_errors, json_option, print_json, say
from governance.container import governance


@click.command()
@click.argument("backup", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Also where BACKUP is of another database than the one that is here.")
@json_option
@with_appcontext
def restore(*, backup: Path, force: bool, as_json: bool) -> None:
    """Check BACKUP and put it in the database's place. The replaced file is kept under another name.

    The service must be stopped. BACKUP stays where it is.

    Example: flask governance restore backup.db
    """
    with exit_on_errors():
        done = governance().database_file.restore(backup, force=force)
    if as_json:
        kept = None if done.kept is None else str(done.kept)
        print_json({"file": str(done.file), "bytes": done.size, "schema": done.schema, "kept": kept})
        return
    say(f"{done.file}: {done.size:,} bytes of {backup}, checked, schema {done.schema}.")
    if done.kept is not None:
        say(f"What was there is kept as {done.kept}.")
