"""An instance as a new user has it, a server for it, and a folder in which examples may leave files."""

from pathlib import Path

import pytest
from flask import Flask

from governance.settings import Settings
from tests.conftest import Api, governance_of
from tests.docs.pages import ROOT
from tests.docs.sessions import Session, environment


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with the admin key that the first start creates."""
    return Settings(instance=str(tmp_path / "instance"))


@pytest.fixture
def api(app: Flask, settings: Settings) -> Api:
    """Return a client of an app with the list of prices, as a worker has it soon after its start."""
    governance_of(app).price_list.wait(60)
    return Api(app.test_client(), settings.admin_key_file.read_text().strip())


@pytest.fixture
def session(app: Flask, serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    folder = tmp_path / "session"
    folder.mkdir()
    for name, target in (("examples", ROOT / "examples"), ("instance", tmp_path / "instance")):
        (folder / name).symlink_to(target)
    monkeypatch.chdir(folder)
    return Session(app, serve(app), environment(folder))
