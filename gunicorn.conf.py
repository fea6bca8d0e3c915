"""Gunicorn's configuration in a checkout. Gunicorn finds this file by its name."""

from governance.gunicorn_config import *  # noqa: F403 - gunicorn picks out its settings and hooks by their names
