"""The dashboard's page of the audit log: who changed what and when, with the old and the new values."""

from flask import render_template
from flask.typing import ResponseReturnValue

from governance.container import governance
from governance.domain.keys import KeyScope
from governance.domain.records.audit import AuditQuery, Entity
from governance.web.dashboard import audit_views
from governance.web.dashboard.core import addresses, paging, sessions
from governance.web.dashboard.core.blueprint import shows
from governance.web.http.context import the_request
from schemas import queries
from schemas.audit import AuditListQuery

QUERY = AuditListQuery()


@shows("audit")
def audit() -> ResponseReturnValue:
    """Show a page of the audit log. Changes of API keys are shown only to viewers with the scope `admin`."""
    query: AuditQuery = queries.read(QUERY, addresses.question())
    query = query._replace(page=paging.shown(query.page))
    is_admin = sessions.viewer().may(KeyScope.ADMIN)
    found, total = governance().audit.page(query._replace(hidden=None if is_admin else Entity.API_KEY))
    return render_template(
        "dashboard/audit.html",
        entries=[audit_views.row(each) for each in found],
        total=total,
        page=query.page,
        filters=the_request().args,
        entities=[
            (entity, title) for entity, title in audit_views.TITLES.items() if is_admin or entity != Entity.API_KEY
        ],
    )
