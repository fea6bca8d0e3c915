"""All pages. Importing one adds it to the blueprint."""

from governance.web.dashboard import health, limit, limit_forms, limits, overview, sign_in, what_if
from governance.web.dashboard.core import assets
from governance.web.dashboard.core.blueprint import dashboard
from governance.web.dashboard.sign_in import front

PAGES = (assets, sign_in, overview, limits, limit, limit_forms, what_if, health)

BLUEPRINTS = (front, dashboard)
