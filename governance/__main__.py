"""The command `model-limits`: `serve`, and every command of `flask governance …`."""

import sys
from importlib import import_module

import click
from flask import Flask
from flask.cli import ScriptInfo

from governance.cli import Commands, commands
from governance.domain.installation import ROOT


@click.command()
def serve() -> None:
    """Start the service. SIGTERM stops it, SIGHUP applies the file of limits (GOVERNANCE_CONFIG) again.

    This process becomes gunicorn's master. The settings are environment variables.

    Example: PORT=9000 model-limits serve
    """
    import_module("governance.server").Server().run()  # no other command needs gunicorn


def load_app() -> Flask:
    """Return the app for a command."""
    app: Flask = import_module("wsgi").app
    return app


def main() -> None:
    """Run a command."""
    sys.path.insert(0, str(ROOT))  # before PYTHONPATH, which may have another `app.py`
    own = Commands(
        commands.name,
        {"serve": serve, **commands.commands},
        callback=commands.callback,
        params=commands.params,
        help=commands.help,
    )
    own.main(prog_name="model-limits", obj=ScriptInfo(create_app=load_app))


if __name__ == "__main__":
    main()
