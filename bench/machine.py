"""What the figures were measured with: they mean little without it."""

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("flask", "werkzeug", "sqlalchemy", "gunicorn", "orjson", "cachetools", "marshmallow")
GIB = 1024**3


def described() -> list[str]:
    """Lines that say when, on what, and with which versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
        f"Machine: {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}.",
        f"Versions: Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}.",
    ]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    names = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine()).strip()
