"""The settings that are read from the environment, and the messages about variables that are no setting."""

from pathlib import Path

import pytest

from governance.domain import installation
from governance.domain.errors import NotReady
from governance.settings import Settings

OF_KUBERNETES = {
    "GOVERNANCE_SERVICE_HOST": "10.0.0.11",
    "GOVERNANCE_SERVICE_PORT": "8080",
    "GOVERNANCE_SERVICE_PORT_HTTP": "8080",
    "GOVERNANCE_PORT": "tcp://10.0.0.11:8080",
    "GOVERNANCE_PORT_8080_TCP": "tcp://10.0.0.11:8080",
    "GOVERNANCE_PORT_8080_TCP_PROTO": "tcp",
    "GOVERNANCE_PORT_8080_TCP_PORT": "8080",
    "GOVERNANCE_PORT_8080_TCP_ADDR": "10.0.0.11",
    "GOVERNANCE_API_SERVICE_HOST": "10.0.0.12",
    "GOVERNANCE_API_PORT_8080_TCP_ADDR": "10.0.0.12",
}
OF_CLIENTS = {"GOVERNANCE_URL": "http://127.0.0.1:8080", "GOVERNANCE_KEY": "gov-secret"}


def refusal(environ: dict[str, str], *, strict: bool = True) -> str:
    with pytest.raises(NotReady) as caught:
        Settings.from_environ(environ, strict=strict)
    assert len(caught.value.message.splitlines()) == 1
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("GOVERNANCE_POLL_INTERVALL", "GOVERNANCE_POLL_INTERVAL"),
        ("GOVERNANCE_POLLINTERVAL", "GOVERNANCE_POLL_INTERVAL"),
        ("GOVERNANCE_DB_URL", "GOVERNANCE_DATABASE_URL"),
        ("GOVERNANCE_CONFG", "GOVERNANCE_CONFIG"),
    ],
)
def test_misspelt_name_stops_start_with_suggestion(name, meant):
    sentence = f"Unset {name}, or correct its name: there is no such setting (did you mean {meant}?)."
    assert refusal({name: "1"}) == sentence
    assert Settings.misspelt({name: "1"}) == [sentence]


def test_name_like_no_setting_is_refused_without_suggestion():
    assert refusal({"GOVERNANCE_ZZZ": "hunter2"}) == (
        "Unset GOVERNANCE_ZZZ, or correct its name: there is no such setting."
    )


@pytest.mark.parametrize("environ", [OF_KUBERNETES, OF_CLIENTS, {"GOVERNANCE_ZZZ": " "}, {"OTHER": "1"}])
def test_variables_of_others_are_ignored(environ):
    assert Settings.misspelt(environ) == []
    assert Settings.from_environ(environ, strict=True) == Settings()


def test_every_setting_is_known():
    assert Settings.misspelt({name: "1" for name, *_ in Settings.table()}) == []


def test_all_faults_are_told_at_once():
    said = refusal({"THREADS": "none", "PORT": "0", "GOVERNANCE_ZZZ": "1"})
    assert [part in said for part in ("Set THREADS to ", "Set PORT to ", "Unset GOVERNANCE_ZZZ")] == [True] * 3


def test_misspelt_name_is_no_fault_where_not_strict():
    assert Settings.from_environ({"GOVERNANCE_ZZZ": "1"}) == Settings()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@db/limits",
        "postgresql+psycopg://user:hunter2@db",
        "mysql://hunter2",
        "sqlite+pysqlcipher://:hunter2@/limits.db",
        "sqlite:///limits.db?key=hunter2",
        "sqlite://user:hunter2@host/limits.db",
        "postgres:user:hunter2",
        "user:hunter2@db",
        "hunter2",
    ],
)
def test_refused_database_url_shows_no_password(url):
    said = refusal({"GOVERNANCE_DATABASE_URL": url})
    assert said.startswith("Set GOVERNANCE_DATABASE_URL to sqlite:/// and a file's path")
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:hunter2@db/limits", "'postgresql://…' is not that."),
        ("sqlite://", "'sqlite://' is not that."),
        ("sqlite:///limits.db?mode=ro", "'sqlite:///limits.db…' is not that."),
        ("limits.db", ": it is not that."),
    ],
)
def test_refused_database_url_shows_what_is_no_secret(url, shown):
    assert refusal({"GOVERNANCE_DATABASE_URL": url}).endswith(shown)


