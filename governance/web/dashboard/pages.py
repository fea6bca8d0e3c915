"""All pages. Importing one adds it to the blueprint."""

from governance.web.dashboard import health, limits, overview, sign_in
from governance.web.dashboard.core import assets
from governance.web.dashboard.core.blueprint import dashboard
from governance.web.dashboard.sign_in import front

PAGES = (assets, sign_in, overview, limits, health)

BLUEPRINTS = (front, dashboard)
