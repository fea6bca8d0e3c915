"""Gunicorn's settings for the hand-written apps: the same as for the service, but without its hook functions."""

import runpy
from pathlib import Path

from gunicorn.config import Config

_ours = runpy.run_path(str(Path(__file__).resolve().parents[2] / "gunicorn.conf.py"))
_known = Config().settings

globals().update({name: value for name, value in _ours.items() if name in _known and not callable(value)})
