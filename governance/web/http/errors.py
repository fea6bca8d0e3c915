"""The error handler: converts an exception to a response. All errors have the same JSON form."""

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException

from governance.container import governance
from governance.domain.errors import (
    Code,
    Denied,
    FaultyFile,
    GovernanceError,
    InvalidRequest,
    NotFound,
)
from governance.web.http.answers import JSON, NEVER_STORED
from governance.web.http.flask_app import MAX_BODY, MOST, HttpResponse
from governance.web.http.masking import masked, masked_sentence
from governance.web.http.request_ids import ID
from schemas import render

logger = logging.getLogger("governance.web")

STATUS: dict[Code, int] = {
    Code.INVALID_BODY: 400,
    Code.INVALID_FIELD: 400,
    Code.UNKNOWN_FIELD: 400,
    Code.INVALID_PARAMETER: 400,
    Code.UNKNOWN_PARAMETER: 400,
    Code.RESOLUTION_UNAVAILABLE: 400,
    Code.MALFORMED_REQUEST: 400,
    Code.API_KEY_REQUIRED: 401,
    Code.INVALID_API_KEY: 401,
    Code.VIRTUAL_KEY_REQUIRED: 401,
    Code.INVALID_VIRTUAL_KEY: 401,
    Code.BUDGET_EXCEEDED: 402,
    Code.INSUFFICIENT_SCOPE: 403,
    Code.CALL_UNKNOWN: 403,
    Code.VIRTUAL_KEY_UNKNOWN: 403,
    Code.VIRTUAL_KEY_INACTIVE: 403,
    Code.VIRTUAL_KEY_EXPIRED: 403,
    Code.ROUTE_NOT_FOUND: 404,
    Code.MODEL_CONFIG_NOT_FOUND: 404,
    Code.VIRTUAL_KEY_NOT_FOUND: 404,
    Code.USER_NOT_FOUND: 404,
    Code.API_KEY_NOT_FOUND: 404,
    Code.PRICE_NOT_FOUND: 404,
    Code.RESERVATION_NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.REQUEST_TIMEOUT: 408,
    Code.ALREADY_EXISTS: 409,
    Code.LAST_ADMIN_KEY: 409,
    Code.ALREADY_SETTLED: 409,
    Code.ALREADY_RELEASED: 409,
    Code.RESERVATION_EXPIRED: 409,
    Code.STALE_VERSION: 412,
    Code.BODY_TOO_LARGE: 413,
    Code.URI_TOO_LONG: 414,
    Code.EXPECTATION_FAILED: 417,
    Code.IDEMPOTENCY_KEY_REUSED: 422,
    Code.PRICE_UNKNOWN: 422,
    Code.PLAN_REQUIRED: 428,
    Code.REQUEST_LIMITED: 429,
    Code.TOKEN_LIMITED: 429,
    Code.RATE_LIMITED: 429,
    Code.HEADERS_TOO_LARGE: 431,
    Code.INTERNAL_ERROR: 500,
    Code.UNSUPPORTED_CODING: 501,
    Code.DATABASE_UNAVAILABLE: 503,
    Code.FILE_BUSY: 503,
    Code.MEMORY_UNAVAILABLE: 503,
    Code.NOT_READY: 503,
}
"""The HTTP status of each code. docs/api.md contains the same table, and a test compares both."""


def handle_errors(app: Flask) -> None:
    """Handle every error of the app."""
    app.register_error_handler(Exception, handle)


def handle(error: Exception) -> HttpResponse:
    """Return the response to an error. An unexpected error is logged, and its text is not shown."""
    if isinstance(error, FaultyFile):
        return shaped(_of_file(error))
    if isinstance(error, GovernanceError):
        return shaped(error)
    if isinstance(error, HTTPException) and error.code is not None and error.code < 500:  # noqa: PLR2004
        return _of_http(error)
    fields = {"request_id": request.environ.get(ID)}
    logger.error("an error that was not foreseen", exc_info=error, extra={"fields": fields})
    return shaped(GovernanceError("Report this with its X-Request-Id: the service made a mistake."))


def note_code(error: GovernanceError) -> None:
    """Store the code of an error in the environ of the request, for the log and the metrics."""
    request.environ["governance.code"] = error.code


def shaped(error: GovernanceError) -> HttpResponse:
    """Return the response to a GovernanceError."""
    status = STATUS[error.code]
    note_code(error)
    if isinstance(error, Denied):
        request.environ["governance.whose"] = error.whose
    shown = (
        str if isinstance(error, Denied) else _without_secrets
    )  # a denial needs no masking, because its message contains only stored names, and nothing that the client sent
    response = HttpResponse(render.dumps(document(error, shown)), status, content_type=JSON)
    response.headers["Cache-Control"] = NEVER_STORED
    if status == 401:  # noqa: PLR2004
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def document(error: GovernanceError, shown: Callable[[str], str] = str) -> dict[str, Any]:
    """Return an error in the JSON form that all errors have.

    `shown` masks secrets in text that the client may have sent.
    """
    denied = isinstance(error, Denied)
    kind = error.code if denied else error.type
    param = None if error.param is None else shown(error.param)
    return {
        **({"type": kind} if denied else {}),
        "is_bifrost_error": False,
        "status_code": STATUS[error.code],
        "error": {"type": kind, "code": error.code, "message": shown(error.message), "param": param},
        "extra_fields": _without(shown, error.extra),
    }


def _without(shown: Callable[[str], str], extra: dict[str, Any]) -> dict[str, Any]:
    """Return the extra fields of an error, with secrets masked in each fault."""
    if "errors" not in extra:
        return extra
    faults = [
        {name: shown(value) if isinstance(value, str) else value for name, value in fault.items()}
        for fault in extra["errors"]
    ]
    return extra | {"errors": faults}


def _without_secrets(text: str) -> str:
    return masked_sentence(text, governance().authentication.is_secret)


def _of_http(error: HTTPException) -> HttpResponse:
    match error.code:
        case 404:
            return shaped(NotFound(f"Route not found: {_path()} (/docs shows every route)."))
        case 405:
            response = shaped(_not_allowed(error))
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))  # type: ignore[attr-defined]
            return response
        case 413:
            most = request.environ.get(MOST, MAX_BODY) // MAX_BODY
            return shaped(InvalidRequest(f"Send a body of at most {most} MiB.", code=Code.BODY_TOO_LARGE))
    sentence = "Send a well-formed HTTP request: this one could not be read to its end."
    return shaped(InvalidRequest(sentence, code=Code.MALFORMED_REQUEST))


def _of_file(error: FaultyFile) -> InvalidRequest:
    """Convert the error of a config file to the error that a faulty request body gets.

    Each fault also has its line number in the file, or None if the number is not known.
    """
    listed = [{"param": fault.path, "message": fault.message, "line": fault.line} for fault in error.faults]
    first = error.faults[0]
    return InvalidRequest(first.message, param=first.path, code=error.code, extra={"errors": listed})


def _not_allowed(error: HTTPException) -> InvalidRequest:
    allowed = " or ".join(sorted(set(error.valid_methods or ()) - {"HEAD"}))  # type: ignore[attr-defined]
    return InvalidRequest(f"Use {allowed} on {_path()}.", code=Code.METHOD_NOT_ALLOWED)


def _path() -> str:
    """Return the path of the request with secrets masked."""
    return masked(request.path, governance().authentication.is_secret)
