"""`/api/governance/model-configs/{id}/windows` and `/forecast`: the past and the expected usage of a limit.

Each rule of a limit counts usage in time windows, for example in days. At the start of a window, the usage is 0 again.
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from governance.container import governance
from governance.domain.errors import Code
from governance.domain.keys import KeyScope
from governance.domain.records.list_query import Page
from governance.web.http.answers import answer, plain_page
from governance.web.http.flask_app import HttpResponse
from governance.web.http.operation import operation
from schemas.history import windows
from schemas.responses.windows import ForecastList, WindowList

blueprint = Blueprint("windows", __name__, url_prefix="/api/governance/model-configs")


@blueprint.get("/<id:model_config_id>/windows")
@operation(
    "Read what was used in a limit's windows",
    scope=KeyScope.READ,
    query=windows.WindowsQuery(),
    answer=WindowList(),
    refusals=(Code.MODEL_CONFIG_NOT_FOUND,),
)
def limit_windows(model_config_id: str, query: Mapping[str, Any]) -> HttpResponse:
    """Return the windows of a limit in which something was used or reserved, newest first."""
    page = Page(query["limit"], query["offset"])
    found, total, now = governance().limit_windows.page(
        model_config_id, query.get("rule_id"), query.get("metric"), page
    )
    return plain_page("windows", [windows.window(each, now) for each in found], total, page)


@blueprint.get("/<id:model_config_id>/forecast")
@operation(
    "Forecast when a limit runs out",
    scope=KeyScope.READ,
    answer=ForecastList(),
    refusals=(Code.MODEL_CONFIG_NOT_FOUND,),
)
def limit_forecast(model_config_id: str) -> HttpResponse:
    """Forecast when each rule of a limit will be used up, and its usage at the end of the current window.

    The response also contains the numbers from which the forecast is computed.
    """
    found = [windows.forecast(each) for each in governance().limit_windows.forecasts(model_config_id)]
    return answer({"model_config_id": model_config_id, "forecasts": found})
