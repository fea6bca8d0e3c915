"""`/api/governance/budgets` and `/rate-limits`: list the budgets and the rate limits of all model limits.

A model limit contains budgets, which limit dollars, and rate limits, which limit tokens and requests.
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response

from governance.container import governance
from governance.domain.errors import Code
from governance.domain.keys import KeyScope
from governance.domain.records.list_query import Page
from governance.web.http.answers import listing
from governance.web.http.operation import operation
from schemas.queries import RulesQuery
from schemas.responses.limits import BudgetList, RateLimitList

blueprint = Blueprint("rules", __name__, url_prefix="/api/governance")


@blueprint.get("/budgets")
@operation(
    "List budgets",
    scope=KeyScope.READ,
    query=RulesQuery(),
    answer=BudgetList(),
    refusals=(Code.MEMORY_UNAVAILABLE,),
)
def list_budgets(query: Mapping[str, Any]) -> Response:
    """Return the budgets of all model limits, newest first."""
    page = Page(query["limit"], query["offset"])
    return listing("budgets", governance().model_limits.budgets(page, from_memory=query["from_memory"]), page)


@blueprint.get("/rate-limits")
@operation(
    "List rate limits",
    scope=KeyScope.READ,
    query=RulesQuery(),
    answer=RateLimitList(),
    refusals=(Code.MEMORY_UNAVAILABLE,),
)
def list_rate_limits(query: Mapping[str, Any]) -> Response:
    """Return the rate limits of all model limits, newest first."""
    page = Page(query["limit"], query["offset"])
    return listing("rate_limits", governance().model_limits.rate_limits(page, from_memory=query["from_memory"]), page)
