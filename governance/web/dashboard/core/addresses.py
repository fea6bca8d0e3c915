"""Links between pages. They are relative, so they are right behind any path prefix, whatever the proxy does with it.

All pages lie directly under `/ui/`, and ids are in the query: an id may contain slashes.
"""

import re
from typing import Any
from urllib.parse import urlencode

from flask import redirect
from werkzeug.wrappers import Response

from governance.web.http.context import the_request

ROOT = "/ui"
DONE = "done"
"""The parameter by which a page says what was just done."""
KNOWN = re.compile(r"[a-z-]*(?:\?[^\s\\]*)?")
"""The addresses that a sign-in may lead to: pages of the dashboard and nothing else."""


def link(page: str = "", **query: Any) -> str:
    """Return the address of a page (empty: the overview), from the current page. A parameter of None is left out."""
    given = urlencode({name: value for name, value in query.items() if value is not None})
    return _from_here(page) + (f"?{given}" if given else "")


def here() -> str:
    """Return the page of the request and its query, as `next` of the sign-in takes them."""
    request = the_request()
    query = request.query_string.decode("ascii", "replace")
    page = request.path.removeprefix(ROOT).removeprefix("/")
    return page + (f"?{query}" if query else "")


def again(**changed: Any) -> str:
    """Return the address of this page with some parameters changed; None takes one out, as does an empty text."""
    request = the_request()
    query = {name: value for name, value in request.args.items() if name != DONE} | changed
    wanted = {name: value for name, value in query.items() if value not in (None, "")}
    return link(request.path.removeprefix(ROOT).removeprefix("/"), **wanted)


def question() -> bytes:
    """Return the query of the request as the API would take it: without what was just done."""
    parts = the_request().query_string.split(b"&")
    return b"&".join(part for part in parts if not part.startswith(f"{DONE}=".encode()))


def go(page: str = "", **query: Any) -> Response:
    """Return the redirect to a page, which the browser then reads with GET."""
    return redirect(link(page, **query), 303)


def go_to(text: str) -> Response:
    """Return the redirect to a page given as `next`; to the overview if it is no page of the dashboard."""
    page, mark, query = (text if KNOWN.fullmatch(text) else "").partition("?")
    return redirect(_from_here(page) + mark + query, 303)


def _from_here(page: str) -> str:
    below = the_request().path.startswith(f"{ROOT}/")
    if below:
        return page or "../ui"
    return f"ui/{page}" if page else "ui"
