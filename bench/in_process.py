"""The service in the process of a bench, on a database that the bench fills."""

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
    """Return the app on the database that `create` makes and `fill` adds to. Its time stands still at `NOW`."""
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
