"""Health: whether the service is ready, what the operator should know, and how it runs."""

from flask import render_template
from flask.typing import ResponseReturnValue

from governance.container import governance
from governance.web.dashboard.core.blueprint import shows


@shows("health")
def health() -> ResponseReturnValue:
    """Show what `/readyz` tells, with the price list."""
    found = governance().health.get()
    return render_template("dashboard/health.html", health=found, settings=governance().settings)
