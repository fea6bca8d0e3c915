"""A wrong setting stops the start with one clear line on standard error, an exit code, and no traceback."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from governance.storage.sqlite.files import migrations
from tests.process.service import Service, free_port

pytestmark = pytest.mark.process

SECRET = "too-short-a-secret"


def refusal(made: Service) -> str:
    """Return the one line with which a service refuses to start."""
    made.launch()
    code = made.process.wait(30)
    said = made.stderr.read_text()
    assert code not in (0, None)
    assert "Traceback" not in said, said
    assert len(said.splitlines()) == 1, said
    assert made.stdout.read_text() == ""
    return said


BAD = [
    ({"PORT": "http"}, "PORT"),
    ({"PORT": "0"}, "PORT"),
    ({"PORT": "65536"}, "PORT"),
    ({"THREADS": "-1"}, "THREADS"),
    ({"WEB_CONCURRENCY": "0"}, "WEB_CONCURRENCY"),
    ({"GOVERNANCE_POLL_INTERVAL": "soon"}, "GOVERNANCE_POLL_INTERVAL"),
    ({"GOVERNANCE_POLL_INTERVAL": "0"}, "GOVERNANCE_POLL_INTERVAL"),
    ({"GOVERNANCE_POLL_INTERVAL": "nan"}, "GOVERNANCE_POLL_INTERVAL"),
    ({"GOVERNANCE_LOG_FORMAT": "xml"}, "GOVERNANCE_LOG_FORMAT"),
    ({"GOVERNANCE_DATABASE_URL": "postgresql://localhost/x"}, "GOVERNANCE_DATABASE_URL"),
    ({"GOVERNANCE_DATABASE_URL": "sqlite://"}, "GOVERNANCE_DATABASE_URL"),
    ({"HOST": "256.1.1.1"}, "HOST"),
]


@pytest.mark.parametrize(("environ", "named"), BAD)
def test_a_bad_value_stops_the_start_with_one_line_that_names_it(service, environ, named):
    assert f"Set {named} to " in refusal(service(**environ))


def test_a_short_admin_key_is_refused_and_not_shown(service):
    said = refusal(service(GOVERNANCE_ADMIN_KEY=SECRET))
    assert "Set GOVERNANCE_ADMIN_KEY to at least 32 " in said
    assert SECRET not in said


def test_a_refused_start_leaves_nothing_behind(service):
    made = service(GOVERNANCE_POLL_INTERVAL="soon")
    refusal(made)
    assert sorted(file.name for file in made.folder.iterdir()) == ["stderr.txt", "stdout.txt"]


@pytest.mark.parametrize("place", ["instance", "instance/governance.db"])
def test_a_database_that_cannot_be_there_is_told(service, place):
    made = service()
    if "/" in place:
        made.database.mkdir(parents=True)
    else:
        made.instance.write_text("a file in the way")
    assert str(made.database) in refusal(made)


@pytest.fixture
def stored(service, template_of_all: bytes) -> Service:
    """Return a service, not yet started, on an existing database."""
    made = service(GOVERNANCE_BUSY_TIMEOUT="0.2")
    made.instance.mkdir()
    made.database.write_bytes(template_of_all)
    return made


@pytest.fixture(scope="module")
def template_of_all(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("template") / "governance.db"
    migrations.upgrade(path, 1)
    return path.read_bytes()


def change(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_corrupt_database_is_told_and_left_as_it_is(stored):
    content = stored.database.read_bytes()
    stored.database.write_bytes(content[:100] + b"\xaa" * 8000 + content[8100:])
    before = stored.database.read_bytes()
    assert "malformed" in refusal(stored)
    assert stored.database.read_bytes() == before


def test_a_file_that_is_no_database_is_told_and_left_as_it_is(stored):
    stored.database.write_text("this is no database\n" * 100)
    assert "not a database" in refusal(stored)
    assert stored.database.read_text() == "this is no database\n" * 100


def test_a_newer_schema_is_told_and_left_as_it_is(stored):
    change(stored.database, "UPDATE alembic_version SET version_num = '9999'")
    before = stored.database.read_bytes()
    assert "schema 9999" in refusal(stored)
    assert stored.database.read_bytes() == before


def test_a_locked_database_is_told(stored):
    with closing(sqlite3.connect(stored.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "locked" in refusal(stored)


def test_a_key_file_that_cannot_be_written_is_told_and_no_key_is_stored(stored):
    (stored.instance / "admin.key").mkdir()
    said = refusal(stored)
    assert "admin.key" in said
    with closing(sqlite3.connect(stored.database)) as connection:
        assert connection.execute("SELECT count(*) FROM api_keys").fetchone() == (0,)


def test_a_port_that_is_taken_is_told(service, pair):
    assert "PORT" in refusal(service(PORT=str(pair.port)))


def test_an_empty_setting_is_an_absent_one(service):
    made = service(GOVERNANCE_POLL_INTERVAL="", WEB_CONCURRENCY="1", PORT=str(free_port())).start()
    assert made.call("GET", "/healthz").status == 200


def test_misspelt_setting_stops_start_with_suggestion(service):
    said = refusal(service(GOVERNANCE_POLL_INTERVALL="1"))
    assert "there is no such setting (did you mean GOVERNANCE_POLL_INTERVAL?)" in said


def test_refused_database_url_is_shown_without_password(service):
    assert "hunter2" not in refusal(service(GOVERNANCE_DATABASE_URL="postgresql://user:hunter2@db/limits"))
