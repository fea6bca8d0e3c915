"""Fixtures that several tests of this folder share."""

import pytest

from app import create_app
from governance.settings import Settings
from tests.conftest import governance_of


@pytest.fixture
def unset(tmp_path, clock):
    """Return an app without GOVERNANCE_ADMIN_KEY on a file that does not exist yet, and its folder."""
    folder = tmp_path / "new"
    app = create_app(Settings(instance=str(folder), admin_key=None, busy_timeout=0.3), clock=clock)
    yield app, folder
    governance_of(app).close()
