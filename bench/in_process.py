"""Runs the service in the process of a measurement, on a database that the measurement fills."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from app import create_app
from bench.usage import NOW
from governance import startup
from governance.container import EXTENSION, Container
from governance.settings import Settings

KEY = "gov-the-key-of-the-bench-0123456789abcdef"


@contextmanager
def in_process(folder: Path, create: Callable[[Settings], None], fill: Callable[[Container], None]) -> Iterator[Flask]:
    """Yield the app. `create` creates its database, and `fill` adds rows. The app's clock always shows `NOW`."""
    settings = Settings.from_environ({"GOVERNANCE_INSTANCE": str(folder), "GOVERNANCE_ADMIN_KEY": KEY})
    create(settings)
    startup.tune()
    app = create_app(settings, clock=lambda: NOW)
    service: Container = app.extensions[EXTENSION]
    fill(service)
    service.cache.refresh()
    try:
        yield app
    finally:
        service.close()
