"""The last hook of every request: counts the response, caches it if it comes from memory, and logs an error response.

Some pages of lists come from this worker's copy of the database in memory. Only these pages are cached.
"""

from time import perf_counter
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response

from governance.container import EXTENSION, Container, governance
from governance.domain.errors import Code
from governance.domain.keys import API_KEY_PREFIX, ApiKey, shown_prefix
from governance.domain.times import Clock
from governance.services.metering.statistics import authentication_failed, requests_counted
from governance.web.http.auth import sent_key
from governance.web.http.client_address import forwarded_for, peer
from governance.web.http.context import the_request
from governance.web.http.flask_app import HttpRequest, HttpResponse
from governance.web.http.masking import masked
from governance.web.http.request_ids import BEGAN, ID, identified
from governance.web.http.response_cache import Memory, ResponseCache

REFUSED = 400
UNAUTHENTICATED = 401


def surround(app: Flask, memory: Memory, clock: Clock) -> None:
    """Put the response cache before Flask, and add the last hook.

    Call this before other hooks are added, because Flask runs the first after_request hook last.
    """
    service: Container = app.extensions[EXTENSION]
    responses = ResponseCache(identified(app.wsgi_app), memory, service.authentication, clock)
    app.wsgi_app = responses  # type: ignore[method-assign]

    def end(response: Response) -> Response:
        """Count the response, and cache a page from memory.

        If the response is an error, write a log line, which contains no key, query string or body.
        """
        request, status = the_request(), response.status_code
        requests_counted(request.endpoint or "none", status).inc()
        if isinstance(response, HttpResponse) and response.validity is not None:
            responses.keep(response, response.validity, request)
        if status >= REFUSED:
            _log_refusal(request, status)
        return response

    app.after_request(end)


def _log_refusal(request: HttpRequest, status: int) -> None:
    service, environ = governance(), request.environ
    fields = {
        "method": environ["REQUEST_METHOD"],
        "path": masked(request.path, service.authentication.is_secret),
        "status": status,
        "code": environ.get("governance.code", ""),
        "request_id": environ[ID],
        "ms": round((perf_counter() - environ[BEGAN]) * 1000, 1),
        "peer": peer(environ),
    }
    forwarded = forwarded_for(environ, service.settings.trusted_proxies)
    if forwarded is not None:
        fields["forwarded_for"] = forwarded
    key: ApiKey | None = getattr(request, "api_key", None)
    if key is not None:
        service.refusals.write(fields | {"api_key_id": key.id} | _whose(environ, service))
        return
    if status == UNAUTHENTICATED:
        authentication_failed(fields["code"])
        fields |= _tried(fields["code"], environ)
    service.refusals.write_stranger(fields)


def _whose(environ: WSGIEnvironment, service: Container) -> dict[str, str]:
    """Return the virtual key and the user of a denied call, with secrets masked."""
    told: dict[str, str | None] = environ.get("governance.whose", {})
    is_secret = service.authentication.is_secret
    return {name: masked(value, is_secret) for name, value in told.items() if value is not None}


def _tried(code: str, environ: WSGIEnvironment) -> dict[str, str]:
    """Return the first characters of a refused API key for the log line.

    Return an empty mapping if the text does not begin like an API key, because it may be a password.
    """
    secret = sent_key(environ)
    is_shown = code == Code.INVALID_API_KEY and secret.startswith(API_KEY_PREFIX)
    return {"key_prefix": shown_prefix(secret)} if is_shown else {}
