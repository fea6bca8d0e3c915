"""`/api/governance/virtual-keys`: the keys with which clients call the gateway. A limit can apply to one key."""

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
from schemas.queries import SearchQuery
from schemas.responses.envelopes import Done
from schemas.responses.virtual_keys import VirtualKeyCreated, VirtualKeyFound, VirtualKeyList, VirtualKeyWritten

blueprint = Blueprint("virtual_keys", __name__, url_prefix="/api/governance/virtual-keys")


@blueprint.get("")
@operation("List virtual keys", scope=KeyScope.READ, query=SearchQuery(), answer=VirtualKeyList())
def list_virtual_keys(query: Mapping[str, Any]) -> Response:
    """Return a page of virtual keys, newest first."""
    page = Page(query["limit"], query["offset"])
    found, total = governance().virtual_keys.page(page, query["search"])
    return plain_page("virtual_keys", [keys.virtual_key(key) for key in found], total, page)


@blueprint.post("")
@operation(
    "Create a virtual key",
    scope=KeyScope.WRITE,
    body=keys.VirtualKeyCreate(),
    answer=VirtualKeyCreated(),
    refusals=(Code.ALREADY_EXISTS,),
)
def create_virtual_key(body: Mapping[str, Any]) -> Response:
    """Create a virtual key. Only this response contains the value of the key."""
    new = governance().virtual_keys.create(body)
    shown = keys.virtual_key(new.key) | {"value": new.value}
    return secret({"message": "Virtual key created successfully", "virtual_key": shown})


@blueprint.get("/<id:virtual_key_id>")
@operation(
    "Read a virtual key",
    scope=KeyScope.READ,
    answer=VirtualKeyFound(),
    refusals=(Code.VIRTUAL_KEY_NOT_FOUND,),
)
def get_virtual_key(virtual_key_id: str) -> Response:
    """Read one virtual key."""
    return answer({"virtual_key": keys.virtual_key(governance().virtual_keys.get(virtual_key_id))})


@blueprint.put("/<id:virtual_key_id>")
@operation(
    "Change a virtual key",
    scope=KeyScope.WRITE,
    body=keys.VirtualKeyUpdate(),
    answer=VirtualKeyWritten(),
    refusals=(Code.VIRTUAL_KEY_NOT_FOUND, Code.ALREADY_EXISTS),
)
def update_virtual_key(virtual_key_id: str, body: Mapping[str, Any]) -> Response:
    """Change a virtual key. A field that the body leaves out keeps its value."""
    key = governance().virtual_keys.change(virtual_key_id, body)
    return answer({"message": "Virtual key updated successfully", "virtual_key": keys.virtual_key(key)})


@blueprint.delete("/<id:virtual_key_id>")
@operation(
    "Delete a virtual key",
    scope=KeyScope.WRITE,
    answer=Done(),
    refusals=(Code.VIRTUAL_KEY_NOT_FOUND,),
)
def delete_virtual_key(virtual_key_id: str) -> Response:
    """Delete a virtual key together with its limits."""
    governance().virtual_keys.delete(virtual_key_id)
    return answer({"message": "Virtual key deleted successfully"})
