"""The dashboard's pages that list, create, change and delete users. A user is a name for a user id."""

from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from governance.container import governance
from governance.domain.errors import Code, Conflict, InvalidRequest
from governance.domain.keys import KeyScope, User
from governance.domain.records.list_query import Page
from governance.web.dashboard.core import addresses, entry_forms, paging
from governance.web.dashboard.core.blueprint import acts, shows
from governance.web.dashboard.core.entry_forms import EntryForm, FormField
from governance.web.http.context import the_request
from schemas import keys, queries
from schemas.loading import load
from schemas.queries import SearchQuery

QUERY, CREATE, UPDATE = SearchQuery(), keys.UserCreate(), keys.UserUpdate()
PATH = "/api/governance/users"
DONE = {
    "created": "The user was created.",
    "changed": "The user was changed.",
    "deleted": "The name was deleted.",
}
NAME = FormField("name", "Name", is_required=True)
NEW = (NAME, FormField("id", "Id", "The gateway's own id for the user. Empty makes one."))
FORGOTTEN = (
    "The name is deleted. Limits on the user id stay, and count as before.",
    "Pages show the id instead of the name. The usage history keeps the name.",
)


@shows("users")
def users() -> ResponseReturnValue:
    """Show a page of users."""
    query = queries.read(QUERY, addresses.question())
    page = paging.shown(Page(query["limit"], query["offset"]))
    found, total = governance().users.page(page, query["search"])
    args = the_request().args
    return render_template(
        "dashboard/users.html", users=found, total=total, page=page, filters=args, done=DONE.get(args.get("done", ""))
    )


@shows("new-user", KeyScope.WRITE)
def new_user() -> ResponseReturnValue:
    """Show the empty form for a new user."""
    return entry_forms.show(_creation(), {})


@acts("new-user")
def create_user(fields: MultiDict[str, str]) -> ResponseReturnValue:
    """Store a name for a user id."""
    body = entry_forms.body_of(fields, CREATE)
    try:
        governance().users.create(load(CREATE, body))
    except (InvalidRequest, Conflict) as error:
        return entry_forms.show(_creation(), body, error=error)
    return addresses.go("users", done="created")


@shows("change-user", KeyScope.WRITE)
def change_user_form() -> ResponseReturnValue:
    """Show the form filled with the stored user."""
    user = governance().users.get(the_request().args.get("id", ""))
    return entry_forms.show(_edit(user), _stored(user), version=str(user.updated_at))


@acts("change-user")
def change_user(fields: MultiDict[str, str]) -> ResponseReturnValue:
    """Store an edit, unless somebody else has changed the user in the meantime."""
    service, body = governance().users, entry_forms.body_of(fields, UPDATE)
    user = service.get(the_request().args.get("id", ""))
    try:
        service.change(user.id, load(UPDATE, body), seen=entry_forms.seen(fields))
    except (InvalidRequest, Conflict) as error:
        if error.code == Code.STALE_VERSION:
            return entry_forms.show(_edit(user), body, version=str(user.updated_at), stored=_stored(user))
        return entry_forms.show(_edit(user), body, version=fields.get("version", ""), error=error)
    return addresses.go("users", done="changed")


@shows("delete-user", KeyScope.WRITE)
def delete_user_form() -> ResponseReturnValue:
    """Show what the deletion of a user would remove."""
    return entry_forms.show(_deletion(governance().users.get(the_request().args.get("id", ""))), {})


@acts("delete-user")
def delete_user(_: MultiDict[str, str]) -> ResponseReturnValue:
    """Delete the name of a user."""
    governance().users.delete(the_request().args.get("id", ""))
    return addresses.go("users", done="deleted")


def _stored(user: User) -> dict[str, Any]:
    return {"name": user.name}


def _trail() -> list[tuple[str, str]]:
    return [(addresses.link("users"), "Users")]


def _creation() -> EntryForm:
    return EntryForm("New user", _trail(), NEW, addresses.link("new-user"), "Create it", ("POST", PATH))


def _edit(user: User) -> EntryForm:
    action = addresses.link("change-user", id=user.id)
    return EntryForm(f"Change {user.name}", _trail(), (NAME,), action, "Change it", ("PUT", f"{PATH}/{user.id}"))


def _deletion(user: User) -> EntryForm:
    action = addresses.link("delete-user", id=user.id)
    curl = ("DELETE", f"{PATH}/{user.id}")
    return EntryForm(f"Delete {user.name}?", _trail(), (), action, "Delete it", curl, FORGOTTEN, is_dangerous=True)
