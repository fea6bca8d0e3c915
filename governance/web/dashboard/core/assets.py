"""Sends the static files of the dashboard: scripts, styles and the icon.

A worker reads and compresses each file only once. Browsers revalidate the files by ETag.
"""

from functools import cache
from pathlib import Path

from flask import current_app
from werkzeug.exceptions import NotFound

from governance.web.dashboard.core.blueprint import dashboard
from governance.web.http import documents
from governance.web.http.flask_app import HttpResponse

FOLDER = Path(__file__).resolve().parents[1] / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@cache
def files() -> dict[str, Path]:
    """Return the path of each static file, by the name of the file in its address."""
    found = (path for path in FOLDER.rglob("*") if path.suffix in TYPES)
    return {path.relative_to(FOLDER).as_posix(): path for path in found}


@dashboard.get("/static/<path:name>")
def static_file(name: str) -> HttpResponse:
    """Return a static file. It needs no session."""
    path = files().get(name)
    if path is None:
        raise NotFound
    return documents.send(current_app, f"dashboard/{name}", TYPES[path.suffix], path.read_bytes)
