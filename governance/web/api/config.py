"""`/api/governance/config`: config files over HTTP. A plan shows what a file would change. Then the plan is applied."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response
from werkzeug.http import parse_etags

from governance.container import governance
from governance.domain.errors import Code, InvalidRequest
from governance.domain.keys import KeyScope
from governance.services.config.uploads import PlanReview, SyncOptions, Upload
from governance.web.http.answers import answer
from governance.web.http.context import the_request
from governance.web.http.operation import View, operation
from schemas.config.body import ConfigFile, ConfigQuery
from schemas.config.plans import places_json, plan_json
from schemas.responses.config import ConfigPlan

blueprint = Blueprint("config", __name__, url_prefix="/api/governance/config")

PLAN_WANTED = "Plan the file first (POST /api/governance/config/plan), and send the ETag of the plan in If-Match."


def file_operation(summary: str, *refusals: Code) -> Callable[[View], View]:
    """Return a decorator for an endpoint that receives a config file and returns its plan."""
    return operation(
        summary,
        scope=KeyScope.WRITE,
        query=ConfigQuery(),
        body=ConfigFile(),
        answer=ConfigPlan(),
        refusals=(Code.FILE_BUSY, *refusals),
    )


@blueprint.post("/plan")
@file_operation("Plan a file of limits")
def plan_config(query: Mapping[str, Any], body: Callable[[int], bytes]) -> Response:
    """Return a plan with the changes that the file would make. Change nothing. Its ETag is needed to apply the plan."""
    return _shown(governance().uploads.plan(_upload(body), _wishes(query)), applied=False)


@blueprint.post("/apply")
@file_operation("Apply a file of limits as planned", Code.STALE_VERSION, Code.PLAN_REQUIRED)
def apply_config(query: Mapping[str, Any], body: Callable[[int], bytes]) -> Response:
    """Apply a plan in one transaction. Answer 412 if the file, a parameter or the stored limits have changed since."""
    wanted = parse_etags(the_request().environ.get("HTTP_IF_MATCH")).as_set(include_weak=True)
    if not wanted:
        raise InvalidRequest(PLAN_WANTED, code=Code.PLAN_REQUIRED, param="If-Match")
    return _shown(governance().uploads.apply(_upload(body), _wishes(query), wanted.__contains__), applied=True)


def _upload(body: Callable[[int], bytes]) -> Upload:
    told = the_request().environ.get("CONTENT_LENGTH") or ""
    return Upload(int(told) if told.isdecimal() else None, body)


def _wishes(query: Mapping[str, Any]) -> SyncOptions:
    return SyncOptions(query.get("owner"), query["prune"], query["overwrite"])


def _shown(review: PlanReview, *, applied: bool) -> Response:
    document = review.document
    made = answer(
        {
            "applied": applied,
            "owner": document.source.name or None,
            **plan_json(review.plan),
            "minted": review.minted,
            "warnings": places_json(review.warnings),
            "left_out": places_json(review.left_out),
            "skipped": document.wanted.skipped,
        }
    )
    if not applied:
        made.headers["ETag"] = f'"{review.etag}"'
    return made
