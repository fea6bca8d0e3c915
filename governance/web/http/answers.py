"""Builds responses: JSON with ETag, Link and Cache-Control, or 304 if the client already has the same JSON."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from werkzeug.http import parse_etags

from governance.domain.errors import Code, InvalidRequest
from governance.domain.records.list_query import Page
from governance.services.limits.model_limits import Listing, Versions
from governance.web.http.context import the_request
from governance.web.http.flask_app import HttpResponse
from schemas import render
from schemas.render import Rendering

JSON = "application/json"
CACHING = "private, no-cache"
NEVER_STORED = "no-store"
Header = tuple[str, str]
NOTHING: Mapping[str, Any] = {}


def answer(value: Any) -> HttpResponse:
    """Return a 200 response with a value as JSON."""
    return document(render.dumps(value), [])


def secret(value: Any) -> HttpResponse:
    """Return a 200 response with a secret. Caches must not store it, because the secret is shown only once."""
    return document(render.dumps(value), [("Cache-Control", NEVER_STORED)])


def described(message: str, name: str, rendering: Rendering) -> HttpResponse:
    """Return the response after a model limit was created or changed."""
    body = b'{"message":%b,"%b":%b}' % (render.dumps(message), name.encode(), rendering.body)
    return document(body, [("ETag", f'"{rendering.etag}"')])


def single(name: str, rendering: Rendering) -> HttpResponse:
    """Return a response with one model limit, or 304."""
    return conditional(b'{"%b":%b}' % (name.encode(), rendering.body), rendering.etag, [])


def listing(name: str, found: Listing, page: Page) -> HttpResponse:
    """Return a page of a list, with links to the next and the previous page in the headers.

    The header X-Governance-Source tells whether the page comes from the database, or from this worker's copy in memory.
    """
    numbers = (found.total, len(found.documents), *page)
    # a digest of the limits' ETags takes less time than a digest of the page's bytes
    etag = render.digest("\n".join(found.etags).encode() + b"%d,%d,%d,%d" % numbers)
    headers = [("X-Governance-Source", "database" if found.age is None else "memory")]
    if found.age is not None:
        headers.append(("Age", str(int(found.age))))
    links = _links(the_request().query_string, page, found.total)
    if links:
        headers.append(("Link", links))
    # add the JSON around the list to the first and the last document, so that only `join` copies the whole page
    parts = [*found.documents] or [b""]
    parts[0] = b'{"%b":[' % name.encode() + parts[0]
    parts[-1] += b'],"total_count":%d,"count":%d,"limit":%d,"offset":%d}' % numbers
    made = conditional(b",".join(parts), etag, headers)
    made.validity = found.validity
    return made


def plain_page(
    name: str, shown: list[dict[str, Any]], total: int | None, page: Page, rest: Mapping[str, Any] = NOTHING
) -> HttpResponse:
    """Return a page of rows that are always read from the database, for example keys.

    `rest` contains further fields of the body. `total` is None if there are too many rows to count. Then every full
    page links to a next page.
    """
    body = {name: shown, "total_count": total, "count": len(shown), **page._asdict(), **rest}
    made = answer(body)
    seen = page.offset + len(shown)
    links = _links(the_request().query_string, page, seen + (len(shown) == page.limit) if total is None else total)
    if links:
        made.headers["Link"] = links
    return made


def conditional(body: bytes, etag: str, headers: list[Header]) -> HttpResponse:
    """Return the body with a strong ETag. If If-None-Match contains that ETag, return 304."""
    headers += [("ETag", f'"{etag}"'), ("Cache-Control", CACHING)]
    wanted = the_request().environ.get("HTTP_IF_NONE_MATCH")
    if wanted is not None and parse_etags(wanted).contains_weak(etag):
        return HttpResponse(status=304, headers=headers)
    return document(body, headers)


def document(body: bytes, headers: list[Header]) -> HttpResponse:
    """Return a 200 response with JSON bytes.

    Werkzeug is fastest with one list of all headers and `direct_passthrough`.
    """
    headers += [("Content-Type", JSON), ("Content-Length", str(len(body)))]
    return HttpResponse([body], "200 OK", headers, direct_passthrough=True)


def versions() -> Versions:
    """Return a function that tells whether the header If-Match accepts a version of a limit.

    An ETag has the form `"<version>.<digest>"`. Only the version is compared. Raises InvalidRequest if the header is
    not a list of ETags.
    """
    wanted = the_request().environ.get("HTTP_IF_MATCH")
    if wanted is None:
        return lambda _: True
    etags = parse_etags(wanted)
    named = {etag.partition(".")[0] for etag in etags.as_set(include_weak=True) if etag}
    if not named and not etags.star_tag:
        sentence = 'Send If-Match as an ETag that this service gave, in quotes, such as "3.f00d", or as *.'
        raise InvalidRequest(sentence, param="If-Match", code=Code.INVALID_PARAMETER)
    return lambda version: etags.star_tag or str(version) in named


def _links(raw: bytes, page: Page, total: int) -> str:
    """Return the Link header.

    It contains the next and the previous page if they exist. The links are relative, so they stay valid behind a proxy
    that adds a prefix to the path.
    """
    further = page.offset + page.limit < total
    if not further and page.offset == 0:
        return ""
    rest = _without_page(b"&".join(part for part in raw.split(b"&") if not part.startswith((b"limit=", b"offset="))))
    links = []
    if further:
        links.append(f'<?limit={page.limit}&offset={page.offset + page.limit}{rest}>; rel="next"')
    if page.offset > 0 and total > 0:
        before = max(0, min(page.offset, total) - page.limit)
        links.append(f'<?limit={page.limit}&offset={before}{rest}>; rel="prev"')
    return ", ".join(links)


@lru_cache(maxsize=1024)
def _without_page(raw: bytes) -> str:
    """Return a query without `limit` and `offset`. If other parameters remain, it begins with `&`."""
    kept = [(name, value) for name, value in parse_qsl(raw.decode()) if name not in Page._fields]
    return f"&{urlencode(kept)}" if kept else ""
