"""The program `model-limits`: it has the command `serve`, and every command of `flask governance …`."""

import sys
from importlib import import_module

import click
from flask import Flask
from flask.cli import ScriptInfo

from governance.cli import Commands, commands
from governance.domain.installation import PROGRAM, ROOT


@click.command()
def serve() -> None:
    """Start the service. SIGTERM stops it, SIGHUP applies the file of limits (GOVERNANCE_CONFIG) again.

    This process becomes gunicorn's master. The settings are environment variables.

    Example: PORT=9000 model-limits serve
    """
    import_module("governance.server").Server().run()  # imported here, because no other command needs gunicorn


def load_app() -> Flask:
    """Return the Flask app in which a command runs."""
    app: Flask = import_module("wsgi").app
    return app


def rename(command: click.Command) -> None:
    """In the help of a command and of its subcommands, replace `flask governance` by `PROGRAM`."""
    command.help = (command.help or "").replace("flask governance", PROGRAM)
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        rename(each)


def main() -> None:
    """Run the command that the arguments of the program name."""
    sys.path.insert(0, str(ROOT))  # before the folders of PYTHONPATH, which may contain another `app.py`
    own = Commands(
        commands.name,
        {"serve": serve, **commands.commands},
        callback=commands.callback,
        params=commands.params,
        help=commands.help,
    )
    rename(own)
    own.main(prog_name="model-limits", obj=ScriptInfo(create_app=load_app))


if __name__ == "__main__":
    main()
