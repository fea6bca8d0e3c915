"""Runs gunicorn with this service's settings, for the command `model-limits serve`.

Gunicorn's documentation calls such a class a custom application.
"""

from importlib import import_module

from flask import Flask
from gunicorn.app.base import BaseApplication


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Starts gunicorn. It reads neither gunicorn's command line nor a configuration file in the working directory."""

    def load_config(self) -> None:
        """Read gunicorn's settings and hooks from `governance/gunicorn_config.py`."""
        found = vars(import_module("governance.gunicorn_config"))
        for name in self.cfg.settings.keys() & found.keys():
            self.cfg.set(name, found[name])

    def load(self) -> Flask:
        """Return the Flask app. Each worker creates its own app."""
        app: Flask = import_module("wsgi").app
        return app
