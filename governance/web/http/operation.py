"""Declares an endpoint: its scope, query and body. The OpenAPI document is built from the same declaration."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, cast

from flask.typing import ResponseReturnValue
from marshmallow import Schema

from governance.domain import strict_json
from governance.domain.errors import Code, Fault, InvalidRequest
from governance.domain.keys import KeyScope
from governance.services.actor import acting_as
from governance.web.http.context import the_request
from governance.web.http.flask_app import MAX_BODY, HttpRequest
from schemas import queries
from schemas.loading import load

View = Callable[..., ResponseReturnValue]
NO_QUERY = queries.Query()
NOT_OURS = queries.Query()
"""Declares that the query of a request is meant for another service, so nothing in it is refused."""
MANAGING = frozenset({KeyScope.WRITE, KeyScope.ADMIN})
"""The scopes of endpoints that may change limits, keys and users."""


class Operation(NamedTuple):
    """The declaration of one endpoint. A key needs one of `scopes`. An endpoint without scopes is public."""

    summary: str
    scopes: tuple[KeyScope, ...]
    query: Schema
    body: Schema | None
    answer: Schema | None
    refusals: tuple[Code, ...]


def operation(
    summary: str,
    *,
    scope: KeyScope | None,
    also: KeyScope | None = None,
    query: Schema = NO_QUERY,
    body: Schema | None = None,
    answer: Schema | None = None,
    refusals: tuple[Code, ...] = (),
) -> Callable[[View], View]:
    """Declare an endpoint for keys with the scope `scope` or `also`.

    If `scope` is None, the endpoint is public. If the endpoint declares a query or a body, the view is called with the
    loaded values as the arguments `query` and `body`.
    """
    scopes = tuple(enough for enough in (scope, also) if enough is not None)
    declared = Operation(summary, scopes, query, body, answer, refusals)

    def declare(act: View) -> View:
        @wraps(act)
        def view(**arguments: Any) -> ResponseReturnValue:
            request = the_request()
            _load(declared, request, arguments)
            if scope not in MANAGING:  # reads and metering write no audit entries
                return act(**arguments)
            with acting_as(f"key:{request.api_key.id}"):
                return act(**arguments)

        view.operation = declared  # type: ignore[attr-defined]
        return cast("View", view)

    return declare


def _load(declared: Operation, request: HttpRequest, arguments: dict[str, Any]) -> None:
    """Add the loaded `query` and `body` to the arguments.

    Raises InvalidRequest with the faults of both. The body is read even if the endpoint declares no body. So an
    incomplete request is refused before it changes anything. If the schema sets `optional`, a missing body counts as
    `{}`. If the schema sets `is_file`, the argument `body` is a function that reads the body.
    """
    faults: list[Fault] = []
    schema = declared.body
    try:
        if declared.query is not NOT_OURS:
            query = queries.read(declared.query, request.query_string)
            if declared.query is not NO_QUERY:
                arguments["query"] = query
    except InvalidRequest as error:
        faults += error.faults
    try:
        if getattr(schema, "is_file", False):
            arguments["body"] = request.whole
        else:
            data = request.whole(MAX_BODY)
            if schema is not None:
                may_be_left_out = not data and getattr(schema, "optional", False)
                arguments["body"] = load(schema, {} if may_be_left_out else strict_json.read_object(data))
    except InvalidRequest as error:
        faults += error.faults
    if faults:
        raise InvalidRequest.of(faults)


def of(view: Callable[..., Any] | None) -> Operation | None:
    """Return the declaration of a view function, or None."""
    return getattr(view, "operation", None)
