"""What an endpoint is declared with: its scope, its query, its body. OpenAPI reads the same declaration."""

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
MANAGING = frozenset({KeyScope.WRITE, KeyScope.ADMIN})
"""Scopes whose endpoints may change what is managed."""


class Operation(NamedTuple):
    """One endpoint: what it does in a line, the scopes of which a key needs one (none: public), and its schemas."""

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
    """Declare an endpoint for keys of a scope (None: public), or of another that is enough `also`.

    It is called with `query=` and `body=`, loaded, where it declares them.
    """
    scopes = tuple(enough for enough in (scope, also) if enough is not None)
    declared = Operation(summary, scopes, query, body, answer, refusals)

    def declare(act: View) -> View:
        @wraps(act)
        def view(**arguments: Any) -> ResponseReturnValue:
            request = the_request()
            _load(declared, request, arguments)
            if scope not in MANAGING:  # reading and metering are spared this
                return act(**arguments)
            with acting_as(f"key:{request.api_key.id}"):
                return act(**arguments)

        view.operation = declared  # type: ignore[attr-defined]
        return cast("View", view)

    return declare


def _load(declared: Operation, request: HttpRequest, arguments: dict[str, Any]) -> None:
    """Load what came in into `query` and `body`. Raises InvalidRequest with the faults of both.

    A body is read where none is wanted, too: a message that ended before its declared end changes nothing. None at all
    is an empty one where the schema says so. A file is read by the endpoint, with the function that it is given for it.
    """
    faults: list[Fault] = []
    schema = declared.body
    try:
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
    """The declaration of a view function, where it has one."""
    return getattr(view, "operation", None)
