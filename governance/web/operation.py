"""What an endpoint is declared with: its scope, its query, its body. OpenAPI reads the same declaration."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, cast

from flask import request
from flask.typing import ResponseReturnValue
from marshmallow import Schema

from governance.domain import bodies
from governance.domain.errors import Code
from governance.domain.keys import KeyScope
from schemas import queries
from schemas.loading import load

View = Callable[..., ResponseReturnValue]
NO_QUERY = queries.Query()


class Operation(NamedTuple):
    """One endpoint: what it does in a line, the key scope it needs (None: public), and the schemas of both ways.

    `also` is another scope that is enough.
    """

    summary: str
    scope: KeyScope | None
    query: Schema
    body: Schema | None
    answer: Schema | None
    refusals: tuple[Code, ...]
    also: KeyScope | None = None

    @property
    def scopes(self) -> tuple[KeyScope, ...]:
        """The scopes of which a key needs one."""
        return tuple(scope for scope in (self.scope, self.also) if scope is not None)


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
    """Declare an endpoint. It is called with `query=` and `body=`, loaded, where it declares them."""
    declared = Operation(summary, scope, query, body, answer, refusals, also)

    def declare(act: View) -> View:
        @wraps(act)
        def view(**arguments: Any) -> ResponseReturnValue:
            found = queries.read(query, request.query_string)
            if query is not NO_QUERY:
                arguments["query"] = found
            if body is not None:
                arguments["body"] = load(body, _body(body))
            return act(**arguments)

        view.operation = declared  # type: ignore[attr-defined]
        return cast("View", view)

    return declare


def _body(schema: Schema) -> dict[str, Any]:
    """The JSON object that came in; none at all is an empty one where the schema says that it may be left out."""
    data = request.get_data(cache=False)
    return {} if not data and getattr(schema, "optional", False) else bodies.read_object(data)


def of(view: Callable[..., Any] | None) -> Operation | None:
    """The declaration of a view function, where it has one."""
    return getattr(view, "operation", None)
