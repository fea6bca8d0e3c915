"""Endpoints that need no API key, outside `/api`: `/healthz`, `/readyz`, `/openapi.json` and `/docs`."""

import json
from functools import partial

from flask import Blueprint, current_app, render_template

from governance import __version__
from governance.container import governance
from governance.domain.errors import Code, Unavailable
from governance.web.docs import openapi
from governance.web.http import documents
from governance.web.http.answers import JSON, answer
from governance.web.http.flask_app import HttpResponse
from governance.web.http.operation import operation
from schemas import render
from schemas.pricing import prices

HTML = "text/html; charset=utf-8"

blueprint = Blueprint("ops", __name__, template_folder="../docs/templates")


@blueprint.get("/healthz")
@operation("Is the process alive?", scope=None)
def healthz() -> HttpResponse:
    """Answer with the service's version, as long as the process runs."""
    return answer({"status": "ok", "version": __version__})


@blueprint.get("/readyz")
@operation("Is the service ready?", scope=None, refusals=(Code.NOT_READY,))
def readyz() -> HttpResponse:
    """Check that decisions on calls can be written, and that the schema of the database is the current one.

    Also check that this worker's copy of the limits in memory is up to date. If a check fails, answer 503 with reasons.
    """
    health = governance().health.get()
    if health.reasons:
        raise Unavailable(" ".join(health.reasons), code=Code.NOT_READY)
    listed = prices.list_info(health.price_list, health.now)
    return answer({"status": "ready", "warnings": health.warnings, "price_list": listed})


@blueprint.get("/openapi.json")
@operation("The OpenAPI document", scope=None)
def openapi_json() -> HttpResponse:
    """Describe this API in OpenAPI 3.1."""
    return documents.send(current_app, "openapi.json", JSON, lambda: render.dumps(openapi.document(current_app)))


@blueprint.get("/docs")
@operation("The API's documentation", scope=None)
def docs() -> HttpResponse:
    """Show the OpenAPI document as an HTML page. The page loads nothing from the internet."""
    return documents.send(current_app, "docs", HTML, _page)


def _page() -> bytes:
    pretty = partial(json.dumps, indent=2, ensure_ascii=False)
    return render_template("docs.html", document=openapi.document(current_app), pretty=pretty).encode()
