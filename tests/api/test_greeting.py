"""The greeting of a start: an address, the place of a valid key, and a command that works when it is copied."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from app import create_app
from governance.greeting import greeting
from governance.services.keys.admin_key import NEW_KEY
from governance.startup import prepare
from tests.conftest import Api, governance_of

KEYS = "/api/api-keys"


@pytest.fixture
def fresh(settings, clock, tmp_path):
    """Return a function that makes an app in a folder of its own, with the admin key that the first start creates."""
    apps = []

    def make(folder: str = "instance", **changed):
        app = create_app(replace(settings, instance=str(tmp_path / folder), admin_key=None, **changed), clock=clock)
        apps.append(app)
        prepare(app)
        return app

    yield make
    for app in apps:
        governance_of(app).close()


def command(app) -> str:
    (line,) = [line.strip() for line in greeting(app).splitlines() if line.startswith("  curl ")]
    return line


def minted(app) -> str:
    return governance_of(app).settings.admin_key_file.read_text().strip()


def arguments(line: str, cwd: Path) -> list[str]:
    """Return the arguments that a shell makes of a command."""
    script = f"curl() {{ printf '%s\\n' \"$@\"; }}; {line}"
    ran = subprocess.run(["sh", "-c", script], cwd=cwd, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return ran.stdout.splitlines()


@pytest.mark.parametrize("folder", ["plain", "with space", "~", "it's", 'a"b', "$HOME", "a;b", "-n", "`id`", "模型"])
def test_command_works_as_it_is_copied(fresh, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = fresh(folder)
    url = "http://127.0.0.1:8080/api/governance/model-configs"
    assert arguments(command(app), tmp_path) == ["-H", f"Authorization: Bearer {minted(app)}", url]


def test_url_of_ipv6_is_quoted(fresh, tmp_path):
    line = command(fresh(host="::1"))
    assert line.endswith(" 'http://[::1]:8080/api/governance/model-configs'")
    assert arguments(line, tmp_path)[-1] == "http://[::1]:8080/api/governance/model-configs"


def test_key_that_was_revoked_is_not_offered(fresh):
    app = fresh()
    api = Api(app.test_client(), minted(app))
    (first,) = api.get(KEYS).get_json()["api_keys"]
    other = api.post(KEYS, {"name": "other", "scopes": ["admin"]}).get_json()["api_key"]["key"]
    assert api.with_key(other).delete(f"{KEYS}/{first['id']}").status_code == 200
    said = greeting(app)
    assert "instance/admin.key was revoked or has expired; another admin key is stored." in said
    assert "$(cat" not in said


def test_key_of_another_database_is_not_offered(fresh):
    app = fresh()
    governance_of(app).settings.admin_key_file.write_text("gov-of-another-database\n")
    assert "$(cat" not in greeting(app)


def test_key_that_expired_is_not_offered(fresh, clock):
    app = fresh()
    api = Api(app.test_client(), minted(app))
    expiring = api.post(KEYS, {"name": "b", "scopes": ["admin"], "expires_at": "2026-11-24T12:00:00Z"}).get_json()
    governance_of(app).settings.admin_key_file.write_text(expiring["api_key"]["key"])
    assert "$(cat" in greeting(app)
    clock.set("2026-11-25T12:00:00Z")
    assert "$(cat" not in greeting(app)


def test_key_without_admin_scope_is_not_offered(fresh):
    app = fresh()
    api = Api(app.test_client(), minted(app))
    reading = api.post(KEYS, {"name": "r", "scopes": ["read"]}).get_json()["api_key"]["key"]
    governance_of(app).settings.admin_key_file.write_text(reading)
    assert "$(cat" not in greeting(app)


def test_way_to_new_key_is_told_where_none_counts(fresh):
    app = fresh()
    with governance_of(app).database.write() as connection:
        connection.exec_driver_sql("DELETE FROM api_keys")
    assert f"There is no admin key that counts: make one with {NEW_KEY}." in greeting(app)


def test_key_file_that_cannot_be_read_stops_nothing(fresh):
    app = fresh()
    file = governance_of(app).settings.admin_key_file
    file.unlink()
    file.mkdir()
    assert "Authorization: Bearer $YOUR_KEY" in greeting(app)
