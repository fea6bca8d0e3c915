"""The dashboard's page about the health of the service: whether it is ready, warnings, and some settings."""

from flask import render_template
from flask.typing import ResponseReturnValue

from governance.container import governance
from governance.web.dashboard.core.blueprint import shows


@shows("health")
def health() -> ResponseReturnValue:
    """Show the health of the service and its settings."""
    found = governance().health.get()
    return render_template("dashboard/health.html", health=found, settings=governance().settings)
