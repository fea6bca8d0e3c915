"""Sends public documents, such as the OpenAPI document. Each worker renders and compresses a document only once."""

import gzip
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple, cast

from flask import Flask

from governance.web.http.context import the_request
from governance.web.http.flask_app import HttpResponse
from schemas import render

EXTENSION = "governance.documents"
STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


class PublicDocument(NamedTuple):
    """A rendered document: plain, compressed, its ETag, and its headers."""

    body: bytes
    compressed: bytes
    etag: str
    headers: dict[str, str]


def send(app: Flask, name: str, content_type: str, make: Callable[[], bytes]) -> HttpResponse:
    """Return the document. Return 304 if the client has it already. The first request renders the document."""
    kept = app.extensions.setdefault(EXTENSION, {})
    if name not in kept:
        kept[name] = _rendered(make(), content_type)
    document = cast("PublicDocument", kept[name])
    request = the_request()
    compressed = request.accept_encodings.quality("gzip") > 0
    response = HttpResponse(document.compressed if compressed else document.body, headers=document.headers)
    if compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(f"{document.etag}-gzip" if compressed else document.etag)
    return cast("HttpResponse", response.make_conditional(request))


def _rendered(body: bytes, content_type: str) -> PublicDocument:
    headers = {"Content-Type": content_type, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if content_type.startswith("text/html"):
        headers |= _for_browsers(body)
    return PublicDocument(body, gzip.compress(body, mtime=0), render.digest(body), headers)


def _for_browsers(page: bytes) -> dict[str, str]:
    """Return headers that protect a page. The browser may use only the page's own inline styles."""
    digests = (b64encode(sha256(style).digest()).decode() for style in STYLE.findall(page))
    styles = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    rest = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src {styles}; {rest}",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
    }
