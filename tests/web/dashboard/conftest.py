"""A browser that is signed in with the admin key, and one that is not."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.conftest import Api
from tests.web.dashboard.browser import Browser


@pytest.fixture
def stranger(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def browser(app: Flask) -> Browser:
    made = Browser(app)
    assert made.sign_in().status_code == 303
    return made


@pytest.fixture
def signed_in(app: Flask, api: Api) -> Callable[..., Browser]:
    """Make browsers that are signed in with a new key of some scopes."""

    def make(*scopes: str, **fields: str) -> Browser:
        new = api.post("/api/api-keys", {"name": "of a test", "scopes": list(scopes), **fields}).get_json()
        made = Browser(app)
        assert made.sign_in(new["api_key"]["key"]).status_code == 303
        made.key_id = new["api_key"]["id"]
        return made

    return make
