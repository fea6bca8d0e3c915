"""The dashboard's what-if page: shows how many past calls a new limit would have refused, and whose."""

from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from governance.container import governance
from governance.domain.errors import InvalidRequest
from governance.domain.history.query import Group
from governance.domain.history.what_if import RefusedCalls
from governance.domain.times import DAY, rfc3339
from governance.services.history.what_if import WhatIfAnswer
from governance.web.dashboard import limit_views
from governance.web.dashboard.core import forms
from governance.web.dashboard.core.blueprint import shows
from governance.web.dashboard.limit_forms import CREATE, LISTS, NUMBERS, editable
from governance.web.dashboard.usage_charts import NOBODY
from governance.web.http.context import the_request
from schemas.limits.model_limits import IDENTITY

PERIODS = (1, 7, 30)
"""The numbers of days that the form offers. The calls of the chosen number of days are replayed against the limit."""
PATH = "/api/governance/what-if"
KINDS = {Group.MODEL: "Model", Group.VIRTUAL_KEY: "Virtual key", Group.USER: "User"}
MOST_ROWS = 5
"""The largest number of rows of each kind in the table of refused calls."""


@shows("what-if")
def what_if() -> ResponseReturnValue:
    """Show the form, filled with the values of a stored limit or of the query string.

    If the form was sent, show the result too.
    """
    args = the_request().args
    body = _stored(args["id"]) if args.get("id") else forms.body(args, CREATE, NUMBERS)
    given = args.get("days", "")
    days = int(given) if given in {str(each) for each in PERIODS} else PERIODS[1]
    since = governance().history.days_ago(0) - (days - 1) * DAY
    answered, faults = None, {}
    if "days" in args:
        try:
            answered = governance().what_ifs.ask(forms.loaded(CREATE, body), since, None)
        except InvalidRequest as error:
            faults = forms.faults(error)
    page = render_template(
        "dashboard/what_if.html",
        form=forms.flat(body),
        rows={name: len(body.get(name, ())) + 1 for name in LISTS},
        faults=faults,
        periods=PERIODS,
        days=days,
        since=since,
        answered=answered,
        refused_by=_refused_by(answered) if answered else (),
        limit=None,
        body=forms.flat(body),
        curl=("POST", PATH, forms.shell({"model_config": body, "since": rfc3339(since)})),
    )
    return page, 400 if faults else 200


def _refused_by(answered: WhatIfAnswer) -> list[tuple[str, str, RefusedCalls]]:
    """Return the rows of the table of refused calls: the kind of row, the name, and the counts."""
    return [
        (kind, answered.names.get(group, {}).get(row.value) or row.value or NOBODY.get(group, "none"), row)
        for group, kind in KINDS.items()
        for row in answered.found.refused_by[group].top[:MOST_ROWS]
    ]


def _stored(limit_id: str) -> dict[str, Any]:
    """Return the body of a new limit that has the same settings as a stored limit."""
    limit = limit_views.parsed(governance().model_limits.get(limit_id).body)
    items = editable(limit)
    without_ids = {name: [_without_id(item) for item in items[name]] for name in LISTS}
    known = {name: limit[name] for name in IDENTITY if limit[name] is not None}
    return known | items | without_ids


def _without_id(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "id"}
