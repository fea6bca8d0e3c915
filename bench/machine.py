"""Describes the machine on which the benchmark ran, and the versions of the software."""

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

OURS = ("flask", "werkzeug", "sqlalchemy", "gunicorn", "orjson", "cachetools", "marshmallow")
OTHERS = ("fastapi", "pydantic", "uvicorn", "uvloop", "datasette", "flask-limiter", "redis")
GIB = 1024**3


def described(*, quick: bool) -> str:
    """Return a Markdown list: the date, the machine, and the versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    lines = [
        f"Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC{' (a quick run: the figures mean little)' if quick else ''}.",
        f"Machine: {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}.",
        f"Versions: Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {_versions(OURS)}.",
        f"Beside it: {_versions(OTHERS)}.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _versions(packages: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {version(name)}" for name in packages)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    names = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine()).strip()
