"""Builds links between the pages of the dashboard.

The links are relative, so they work behind a proxy that adds or removes a path prefix. All pages are directly under
`/ui/`. Ids are in the query, because an id may contain slashes.
"""

import re
from typing import Any
from urllib.parse import urlencode

from flask import redirect
from werkzeug.wrappers import Response

from governance.web.http.context import the_request

ROOT = "/ui"
DONE = "done"
"""The query parameter that names the action that was just done. The page then shows a message about it."""
KNOWN = re.compile(r"[a-z-]*(?:\?[^\s\\]*)?")
"""The addresses to which a sign-in may redirect: only pages of the dashboard."""


def link(page: str = "", **query: Any) -> str:
    """Return the address of a page, relative to the current page.

    If `page` is empty, return the address of the overview. A parameter whose value is None is left out.
    """
    given = urlencode({name: value for name, value in query.items() if value is not None})
    return _from_here(page) + (f"?{given}" if given else "")


def here() -> str:
    """Return the address of the requested page with its query, relative to `/ui/`.

    The sign-in accepts this address as its parameter `next`.
    """
    request = the_request()
    query = request.query_string.decode("ascii", "replace")
    page = request.path.removeprefix(ROOT).removeprefix("/")
    return page + (f"?{query}" if query else "")


def again(**changed: Any) -> str:
    """Return the address of this page with some parameters changed.

    A parameter whose value is None or empty is removed.
    """
    request = the_request()
    query = {name: value for name, value in request.args.items() if name != DONE} | changed
    wanted = {name: value for name, value in query.items() if value not in (None, "")}
    return link(request.path.removeprefix(ROOT).removeprefix("/"), **wanted)


def question() -> bytes:
    """Return the query string of the request without the parameter `done`, which the API does not accept."""
    parts = the_request().query_string.split(b"&")
    return b"&".join(part for part in parts if not part.startswith(f"{DONE}=".encode()))


def go(page: str = "", **query: Any) -> Response:
    """Return a redirect to a page. The browser then requests the page with GET."""
    return redirect(link(page, **query), 303)


def go_to(text: str) -> Response:
    """Return a redirect to the page whose address is `text`, the parameter `next` of the sign-in.

    If the text is not the address of a page of the dashboard, redirect to the overview.
    """
    page, mark, query = (text if KNOWN.fullmatch(text) else "").partition("?")
    return redirect(_from_here(page) + mark + query, 303)


def _from_here(page: str) -> str:
    below = the_request().path.startswith(f"{ROOT}/")
    if below:
        return page or "../ui"
    return f"ui/{page}" if page else "ui"
