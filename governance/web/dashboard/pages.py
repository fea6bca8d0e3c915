"""Imports all pages of the dashboard. The import of a page adds the page to the blueprint."""

from governance.web.dashboard import (
    api_keys,
    audit,
    health,
    limit,
    limit_forms,
    limits,
    overview,
    prices,
    reservations,
    sign_in,
    upload,
    users,
    virtual_keys,
    what_if,
)
from governance.web.dashboard.core import assets
from governance.web.dashboard.core.blueprint import dashboard
from governance.web.dashboard.sign_in import front

PAGES = (
    assets,
    sign_in,
    overview,
    limits,
    limit,
    limit_forms,
    what_if,
    upload,
    virtual_keys,
    users,
    prices,
    reservations,
    audit,
    api_keys,
    health,
)

BLUEPRINTS = (front, dashboard)
