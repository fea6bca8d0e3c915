"""The dashboard's pages that list, show, create, change and delete virtual keys.

Clients of the gateway send a virtual key with their calls. A limit can apply to one virtual key.
"""

from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from governance.container import governance
from governance.domain.errors import Code, Conflict, InvalidRequest
from governance.domain.keys import KeyScope, VirtualKey
from governance.domain.limits.limit import Scope
from governance.domain.records.list_query import Filter, ListQuery, Page
from governance.services.limits.model_limits import Listing
from governance.web.dashboard import limit_views
from governance.web.dashboard.core import addresses, entry_forms, paging
from governance.web.dashboard.core.blueprint import acts, shows
from governance.web.dashboard.core.entry_forms import EntryForm, FormField
from governance.web.http.context import the_request
from schemas import keys, queries
from schemas.loading import load
from schemas.queries import SearchQuery

QUERY, CREATE, UPDATE = SearchQuery(), keys.VirtualKeyCreate(), keys.VirtualKeyUpdate()
PATH = "/api/governance/virtual-keys"
DONE = {"deleted": "The virtual key was deleted.", "changed": "The virtual key was changed."}
YES_NO = (("true", "yes"), ("false", "no"))
SETTINGS = (
    FormField("name", "Name", is_required=True),
    FormField("description", "Description"),
    FormField("is_active", "Active", "An inactive key is refused.", "choice", YES_NO),
    FormField("calendar_aligned", "New limits follow the calendar", "", "choice", YES_NO[::-1]),
    FormField("expires_at", "Expires at", "Such as 2027-01-31T00:00:00Z. Empty means never."),
)
NEW = (
    SETTINGS[0],
    FormField("id", "Id", "The gateway's own id for the key. Empty makes one."),
    FormField("value", "Value", "The gateway's own key. Empty makes one, which is shown once."),
    *SETTINGS[1:],
)
MOST_LIMITS = 10


@shows("virtual-keys")
def virtual_keys() -> ResponseReturnValue:
    """Show a page of virtual keys."""
    query = queries.read(QUERY, addresses.question())
    page = paging.shown(Page(query["limit"], query["offset"]))
    found, total = governance().virtual_keys.page(page, query["search"])
    args = the_request().args
    return render_template(
        "dashboard/virtual_keys.html",
        keys=found,
        total=total,
        page=page,
        filters=args,
        done=DONE.get(args.get("done", "")),
    )


@shows("virtual-key")
def virtual_key() -> ResponseReturnValue:
    """Show one virtual key with its limits."""
    args = the_request().args
    key = governance().virtual_keys.get(args.get("id", ""))
    found = _limits(key.id, MOST_LIMITS)
    return render_template(
        "dashboard/virtual_key.html",
        key=key,
        limits=[limit_views.parsed(document) for document in found.documents],
        total=found.total,
        value=None,
        done=DONE.get(args.get("done", "")),
    )


@shows("new-virtual-key", KeyScope.WRITE)
def new_virtual_key() -> ResponseReturnValue:
    """Show the empty form for a new virtual key."""
    return entry_forms.show(_creation(), {"is_active": True})


@acts("new-virtual-key")
def create_virtual_key(fields: MultiDict[str, str]) -> ResponseReturnValue:
    """Create a virtual key. Only this response contains the value of the key."""
    body = entry_forms.body_of(fields, CREATE)
    try:
        new = governance().virtual_keys.create(load(CREATE, body))
    except (InvalidRequest, Conflict) as error:
        return entry_forms.show(_creation(), body, error=error)
    return render_template("dashboard/virtual_key.html", key=new.key, limits=[], total=0, value=new.value, done=None)


@shows("change-virtual-key", KeyScope.WRITE)
def change_virtual_key_form() -> ResponseReturnValue:
    """Show the form filled with the stored key."""
    key = governance().virtual_keys.get(the_request().args.get("id", ""))
    return entry_forms.show(_edit(key), _stored(key), version=str(key.updated_at))


@acts("change-virtual-key")
def change_virtual_key(fields: MultiDict[str, str]) -> ResponseReturnValue:
    """Store an edit, unless somebody else has changed the key in the meantime."""
    service, body = governance().virtual_keys, entry_forms.body_of(fields, UPDATE, is_edit=True)
    key = service.get(the_request().args.get("id", ""))
    try:
        service.change(key.id, load(UPDATE, body), seen=entry_forms.seen(fields))
    except (InvalidRequest, Conflict) as error:
        if error.code == Code.STALE_VERSION:
            return entry_forms.show(_edit(key), body, version=str(key.updated_at), stored=_stored(key))
        return entry_forms.show(_edit(key), body, version=fields.get("version", ""), error=error)
    return addresses.go("virtual-key", id=key.id, done="changed")


@shows("delete-virtual-key", KeyScope.WRITE)
def delete_virtual_key_form() -> ResponseReturnValue:
    """Show what the deletion of a virtual key would remove."""
    key = governance().virtual_keys.get(the_request().args.get("id", ""))
    return entry_forms.show(_deletion(key), {})


@acts("delete-virtual-key")
def delete_virtual_key(_: MultiDict[str, str]) -> ResponseReturnValue:
    """Delete a key together with its limits."""
    governance().virtual_keys.delete(the_request().args.get("id", ""))
    return addresses.go("virtual-keys", done="deleted")


def _limits(key_id: str, most: int) -> Listing:
    wanted = Filter(scope=Scope.VIRTUAL_KEY, scope_id=key_id)
    return governance().model_limits.page(ListQuery(Page(most, 0), wanted))


def _stored(key: VirtualKey) -> dict[str, Any]:
    shown = keys.virtual_key(key)
    return {field.name: shown[field.name] for field in SETTINGS}


def _creation() -> EntryForm:
    trail = [(addresses.link("virtual-keys"), "Virtual keys")]
    return EntryForm("New virtual key", trail, NEW, addresses.link("new-virtual-key"), "Create it", ("POST", PATH))


def _edit(key: VirtualKey) -> EntryForm:
    action = addresses.link("change-virtual-key", id=key.id)
    return EntryForm(f"Change {key.name}", _trail(key), SETTINGS, action, "Change it", ("PUT", f"{PATH}/{key.id}"))


def _deletion(key: VirtualKey) -> EntryForm:
    total = _limits(key.id, 1).total
    effects = (
        "Calls with this key are refused as those of an unknown key, at the latest after one poll.",
        f"Its limits are deleted with it: {total:,}. Their usage is deleted too.",
        "The usage history of its calls stays, with its name.",
    )
    action = addresses.link("delete-virtual-key", id=key.id)
    curl = ("DELETE", f"{PATH}/{key.id}")
    return EntryForm(f"Delete {key.name}?", _trail(key), (), action, "Delete it", curl, effects, is_dangerous=True)


def _trail(key: VirtualKey) -> list[tuple[str, str]]:
    return [(addresses.link("virtual-keys"), "Virtual keys"), (addresses.link("virtual-key", id=key.id), key.name)]
