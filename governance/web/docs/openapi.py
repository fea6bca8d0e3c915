"""Builds the OpenAPI document from the declarations of the endpoints."""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, cast

from apispec import APISpec
from flask import Flask
from werkzeug.routing import Rule

import governance
from governance.domain.errors import Code
from governance.domain.keys import KeyScope
from governance.web.docs.openapi_fields import plugins
from governance.web.docs.openapi_headers import ERROR_HEADERS, HEADERS, REQUEST_HEADERS, TEXT
from governance.web.http import operation
from governance.web.http.answers import JSON
from governance.web.http.errors import STATUS
from governance.web.http.operation import Operation
from schemas import queries
from schemas.config.body import ConfigFile
from schemas.responses.decisions import Denial
from schemas.responses.errors import Error
from schemas.responses.limits import ModelLimitFound, ModelLimitWritten

EXTENSION = "governance.openapi"
SECURITY = "ManagementBearerAuth"
PROXY_SECURITY = "ProxyKeyAuth"
PROXY_SCHEME = {
    "type": "apiKey",
    "in": "header",
    "name": "X-Governance-Key",
    "description": "The API key of a proxy. `Authorization` is that of its client, with a virtual key.",
}
PARTS = ("openapi", "info", "tags", "paths", "components")
ARGUMENT = re.compile(r"<(?:\w+:)?(?:\w*_)?(\w+)>")
"""Matches a variable in a Flask path, such as `<path:model_config_id>`. OpenAPI writes `{id}`."""

SCOPES = {
    KeyScope.READ: "to read under /api/governance (of the audit, all but what it says of API keys), and to check",
    KeyScope.WRITE: "that, and every change of what is managed there",
    KeyScope.METER: "reservations, usage and check, and the endpoints for proxies",
    KeyScope.ADMIN: "everything, also /api/api-keys and what the audit says of API keys",
}
ABOUT = f"{governance.__doc__} Money is in dollars, written exactly; times are RFC 3339 in UTC."
HOW_TO_AUTHENTICATE = (
    "Send an API key as `Authorization: Bearer <API key>`. Virtual keys and session tokens are not accepted. "
    f"A key has scopes: {'; '.join(f'`{scope}`: {what}' for scope, what in SCOPES.items())}."
)

DENIED = (HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.TOO_MANY_REQUESTS)
EVERY_CALL = (Code.INVALID_PARAMETER, Code.UNKNOWN_PARAMETER, Code.MALFORMED_REQUEST, Code.INTERNAL_ERROR)
WITH_A_KEY = (Code.API_KEY_REQUIRED, Code.INVALID_API_KEY, Code.INSUFFICIENT_SCOPE, Code.DATABASE_UNAVAILABLE)
WITH_A_BODY = (Code.INVALID_BODY, Code.INVALID_FIELD, Code.UNKNOWN_FIELD, Code.BODY_TOO_LARGE)

EXAMPLES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("examples.json").read_text())
"""The complete example request and response of each operation. docs/api.md shows the same examples, shortened."""
MEDIA = {"docs": "text/html", "metrics": "text/plain"}
"""The media types of endpoints that do not return JSON."""


class OperationKind(NamedTuple):
    """The headers of the responses (`answers`) and requests (`takes`) of all operations to which this kind applies."""

    applies: Callable[[Operation], bool]
    answers: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


TRAITS = (
    OperationKind(lambda _: True, ("X-Request-Id",)),
    OperationKind(lambda declared: isinstance(declared.query, queries.PageQuery), ("Link",)),
    OperationKind(
        lambda declared: isinstance(declared.query, queries.RulesQuery),
        ("ETag", "X-Governance-Source", "Age"),
        ("If-None-Match",),
    ),
    OperationKind(lambda declared: isinstance(declared.answer, ModelLimitFound), ("ETag",), ("If-None-Match",)),
    OperationKind(lambda declared: isinstance(declared.answer, ModelLimitWritten), ("ETag",)),
    OperationKind(
        lambda declared: isinstance(declared.body, ConfigFile) and Code.PLAN_REQUIRED not in declared.refusals,
        ("ETag",),
    ),
    OperationKind(lambda declared: Code.STALE_VERSION in declared.refusals, (), ("If-Match",)),
    OperationKind(
        lambda declared: Code.IDEMPOTENCY_KEY_REUSED in declared.refusals,
        ("Idempotent-Replayed",),
        ("Idempotency-Key",),
    ),
)


def document(app: Flask) -> dict[str, Any]:
    """Return the app's OpenAPI 3.1 document. It is built once and shared, so the caller must not change it."""
    if EXTENSION not in app.extensions:
        app.extensions[EXTENSION] = _made(app)
    return cast("dict[str, Any]", app.extensions[EXTENSION])


def _made(app: Flask) -> dict[str, Any]:
    spec = APISpec("Model limits", governance.__version__, "3.1.0", plugins(), info={"description": ABOUT})
    _add_components(spec)
    for blueprint in _documented(app):
        about = inspect.getdoc(sys.modules[blueprint.import_name])
        spec.tag({"name": blueprint.name, "description": (about or "").partition("\n")[0]})
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        declared = operation.of(view)
        if declared is not None:
            described = _operation(rule, inspect.getdoc(view), declared)
            spec.path(ARGUMENT.sub(r"{\1}", rule.rule), operations=dict.fromkeys(_methods(rule), described))
    made = spec.to_dict()
    return {part: made[part] for part in PARTS}