@pytest.mark.parametrize(
    ("host", "netloc", "url"),
    [
        ("::1", "[::1]:8080", "http://[::1]:8080"),
        ("[::1]", "[::1]:8080", "http://[::1]:8080"),
        ("::", "[::]:8080", "http://[::1]:8080"),
        ("0.0.0.0", "0.0.0.0:8080", "http://127.0.0.1:8080"),  # noqa: S104 - nothing is bound
        ("10.0.0.7", "10.0.0.7:8080", "http://10.0.0.7:8080"),
        ("limits.example", "limits.example:8080", "http://limits.example:8080"),
    ],
)
def test_host_of_either_ip_version_has_right_addresses(host, netloc, url):
    settings = Settings.from_environ({"HOST": host})
    assert (settings.netloc, settings.url) == (netloc, url)


ADMIN_KEY = "0123456789abcdef0123456789abcdeg"


def test_admin_key_is_read_from_a_file(tmp_path):
    file = tmp_path / "admin-key"
    file.write_text(f"{ADMIN_KEY}\n")
    settings = Settings.from_environ({"GOVERNANCE_ADMIN_KEY_FILE": str(file)}, strict=True)
    assert settings.admin_key == ADMIN_KEY
    assert ADMIN_KEY not in repr(settings)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "a file that can be read (No such file or directory)"),
        (b"", "a file that holds at least 32 visible ASCII characters"),
        (b"too-short-a-secret", "a file that holds at least 32 visible ASCII characters"),
        (b"\xff" * 40, "a file that holds at least 32 visible ASCII characters"),
        (b"ab" * 20, "a file that holds characters that nobody can guess, such as openssl rand -hex 32 prints"),
    ],
)
def test_admin_key_file_is_checked_and_not_shown(content, fault, tmp_path):
    file = tmp_path / "admin-key"
    if content is not None:
        file.write_bytes(content)
    said = refusal({"GOVERNANCE_ADMIN_KEY_FILE": str(file)})
    assert said == f"Set GOVERNANCE_ADMIN_KEY_FILE to {fault}: it is not that."


def test_admin_key_and_its_file_exclude_each_other(tmp_path):
    (tmp_path / "key").write_text(ADMIN_KEY)
    said = refusal({"GOVERNANCE_ADMIN_KEY": ADMIN_KEY, "GOVERNANCE_ADMIN_KEY_FILE": str(tmp_path / "key")})
    assert said.startswith("Unset GOVERNANCE_ADMIN_KEY or GOVERNANCE_ADMIN_KEY_FILE: ")


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(installation, "IS_INSTALLED", True)


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HOME": "/home/me"}, "/home/me/.local/state/model-limits"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "/var/state"}, "/var/state/model-limits"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "state"}, "/home/me/.local/state/model-limits"),
        ({"XDG_STATE_HOME": "/var/state"}, "/var/state/model-limits"),
        ({"GOVERNANCE_INSTANCE": "/srv/limits"}, "/srv/limits"),
    ],
)
def test_instance_folder_of_an_installed_service(environ, folder, installed):
    assert Settings.from_environ(environ).instance_path == Path(folder)


def test_installed_service_without_home_names_the_setting(installed):
    assert refusal({}).startswith("Set GOVERNANCE_INSTANCE to a folder for the database: HOME is no absolute path")


def test_relative_paths_of_an_installed_service_lie_under_the_working_directory(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environ({"GOVERNANCE_INSTANCE": "data", "GOVERNANCE_CONFIG": "limits.json"})
    assert (settings.instance_path, settings.config_path) == (tmp_path / "data", tmp_path / "limits.json")


def test_relative_paths_of_a_checkout_lie_under_its_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Settings().instance_path == installation.ROOT / "instance"
