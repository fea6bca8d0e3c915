"""`/api/governance/audit`: who changed what, when, with the old and the new values."""

from flask import Blueprint, Response

from governance.container import governance
from governance.domain.keys import KeyScope
from governance.domain.records.audit import AuditQuery, Entity
from governance.web.http.answers import plain_page
from governance.web.http.context import the_request
from governance.web.http.operation import operation
from schemas.audit import AuditListQuery, entry
from schemas.responses.audit import AuditList

blueprint = Blueprint("audit", __name__, url_prefix="/api/governance/audit")


@blueprint.get("")
@operation("List who changed what", scope=KeyScope.READ, query=AuditListQuery(), answer=AuditList())
def list_audit(query: AuditQuery) -> Response:
    """Return a page of the audit log, newest first, without secrets. Only admin keys see changes of API keys."""
    hidden = None if the_request().api_key.may(KeyScope.ADMIN) else Entity.API_KEY
    found, total = governance().audit.page(query._replace(hidden=hidden))
    return plain_page("audit", [entry(each) for each in found], total, query.page)
