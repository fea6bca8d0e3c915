"""`/api/api-keys`: the keys of this management API."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response

from governance.container import governance
from governance.domain.errors import Code
from governance.domain.keys import KeyScope
from governance.domain.records.list_query import Page
from governance.web.http.answers import answer, plain_page, secret
from governance.web.http.operation import operation
from schemas import keys
from schemas.queries import PageQuery
from schemas.responses.api_keys import ApiKeyCreated, ApiKeyList
from schemas.responses.envelopes import Done

blueprint = Blueprint("api_keys", __name__, url_prefix="/api/api-keys")


@blueprint.get("")
@operation("List API keys", scope=KeyScope.ADMIN, query=PageQuery(), answer=ApiKeyList())
def list_api_keys(query: Mapping[str, Any]) -> Response:
    """Return a page of API keys, newest first, without the values of the keys."""
    page = Page(query["limit"], query["offset"])
    found, total = governance().api_keys.page(page)
    return plain_page("api_keys", [keys.api_key(key) for key in found], total, page)


@blueprint.post("")
@operation("Create an API key", scope=KeyScope.ADMIN, body=keys.ApiKeyCreate(), answer=ApiKeyCreated())
def create_api_key(body: Mapping[str, Any]) -> Response:
    """Create a key. Only this response contains its value."""
    new = governance().api_keys.create(body)
    return secret({"message": "API key created successfully", "api_key": keys.api_key(new.key) | {"key": new.secret}})


@blueprint.delete("/<id:api_key_id>")
@operation(
    "Revoke an API key",
    scope=KeyScope.ADMIN,
    answer=Done(),
    refusals=(Code.API_KEY_NOT_FOUND, Code.LAST_ADMIN_KEY),
)
def revoke_api_key(api_key_id: str) -> Response:
    """Revoke a key.

    The worker process that answers this request refuses the key immediately. The other workers refuse it after they
    next poll the database. The last admin key cannot be revoked, unless the settings contain an admin key.
    """
    service = governance()
    service.api_keys.revoke(api_key_id, keep_last=service.settings.admin_key is None)
    return answer({"message": "API key revoked successfully"})