def _documented(app: Flask) -> list[Any]:
    """Return the blueprints with declared endpoints. The dashboard's pages are not declared."""
    views = app.view_functions.items()
    names = {endpoint.rpartition(".")[0] for endpoint, view in views if operation.of(view) is not None}
    return [blueprint for blueprint in app.iter_blueprints() if blueprint.name in names]


def _add_components(spec: APISpec) -> None:
    spec.components.schema("Error", schema=Error())
    spec.components.schema("Denial", schema=Denial())
    scheme = {"type": "http", "scheme": "bearer", "description": HOW_TO_AUTHENTICATE}
    spec.components.security_scheme(SECURITY, scheme)
    spec.components.security_scheme(PROXY_SECURITY, PROXY_SCHEME)
    for name, (schema, about) in HEADERS.items():
        spec.components.header(name, {"description": about, "schema": schema})
    for name, about in REQUEST_HEADERS.items():
        spec.components.parameter(name, "header", {"description": about, "schema": TEXT})


def _methods(rule: Rule) -> list[str]:
    """Return the methods of an endpoint. In the document, an endpoint that accepts any method is shown as POST only."""
    methods = [method.lower() for method in sorted(rule.methods or ()) if method not in {"HEAD", "OPTIONS"}]
    return methods if len(methods) == 1 else ["post"]


def _operation(rule: Rule, about: str | None, declared: Operation) -> dict[str, Any]:
    tag, _, name = rule.endpoint.rpartition(".")
    return {
        "tags": [tag],
        "operationId": name,
        "summary": declared.summary,
        "description": about,
        "parameters": _parameters(rule, declared),
        "responses": dict(_responses(name, declared)),
        **_body(name, declared),
        **_security(rule, declared),
    }


def _parameters(rule: Rule, declared: Operation) -> list[Any]:
    about = "A slash in it may be sent as it is or as %2F." if "<call:" in rule.rule else "As answers show it."
    names = ARGUMENT.findall(rule.rule)
    path = [{"in": "path", "name": name, "description": about, "schema": TEXT} for name in names]
    return [*path, {"in": "query", "schema": declared.query}, *_taken(declared)]


def _body(name: str, declared: Operation) -> dict[str, Any]:
    if declared.body is None or getattr(declared.body, "is_carried", False):
        return {}
    optional = getattr(declared.body, "optional", False)
    required = not optional or any(field.required for field in declared.body.fields.values())
    content = {"schema": declared.body, **_example(name, "request")}
    return {"requestBody": {"required": required, "content": {JSON: content}}}


def _example(name: str, part: str) -> dict[str, Any]:
    found = EXAMPLES.get(name, {})
    return {"example": found[part]} if part in found else {}


def _security(rule: Rule, declared: Operation) -> dict[str, Any]:
    """Return the security requirement with its scopes.

    The scopes are also written in an extension field, `x-key-scopes`, for tools that ignore the scopes of a security
    requirement.
    """
    scopes = [scope.value for scope in declared.scopes]
    scheme = PROXY_SECURITY if rule.rule.startswith("/gateway") else SECURITY
    return {"security": [{scheme: [scope]} for scope in scopes], "x-key-scopes": scopes} if scopes else {}


def _responses(name: str, declared: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    headers = [header for trait in _traits(declared) for header in trait.answers]
    yield "200", _success(name, declared) | {"headers": _named(headers)}
    if "If-None-Match" in _taken(declared):
        yield "304", {"description": "Not Modified: the ETag is still true.", "headers": _named(headers)}
    for status, codes in groupby(_codes(declared), STATUS.__getitem__):
        yield str(status), _refusal(HTTPStatus(status), [code.value for code in codes])


def _success(name: str, declared: Operation) -> dict[str, Any]:
    if declared.answer is None:
        return {"description": declared.summary, "content": {MEDIA.get(name, JSON): _example(name, "response")}}
    content = {"schema": declared.answer, **_example(name, "response")}
    return {"description": inspect.getdoc(declared.answer), "content": {JSON: content}}


def _refusal(status: HTTPStatus, codes: list[str]) -> dict[str, Any]:
    return {
        "description": f"{status.phrase}: {', '.join(codes)}.",
        "headers": _named(["X-Request-Id", *ERROR_HEADERS.get(status, ())]),
        "content": {JSON: {"schema": "Denial" if status in DENIED else "Error"}},
        "x-error-codes": codes,
    }


def _codes(declared: Operation) -> list[Code]:
    """Return all error codes of an operation, sorted by HTTP status.

    An operation declares its own codes. The other codes are common to all operations, to those that need an API key, or
    to those with a body.
    """
    with_a_key = WITH_A_KEY if declared.scopes else ()
    with_a_body = () if declared.body is None else WITH_A_BODY
    possible = {*EVERY_CALL, *with_a_key, *with_a_body, *declared.refusals}
    return sorted((code for code in STATUS if code in possible), key=STATUS.__getitem__)


def _traits(declared: Operation) -> list[OperationKind]:
    return [trait for trait in TRAITS if trait.applies(declared)]


def _taken(declared: Operation) -> list[str]:
    return [header for trait in _traits(declared) for header in trait.takes]


def _named(headers: list[str]) -> dict[str, str]:
    """Map each header to its own name. apispec replaces the name by a reference."""
    return {header: header for header in headers}
