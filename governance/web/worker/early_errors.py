"""Error responses to requests that do not reach Flask. They have the JSON form of all other errors."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from gunicorn.http import errors as http

from governance.domain.errors import Code, GovernanceError, InvalidRequest, NotFound
from governance.services.metering.statistics import requests_counted
from governance.services.operations.refusal_log import RefusalLog
from governance.web.http.answers import JSON, NEVER_STORED
from governance.web.http.errors import STATUS, document
from governance.web.http.masking import masked
from governance.web.http.request_ids import request_id
from schemas import render

HEAD_TIMEOUT = InvalidRequest(
    "Send the whole head of a request in time: GOVERNANCE_HEADER_TIMEOUT is over.", code=Code.REQUEST_TIMEOUT
)
BODY_TIMEOUT = InvalidRequest(
    "Send the whole body of a request in time: GOVERNANCE_BODY_TIMEOUT is over.", code=Code.REQUEST_TIMEOUT
)
MALFORMED = InvalidRequest(
    "Send a well-formed HTTP request: this one could not be read to its end.", code=Code.MALFORMED_REQUEST
)
HEAD_TOO_LARGE = InvalidRequest("Send at most 100 header fields, of 8,190 bytes each.", code=Code.HEADERS_TOO_LARGE)
UNFORESEEN = GovernanceError("Report this with its X-Request-Id: the service made a mistake.")

REFUSALS: tuple[tuple[type[Exception], GovernanceError], ...] = (
    (http.InvalidResponseHeader, UNFORESEEN),
    (http.InvalidResponseHeaderName, UNFORESEEN),
    (http.LimitRequestLine, InvalidRequest("Send a request line of at most 4,094 bytes.", code=Code.URI_TOO_LONG)),
    (http.LimitRequestHeaders, HEAD_TOO_LARGE),
    (
        http.ExpectationFailed,
        InvalidRequest("Expect nothing but 100-continue.", code=Code.EXPECTATION_FAILED),
    ),
    (
        http.UnsupportedTransferCoding,
        InvalidRequest("Send the body as it is, or chunked.", code=Code.UNSUPPORTED_CODING),
    ),
    (http.ConfigurationProblem, NotFound("Route not found: the path does not begin with SCRIPT_NAME.")),
    (http.ParseException, MALFORMED),
)
"""The error that the client gets for each of gunicorn's exceptions. The first entry that matches is used."""


def refusal_of(error: Exception) -> GovernanceError:
    """Return the error that the client gets for an exception while its request was read or answered."""
    return next((refusal for kind, refusal in REFUSALS if isinstance(error, kind)), UNFORESEEN)


class RefusalRenderer:
    """Renders error responses, counts them, and logs them.

    No key was read, so the log treats the requests as requests without a key.
    """

    def __init__(self, log: RefusalLog, is_secret: Callable[[str], bool]) -> None:
        self._log = log
        self._is_secret = is_secret

    def rendered(self, error: GovernanceError, client: Any, request: Any = None) -> bytes:
        """Return the HTTP response as bytes. The connection is closed after it."""
        status, own = HTTPStatus(STATUS[error.code]), request_id({})
        self._log.write_stranger(
            {
                "method": getattr(request, "method", None) or "",
                "path": masked(getattr(request, "path", None) or "", self._is_secret),
                "status": int(status),
                "code": error.code,
                "request_id": own,
                "peer": client[0] if isinstance(client, tuple) else "",
            }
        )
        requests_counted("none", int(status)).inc()
        body = render.dumps(document(error))
        head = (
            f"HTTP/1.1 {status:d} {status.phrase}\r\n"
            f"Connection: close\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n"
            f"Cache-Control: {NEVER_STORED}\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: {own}\r\n\r\n"
        )
        return head.encode("latin-1") + body
