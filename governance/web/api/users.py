"""`/api/governance/users`: list, read, create, change and delete users. A user is a name for a user id."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response

from governance.container import governance
from governance.domain.errors import Code
from governance.domain.keys import KeyScope
from governance.domain.records.list_query import Page
from governance.web.http.answers import answer, plain_page
from governance.web.http.operation import operation
from schemas import keys
from schemas.queries import SearchQuery
from schemas.responses.envelopes import Done
from schemas.responses.users import UserFound, UserList, UserWritten

blueprint = Blueprint("users", __name__, url_prefix="/api/governance/users")


@blueprint.get("")
@operation("List users", scope=KeyScope.READ, query=SearchQuery(), answer=UserList())
def list_users(query: Mapping[str, Any]) -> Response:
    """Return a page of users, newest first."""
    page = Page(query["limit"], query["offset"])
    found, total = governance().users.page(page, query["search"])
    return plain_page("users", [keys.user(user) for user in found], total, page)


@blueprint.post("")
@operation(
    "Create a user",
    scope=KeyScope.WRITE,
    body=keys.UserCreate(),
    answer=UserWritten(),
    refusals=(Code.ALREADY_EXISTS,),
)
def create_user(body: Mapping[str, Any]) -> Response:
    """Store a name for a user id."""
    user = governance().users.create(body)
    return answer({"message": "User created successfully", "user": keys.user(user)})


@blueprint.get("/<id:user_id>")
@operation("Read a user", scope=KeyScope.READ, answer=UserFound(), refusals=(Code.USER_NOT_FOUND,))
def get_user(user_id: str) -> Response:
    """Read one user."""
    return answer({"user": keys.user(governance().users.get(user_id))})


@blueprint.put("/<id:user_id>")
@operation(
    "Change a user",
    scope=KeyScope.WRITE,
    body=keys.UserUpdate(),
    answer=UserWritten(),
    refusals=(Code.USER_NOT_FOUND,),
)
def update_user(user_id: str, body: Mapping[str, Any]) -> Response:
    """Change the name of a user."""
    user = governance().users.change(user_id, body)
    return answer({"message": "User updated successfully", "user": keys.user(user)})


@blueprint.delete("/<id:user_id>")
@operation("Delete a user", scope=KeyScope.WRITE, answer=Done(), refusals=(Code.USER_NOT_FOUND,))
def delete_user(user_id: str) -> Response:
    """Delete the name of a user id. Limits on the user id stay."""
    governance().users.delete(user_id)
    return answer({"message": "User deleted successfully"})
