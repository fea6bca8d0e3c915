"""The dashboard's forms to create, change and delete a limit. The user sees the effects before the change is stored."""

from collections.abc import Mapping
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from governance.container import governance
from governance.domain.errors import Code, Conflict, GovernanceError, InvalidRequest
from governance.domain.keys import KeyScope
from governance.domain.limits.effects import RuleEffect
from governance.services.limits.model_limits import Versions
from governance.web.dashboard import limit_views
from governance.web.dashboard.core import addresses, forms
from governance.web.dashboard.core.blueprint import acts, shows
from governance.web.http.context import the_request
from schemas.limits.model_limits import IDENTITY, ModelLimitCreate, ModelLimitUpdate

CREATE, UPDATE = ModelLimitCreate(), ModelLimitUpdate()
NUMBERS = ("max_limit", "token_max_limit", "request_max_limit")
LISTS = ("budgets", "rate_limits")
ITEM_FIELDS = {"id", "max_limit", "reset_duration"} | {
    f"{unit}_{name}" for unit in ("token", "request") for name in ("max_limit", "reset_duration")
}
SETTINGS = ("calendar_aligned", "timezone")
PATH = "/api/governance/model-configs"


@shows("new-limit", KeyScope.WRITE)
def new_limit() -> ResponseReturnValue:
    """Show the form for a new limit. Parameters in the query string fill in fields of the form."""
    return _new(forms.body(the_request().args, CREATE, NUMBERS))


@acts("new-limit")
def create_limit(fields: MultiDict[str, str]) -> ResponseReturnValue:
    """Show the effects of a new limit. If the form contains `step=store`, store the limit."""
    body, service = forms.body(fields, CREATE, NUMBERS), governance().model_limits
    if fields.get("step") == "more":
        return _new(body, more=True)
    try:
        draft = forms.loaded(CREATE, body)
        if fields.get("step") != "store":
            return _new(body, effects=service.preview_new(draft))
        stored = limit_views.parsed(service.create(draft).body)
    except (InvalidRequest, Conflict) as error:
        return _new(body, error=error)
    return addresses.go("limit", id=stored["id"], done="created")


@shows("change-limit", KeyScope.WRITE)
def change_limit_form() -> ResponseReturnValue:
    """Show the form filled with the stored limit."""
    limit_id = the_request().args.get("id", "")
    found = governance().model_limits.get(limit_id)
    limit = limit_views.parsed(found.body)
    return _changed(limit, editable(limit), version_of(found.etag))


@acts("change-limit")
def change_limit(fields: MultiDict[str, str]) -> ResponseReturnValue:
    """Show the effects of an edit on the current time windows of the limit's rules.

    If the form contains `step=store`, store the edit, unless somebody else has changed the limit in the meantime.
    """
    limit_id, version = the_request().args.get("id", ""), fields.get("version", "")
    service = governance().model_limits
    found = service.get(limit_id)
    limit, body = limit_views.parsed(found.body), _update(fields)
    if fields.get("step") == "more":
        return _changed(limit, body, version, more=True)
    try:
        change = forms.loaded(UPDATE, body)
        if fields.get("step") != "store":
            return _changed(limit, body, version, effects=service.preview(limit_id, change, accepting(version)))
        service.change(limit_id, change, accepting(version))
    except Conflict as error:
        if error.code != Code.STALE_VERSION:
            raise
        return _changed(limit, body, version_of(found.etag), is_stale=True)
    except InvalidRequest as error:
        return _changed(limit, body, version, error=error)
    return addresses.go("limit", id=limit_id, done="changed")


@shows("delete-limit", KeyScope.WRITE)
def delete_limit_form() -> ResponseReturnValue:
    """Show what a deletion would remove."""
    found = governance().model_limits.get(the_request().args.get("id", ""))
    return _deletion(found.body, version_of(found.etag))


@acts("delete-limit")
def delete_limit(fields: MultiDict[str, str]) -> ResponseReturnValue:
    """Delete a limit, unless it has changed since the user saw the page."""
    limit_id = the_request().args.get("id", "")
    service = governance().model_limits
    try:
        service.delete(limit_id, accepting(fields.get("version", "")))
    except Conflict:
        found = service.get(limit_id)
        return _deletion(found.body, version_of(found.etag), is_stale=True)
    return addresses.go("limits", done="deleted")


def version_of(etag: str) -> str:
    """Return the version of a limit from its ETag."""
    return etag.partition(".")[0]


def accepting(version: str) -> Versions:
    """Return a function that returns true only for this version."""
    return lambda stored: str(stored) == version


def editable(limit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored values of a limit as the body of an edit. The form is filled with this body."""
    rows = {name: [_given(item) for item in limit[name]] for name in LISTS}
    return {name: limit[name] for name in SETTINGS} | rows


def _given(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name in ITEM_FIELDS and value is not None}


def _update(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of an edit from the fields of the form.

    A list without rows is in the body as an empty list. Fields that cannot change after creation are left out.
    """
    body = forms.body(fields, UPDATE, NUMBERS)
    return {name: [] for name in LISTS} | {name: value for name, value in body.items() if name not in IDENTITY}


def _new(body: dict[str, Any], **shown: Any) -> ResponseReturnValue:
    return _form(None, body, "", ("POST", PATH), **shown)


def _changed(limit: dict[str, Any], body: dict[str, Any], version: str, **shown: Any) -> ResponseReturnValue:
    return _form(limit, body, version, ("PUT", f"{PATH}/{limit['id']}"), **shown)


def _form(
    limit: dict[str, Any] | None,
    body: dict[str, Any],
    version: str,
    curl: tuple[str, str],
    *,
    error: GovernanceError | None = None,
    effects: list[RuleEffect] | None = None,
    is_stale: bool = False,
    more: bool = False,
) -> ResponseReturnValue:
    page = render_template(
        "dashboard/limit_form.html",
        limit=limit,
        form=forms.flat(body),
        rows={name: len(body.get(name, ())) + 1 + more for name in LISTS},
        version=version,
        faults={} if error is None else forms.faults(error),
        effects=effects,
        stored=forms.flat(editable(limit)) if limit and is_stale else None,
        curl=(*curl, forms.shell(body)),
    )
    return page, 200 if error is None and not is_stale else 409 if is_stale or isinstance(error, Conflict) else 400


def _deletion(document: bytes, version: str, *, is_stale: bool = False) -> ResponseReturnValue:
    limit = limit_views.parsed(document)
    page = render_template("dashboard/delete_limit.html", limit=limit, version=version, is_stale=is_stale)
    return page, 409 if is_stale else 200
