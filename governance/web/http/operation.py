"""What an endpoint is declared with: its scope, its query, its body. OpenAPI reads the same declaration."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, cast

from flask import g
from flask.typing import ResponseReturnValue
from marshmallow import Schema

from governance.domain import strict_json
from governance.domain.errors import Code, Fault, InvalidRequest
from governance.domain.keys import KeyScope
from governance.services.actor import acting_as
from governance.web.http.context import the_request
from governance.web.http.flask_app import MAX_BODY, Request
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
        perform = _as_caller(act) if scope in MANAGING else act

        @wraps(act)
        def view(**arguments: Any) -> ResponseReturnValue:
            return perform(**arguments, **_loaded(declared))

        view.operation = declared  # type: ignore[attr-defined]
        return cast("View", view)

    return declare


def _as_caller(act: View) -> View:
    """The act, done on behalf of the key that the call came with; reading and metering are spared this."""

    def acted(**arguments: Any) -> ResponseReturnValue:
        with acting_as(f"key:{g.api_key.id}"):
            return act(**arguments)

    return acted


def _loaded(declared: Operation) -> dict[str, Any]:
    """What came in, by `query` and `body`. Raises InvalidRequest with the faults of both."""
    loaded: dict[str, Any] = {}
    faults: list[Fault] = []
    request = the_request()
    for name, read in (("query", _query), ("body", _body)):
        try:
            loaded |= {name: found} if (found := read(declared, request)) is not None else {}
        except InvalidRequest as error:
            faults += error.faults
    if faults:
        raise InvalidRequest.of(faults)
    return loaded


def _query(declared: Operation, request: Request) -> Any:
    found = queries.read(declared.query, request.query_string)
    return None if declared.query is NO_QUERY else found


def _body(declared: Operation, request: Request) -> Any:
    """The body, loaded; none at all is an empty one where the schema says that it may be left out.

    It is read where none is wanted, too: a message that ended before its declared end changes nothing. A file is
    read by the endpoint, with the function that it is given in place of it.
    """
    schema = declared.body
    if getattr(schema, "is_file", False):
        return request.whole
    data = request.whole(MAX_BODY)
    if schema is None:
        return None
    return load(schema, {} if not data and getattr(schema, "optional", False) else strict_json.read_object(data))


def of(view: Callable[..., Any] | None) -> Operation | None:
    """The declaration of a view function, where it has one."""
    return getattr(view, "operation", None)
