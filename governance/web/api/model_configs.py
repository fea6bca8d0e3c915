"""`/api/governance/model-configs`: the model limits."""

from flask import Blueprint, Response

from governance.container import governance
from governance.domain.errors import Code
from governance.domain.keys import KeyScope
from governance.domain.limits.drafts import LimitChange, LimitDraft
from governance.domain.records.list_query import ListQuery
from governance.web.http.answers import answer, described, listing, single, versions
from governance.web.http.operation import operation
from schemas.limits.model_limits import ModelLimitCreate, ModelLimitUpdate
from schemas.queries import ModelLimitsQuery
from schemas.responses.envelopes import Done
from schemas.responses.limits import ModelLimitFound, ModelLimitList, ModelLimitWritten

blueprint = Blueprint("model_configs", __name__, url_prefix="/api/governance/model-configs")


@blueprint.get("")
@operation(
    "List model limits",
    scope=KeyScope.READ,
    query=ModelLimitsQuery(),
    answer=ModelLimitList(),
    refusals=(Code.MEMORY_UNAVAILABLE,),
)
def list_model_configs(query: ListQuery) -> Response:
    """Return a paginated list of model limits with their budget and rate limit settings."""
    return listing("model_configs", governance().model_limits.page(query), query.page)


@blueprint.post("")
@operation(
    "Create a model limit",
    scope=KeyScope.WRITE,
    body=ModelLimitCreate(),
    answer=ModelLimitWritten(),
    refusals=(Code.ALREADY_EXISTS,),
)
def create_model_config(body: LimitDraft) -> Response:
    """Store a new limit with its budgets and rate limits."""
    return described("Model config created successfully", "model_config", governance().model_limits.create(body))


@blueprint.get("/<id:model_config_id>")
@operation(
    "Read a model limit",
    scope=KeyScope.READ,
    answer=ModelLimitFound(),
    refusals=(Code.MODEL_CONFIG_NOT_FOUND,),
)
def get_model_config(model_config_id: str) -> Response:
    """Read one limit from the database."""
    return single("model_config", governance().model_limits.get(model_config_id))


@blueprint.put("/<id:model_config_id>")
@operation(
    "Change a model limit",
    scope=KeyScope.WRITE,
    body=ModelLimitUpdate(),
    answer=ModelLimitWritten(),
    refusals=(Code.MODEL_CONFIG_NOT_FOUND, Code.STALE_VERSION),
)
def update_model_config(model_config_id: str, body: LimitChange) -> Response:
    """Store an edit. A missing or null field keeps its value. A list replaces the whole stored list."""
    changed = governance().model_limits.change(model_config_id, body, versions())
    return described("Model config updated successfully", "model_config", changed)


@blueprint.delete("/<id:model_config_id>")
@operation(
    "Delete a model limit",
    scope=KeyScope.WRITE,
    answer=Done(),
    refusals=(Code.MODEL_CONFIG_NOT_FOUND, Code.STALE_VERSION),
)
def delete_model_config(model_config_id: str) -> Response:
    """Delete a limit with its budgets, rate limits and usage."""
    governance().model_limits.delete(model_config_id, versions())
    return answer({"message": "Model config deleted successfully"})
