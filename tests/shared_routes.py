"""Apps that share their URL rules. Compiling the rules for each app took two fifths of the time of the API tests."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Map, RuleFactory

from app import create_app
from governance.settings import Settings
from governance.web.http.flask_app import App


class SharedRoutes(Map):
    """The URL rules of an app with a dashboard. Once they are complete, other such apps use them as they are."""

    is_complete = False

    def add(self, rulefactory: RuleFactory) -> None:
        if not self.is_complete:
            super().add(rulefactory)


def create_app_on(routes: Map, settings: Settings, **arguments: Any) -> Flask:
    """Create an app with these routes. An app without a dashboard has fewer rules, so it gets its own routes."""
    with pytest.MonkeyPatch.context() as patch:
        if settings.ui == "on":
            patch.setattr(App, "url_map_class", staticmethod(lambda **_: routes))
        return create_app(settings, **arguments)
