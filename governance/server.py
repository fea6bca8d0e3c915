"""Gunicorn with this service's settings, for `model-limits serve`: gunicorn's documented custom application."""

from importlib import import_module

from flask import Flask
from gunicorn.app.base import BaseApplication


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's master. It reads neither gunicorn's command line nor a configuration file in the working directory."""

    def load_config(self) -> None:
        """Read gunicorn's settings and hooks from `governance/gunicorn_config.py`."""
        found = vars(import_module("governance.gunicorn_config"))
        for name in self.cfg.settings.keys() & found.keys():
            self.cfg.set(name, found[name])

    def load(self) -> Flask:
        """Return the app. Each worker makes its own."""
        app: Flask = import_module("wsgi").app
        return app
