"""The dashboard's pages that list, create and revoke API keys. The viewer needs an API key with the scope `admin`."""

from flask import render_template
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from governance.container import governance
from governance.domain.errors import Conflict, InvalidRequest, NotFound
from governance.domain.keys import ApiKey, KeyScope
from governance.domain.records.list_query import Page
from governance.web.dashboard.core import addresses, entry_forms, paging, sessions
from governance.web.dashboard.core.blueprint import acts, shows
from governance.web.dashboard.core.entry_forms import EntryForm, FormField
from governance.web.http.context import the_request
from schemas import keys, queries
from schemas.loading import load
from schemas.queries import PageQuery

QUERY, CREATE = PageQuery(), keys.ApiKeyCreate()
PATH = "/api/api-keys"
DONE = {"revoked": "The API key was revoked."}
SCOPES = (
    (KeyScope.READ.value, "read: see limits, usage and prices"),
    (KeyScope.WRITE.value, "write: read, and change what is managed"),
    (KeyScope.METER.value, "meter: reserve, settle and report, for a gateway"),
    (KeyScope.ADMIN.value, "admin: everything, and API keys"),
)
NEW = (
    FormField("name", "Name", "Who or what uses the key.", is_required=True),
    FormField("scopes", "Scopes", "", "choices", SCOPES),
    FormField("expires_at", "Expires at", "Such as 2027-01-31T00:00:00Z. Empty means never."),
)


@shows("api-keys", KeyScope.ADMIN)
def api_keys() -> ResponseReturnValue:
    """Show a page of API keys. The page never contains the values of the keys."""
    query = queries.read(QUERY, addresses.question())
    page = paging.shown(Page(query["limit"], query["offset"]))
    found, total = governance().api_keys.page(page)
    done = DONE.get(the_request().args.get("done", ""))
    return render_template(
        "dashboard/api_keys.html", keys=found, total=total, page=page, done=done, own=sessions.viewer().key.id
    )


@shows("new-api-key", KeyScope.ADMIN)
def new_api_key() -> ResponseReturnValue:
    """Show the empty form."""
    return entry_forms.show(_creation(), {})


@acts("new-api-key", KeyScope.ADMIN)
def create_api_key(fields: MultiDict[str, str]) -> ResponseReturnValue:
    """Create an API key. Only this response contains the value of the key."""
    body = entry_forms.body_of(fields, CREATE)
    try:
        new = governance().api_keys.create(load(CREATE, body))
    except InvalidRequest as error:
        return entry_forms.show(_creation(), body, error=error)
    return render_template("dashboard/new_api_key.html", key=new.key, secret=new.secret)


@shows("revoke-api-key", KeyScope.ADMIN)
def revoke_api_key_form() -> ResponseReturnValue:
    """Show what the revocation of an API key would do."""
    return entry_forms.show(_revocation(_found(the_request().args.get("id", ""))), {})


@acts("revoke-api-key", KeyScope.ADMIN)
def revoke_api_key(_: MultiDict[str, str]) -> ResponseReturnValue:
    """Revoke an API key.

    The last key with the scope `admin` can be revoked only if the settings contain an admin key.
    """
    service = governance()
    key = _found(the_request().args.get("id", ""))
    try:
        service.api_keys.revoke(key.id, keep_last=service.settings.admin_key is None)
    except Conflict as error:
        return entry_forms.show(_revocation(key), {}, error=error)
    return addresses.go("api-keys", done="revoked")


def _found(key_id: str) -> ApiKey:
    key = governance().api_keys.get(key_id)
    if key is None:
        raise NotFound("API key not found")
    return key


def _trail() -> list[tuple[str, str]]:
    return [(addresses.link("api-keys"), "API keys")]


def _creation() -> EntryForm:
    return EntryForm("New API key", _trail(), NEW, addresses.link("new-api-key"), "Create it", ("POST", PATH))


def _revocation(key: ApiKey) -> EntryForm:
    effects = [
        "Calls with this key are refused: by this worker at once, by the others within one poll.",
        "Sessions of this dashboard that were begun with it end.",
        "It cannot be undone. Another key can be created.",
    ]
    if key.id == sessions.viewer().key.id:
        effects.append("It is the key that you are signed in with: you will have to sign in with another one.")
    action = addresses.link("revoke-api-key", id=key.id)
    curl = ("DELETE", f"{PATH}/{key.id}")
    return EntryForm(f"Revoke {key.name}?", _trail(), (), action, "Revoke it", curl, effects, is_dangerous=True)
