"""The exceptions of the service.

GovernanceError
├── InvalidRequest      something in the request is wrong: one or more Faults
├── Unauthenticated     the request has no API key, or an API key that is unknown or expired
├── Forbidden           the API key is valid, but lacks the scope for the call
├── NotFound            nothing is stored under the id
├── Conflict            the request is valid, but conflicts with the stored state
├── Denied              a limit refuses the call
├── Unavailable         the database or its copy in memory (the snapshot) cannot answer now; try again
├── FaultyFile          a config file is wrong; the exception contains all its faults, each with its line
└── NotReady            the service cannot start; the message is for the operator, on standard error

Services raise these exceptions. `governance.web.http.errors` maps each code to an HTTP status.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, NamedTuple


class Code(StrEnum):
    """The stable values of `error.code`."""

    INVALID_BODY = "invalid_body"
    INVALID_FIELD = "invalid_field"
    UNKNOWN_FIELD = "unknown_field"
    INVALID_PARAMETER = "invalid_parameter"
    UNKNOWN_PARAMETER = "unknown_parameter"
    RESOLUTION_UNAVAILABLE = "resolution_unavailable"
    BODY_TOO_LARGE = "body_too_large"
    URI_TOO_LONG = "uri_too_long"
    HEADERS_TOO_LARGE = "headers_too_large"
    REQUEST_TIMEOUT = "request_timeout"
    EXPECTATION_FAILED = "expectation_failed"
    UNSUPPORTED_CODING = "unsupported_coding"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    MALFORMED_REQUEST = "malformed_request"
    API_KEY_REQUIRED = "api_key_required"
    INVALID_API_KEY = "invalid_api_key"
    VIRTUAL_KEY_REQUIRED = "virtual_key_required"
    INVALID_VIRTUAL_KEY = "invalid_virtual_key"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    ROUTE_NOT_FOUND = "route_not_found"
    MODEL_CONFIG_NOT_FOUND = "model_config_not_found"
    VIRTUAL_KEY_NOT_FOUND = "virtual_key_not_found"
    USER_NOT_FOUND = "user_not_found"
    API_KEY_NOT_FOUND = "api_key_not_found"
    PRICE_NOT_FOUND = "price_not_found"
    ALREADY_EXISTS = "already_exists"
    LAST_ADMIN_KEY = "last_admin_key"
    STALE_VERSION = "stale_version"
    PLAN_REQUIRED = "plan_required"
    FILE_BUSY = "file_busy"
    CALL_UNKNOWN = "call_unknown"
    BUDGET_EXCEEDED = "budget_exceeded"
    REQUEST_LIMITED = "request_limited"
    TOKEN_LIMITED = "token_limited"  # noqa: S105 - tokens of text
    RATE_LIMITED = "rate_limited"
    VIRTUAL_KEY_UNKNOWN = "virtual_key_unknown"
    VIRTUAL_KEY_INACTIVE = "virtual_key_inactive"
    VIRTUAL_KEY_EXPIRED = "virtual_key_expired"
    RESERVATION_NOT_FOUND = "reservation_not_found"
    ALREADY_SETTLED = "already_settled"
    ALREADY_RELEASED = "already_released"
    RESERVATION_EXPIRED = "reservation_expired"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    PRICE_UNKNOWN = "price_unknown"
    MEMORY_UNAVAILABLE = "memory_unavailable"
    DATABASE_UNAVAILABLE = "database_unavailable"
    NOT_READY = "not_ready"
    INTERNAL_ERROR = "internal_error"


class Fault(NamedTuple):
    """A fault in a request: the field or parameter, and how to correct it."""

    param: str | None
    message: str
    code: Code = Code.INVALID_FIELD


class GovernanceError(Exception):
    """The base class: a message, the field that the message is about, and a stable code."""

    type: ClassVar[str] = "internal"
    default_code: ClassVar[Code] = Code.INTERNAL_ERROR

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: Code | None = None,
        extra: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.extra = dict(extra or {})
        self.retry_after = retry_after


class InvalidRequest(GovernanceError):
    """The request is invalid.

    `faults` contains every fault that was found. The message and the code are those of the first fault.
    """

    type = "invalid_request"
    default_code = Code.INVALID_FIELD

    @classmethod
    def of(cls, faults: Sequence[Fault]) -> "InvalidRequest":
        """Build the error from the faults of a request (at least one)."""
        first = faults[0]
        listed = [{"param": fault.param, "message": fault.message} for fault in faults]
        extra = {"errors": listed} if len(faults) > 1 else {}
        error = cls(first.message, param=first.param, code=first.code, extra=extra)
        error.faults = tuple(faults)
        return error

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """Every fault that was found."""
        return (Fault(self.param, self.message, self.code),)


class Unauthenticated(GovernanceError):
    """The request has no API key, or an API key that is unknown or expired."""

    type = "authentication"
    default_code = Code.INVALID_API_KEY


class Forbidden(GovernanceError):
    """The API key is valid, but lacks the scope for the call."""

    type = "permission"
    default_code = Code.INSUFFICIENT_SCOPE


class NotFound(GovernanceError):
    """Nothing is stored under the id."""

    type = "not_found"
    default_code = Code.ROUTE_NOT_FOUND


class Conflict(GovernanceError):
    """The request conflicts with another row, or with a newer version of the same row."""

    type = "conflict"
    default_code = Code.ALREADY_EXISTS


class Denied(GovernanceError):
    """A limit refuses the call.

    In the response, `type` equals the code. `whose` contains the ids of the call's virtual key and user, for the log.
    """

    def __init__(
        self,
        message: str,
        *,
        code: Code,
        extra: Mapping[str, Any],
        retry_after: int | None,
        whose: Mapping[str, str | None],
    ) -> None:
        super().__init__(message, code=code, extra=extra, retry_after=retry_after)
        self.whose = whose


class Unavailable(GovernanceError):
    """The database or the snapshot cannot answer now. The caller may try again after `retry_after` seconds."""

    type = "unavailable"
    default_code = Code.DATABASE_UNAVAILABLE

    def __init__(self, message: str, *, code: Code | None = None, retry_after: int = 1) -> None:
        super().__init__(message, code=code, retry_after=retry_after)


class Misplaced(NamedTuple):
    """A fault in a file: its line (None if unknown), its path (`governance.budgets[0]`), and how to correct it."""

    line: int | None
    path: str | None
    message: str


class FaultyFile(GovernanceError):
    """A config file is wrong, or cannot be read.

    The message contains a line for each fault. `warnings` contains warnings about entries without faults.
    """

    type = "invalid_request"
    default_code = Code.INVALID_FIELD

    def __init__(
        self, file: str, faults: Sequence[Misplaced], warnings: Sequence[Misplaced] = (), *, code: Code | None = None
    ) -> None:
        super().__init__("\n".join(fault_line(file, fault) for fault in faults), code=code)
        self.file = file
        self.faults = tuple(faults)
        self.warnings = tuple(warnings)


def fault_line(file: str, fault: Misplaced) -> str:
    """Write a fault as one line: `config.json:12: governance.budgets[0].max_limit: Give max_limit as a number.`."""
    place = file if fault.line is None else f"{file}:{fault.line}"
    return ": ".join(part for part in (place, fault.path, fault.message) if part)


class NotReady(GovernanceError):
    """The service cannot start. The message is one line for standard error and says what to do."""
