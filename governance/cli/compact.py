"""`flask governance compact`: rewrite the database file without its free (unused) pages."""

import click
from flask.cli import with_appcontext

from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, print_json, say


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
@with_appcontext
def compact(*, dry_run: bool, as_json: bool) -> None:
    """Rewrite the database file without its free pages. Stop the service first.

    After that, the service returns free pages by itself. Files from before schema 0007 need this command once. While
    the command runs, it needs free space for two copies of the rewritten file.

    Example: flask governance compact --dry-run
    """
    with opened() as service:
        file = service.database_file
        before = file.size()
        service.close()
        after = None if dry_run else file.compact()
    sizes = {"bytes": before.size, "free": before.free, "gives_back_by_itself": before.is_incremental}
    if as_json:
        print_json(sizes | {"bytes_after": None if after is None else after.size})
        return
    say(f"{file.path}: {before.size:,} bytes, {before.free:,} bytes of it free.")
    if after is None:
        say("It would be written anew without them, while the service is stopped; nothing was done.")
    else:
        say(f"It was written anew: {after.size:,} bytes.")
