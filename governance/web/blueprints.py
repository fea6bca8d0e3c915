"""Registers all Flask blueprints. The OpenAPI document and `/docs` show them in the order of `MODULES`."""

from flask import Flask

from governance.web.api import (
    api_keys,
    audit,
    config,
    history,
    metrics,
    model_configs,
    ops,
    prices,
    reservations,
    rules,
    users,
    virtual_keys,
    what_if,
    windows,
)
from governance.web.dashboard import pages
from governance.web.gateways import own_limits, settled

MODULES = (
    model_configs,
    windows,
    rules,
    history,
    what_if,
    reservations,
    prices,
    virtual_keys,
    users,
    api_keys,
    audit,
    config,
    settled,
    own_limits,
    metrics,
    ops,
)


def register(app: Flask, *, with_dashboard: bool) -> None:
    """Add all endpoints to the app. If `with_dashboard` is true, also add the dashboard."""
    for module in MODULES:
        app.register_blueprint(module.blueprint)
    for blueprint in pages.BLUEPRINTS if with_dashboard else ():
        app.register_blueprint(blueprint)
