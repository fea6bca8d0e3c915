"""Shows the form for one entry of the dashboard, such as a user, and converts the sent fields to a body for the API."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flask import render_template
from flask.typing import ResponseReturnValue

from governance.domain.errors import Conflict, GovernanceError
from governance.web.dashboard.core import forms
from schemas.loading import Body


class FormField(NamedTuple):
    """A field of a form: its name in the body, its label, a hint, and its kind.

    The kind is `text`, `check`, `choice` or `choices`.
    """

    name: str
    label: str
    hint: str = ""
    kind: str = "text"
    choices: Sequence[tuple[str, str]] = ()
    is_required: bool = False


class EntryForm(NamedTuple):
    """A form: its title, its fields, the address to which the browser sends it, and the text of its button.

    `trail` contains the address and the title of each page above the form. `effects` says what happens when the form is
    sent. `curl` is the method and the path of the API's endpoint that does the same.
    """

    title: str
    trail: Sequence[tuple[str, str]]
    fields: Sequence[FormField]
    action: str
    button: str
    curl: tuple[str, str]
    effects: Sequence[str] = ()
    is_dangerous: bool = False


def body_of(fields: Mapping[str, str], schema: Body, numbers: Sequence[str] = (), *, is_edit: bool = False) -> Any:
    """Build the body for the API from the fields of a form.

    If `is_edit` is true, an emptied field becomes null, provided that the field accepts null.
    """
    body = forms.body(fields, schema, numbers)
    if is_edit:
        body |= {name: None for name in schema.nullable if name in fields and not fields[name].strip()}
    return body


def show(
    form: EntryForm,
    body: Mapping[str, Any],
    *,
    version: str = "",
    error: GovernanceError | None = None,
    stored: Mapping[str, Any] | None = None,
) -> ResponseReturnValue:
    """Return the page with the form.

    If somebody else has changed the entry in the meantime, `stored` contains the new values of the entry. Then the page
    shows both these values and those of `body`.
    """
    faults = {} if error is None else forms.faults(error)
    page = render_template(
        "dashboard/entry_form.html",
        entry=form,
        form=forms.flat(body),
        version=version,
        faults=faults,
        stored=None if stored is None else forms.flat(stored),
        curl=(*form.curl, forms.shell(body) if form.curl[0] != "DELETE" else None),
    )
    status = 200 if error is None else 409 if isinstance(error, Conflict) else 400
    return page, 409 if stored is not None else status


def seen(fields: Mapping[str, str]) -> int:
    """Return the version that the entry had when the form was shown.

    If the field is not a number, return 0. No entry has the version 0.
    """
    text = fields.get("version", "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0  # noqa: PLR2004 - the digits of an instant
