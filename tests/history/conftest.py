"""What questions about usage need: a gateway, and an answer that must be one."""

import pytest

from tests.metering.conftest import *  # noqa: F403 - the fixtures of metering


@pytest.fixture
def asked(api):
    """The answer to a question about usage."""

    def asked(query=""):
        response = api.get(f"usage/history?{query}")
        assert response.status_code == 200, response.text
        return response.get_json()

    return asked
