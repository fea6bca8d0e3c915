"""`flask governance doctor`: each problem is reported with what to do, and nothing else is reported."""

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace

import pytest

from app import create_app
from governance.settings import Settings
from governance.startup import prepare
from governance.storage.sqlite.files import inspection, migrations
from tests.conftest import ADMIN_KEY, governance_of

CHECKS = [
    "database",
    "integrity",
    "schema",
    "clock",
    "verify",
    "admin key",
    "space",
    "prices",
    "settles",
    "disk",
    "journal",
    "file modes",
    "poller",
    "sqlite",
]
INSIDE = CHECKS[1:9]


@pytest.fixture
def to_do(run):
    """Return the advice of doctor, by check. Its two formats and its exit code must agree."""

    def look() -> dict[str, str]:
        shown, told = run("doctor"), run("doctor", "--json")
        report = json.loads(told.stdout)
        assert [check["check"] for check in report["checks"]] == CHECKS
        found = {check["check"]: check["message"] for check in report["checks"] if check["ok"] is False}
        assert report["ok"] == (not found)
        assert shown.exit_code == told.exit_code == bool(found)
        lines = [line for line in shown.stdout.splitlines() if line.startswith("to do")]
        assert len(lines) == len(found)
        assert told.stderr == ""
        assert shown.stderr == (f"{len(found)} of {len(CHECKS)} checks say what to do.\n" if found else "")
        return found

    return look


def skipped(run) -> list[str]:
    return [check["check"] for check in json.loads(run("doctor", "--json").stdout)["checks"] if check["ok"] is None]


def execute(database, statement: str, *values: object) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(statement, values)


def test_a_new_database_is_well(to_do, run):
    assert to_do() == {}
    lines = run("doctor").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["ok"] * len(CHECKS)


def test_it_never_shows_a_secret(run):
    assert ADMIN_KEY not in run("doctor").stdout


def test_a_missing_database_is_told_and_not_made(to_do, run, tmp_path, settings):
    for file in tmp_path.glob("governance.db*"):
        file.unlink()
    assert to_do() == {
        "database": f"The database {settings.database_path} is missing: start the service once (make run) where there "
        "never was one, run flask governance restore BACKUP where it was lost, or set GOVERNANCE_INSTANCE and "
        "GOVERNANCE_DATABASE_URL as the service has them."
    }
    assert skipped(run) == INSIDE
    assert list(tmp_path.iterdir()) == []


def test_it_works_where_not_even_the_instance_folder_is(tmp_path, clock):
    settings = Settings(instance=str(tmp_path / "not/there"), admin_key=ADMIN_KEY)
    result = create_app(settings, clock=clock).test_cli_runner().invoke(args=["governance", "doctor"])
    assert (result.exit_code, result.stderr) == (1, f"1 of {len(CHECKS)} checks say what to do.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"this is no database\n" * 50, bytes(100)], ids=["empty", "text", "zeros"])
def test_a_file_that_is_no_database_is_told(to_do, settings, tmp_path, content):
    for file in tmp_path.glob("governance.db*"):
        file.unlink()
    settings.database_path.write_bytes(content)
    settings.database_path.chmod(0o600)
    found = to_do()
    assert found
    assert set(found) <= {"database", *INSIDE}
    assert not any(message.startswith("Try again") for message in found.values())


@pytest.mark.parametrize("page", range(1, 12))
def test_a_damaged_file_is_told_wherever_the_damage_is(settings, clock, tmp_path, page):
    damaged = replace(settings, instance=str(tmp_path / "damaged"))
    made = create_app(damaged, clock=clock)
    prepare(made)
    with closing(sqlite3.connect(damaged.database_path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(damaged.database_path.read_bytes())
    content[page * 4096 : page * 4096 + 4096] = os.urandom(4096)
    damaged.database_path.write_bytes(content)
    result = made.test_cli_runner().invoke(args=["governance", "doctor", "--json"])
    governance_of(made).close()
    assert result.exit_code == 1
    told = {check["check"]: check["message"] for check in json.loads(result.stdout)["checks"] if not check["ok"]}
    assert any("backup" in message for message in told.values()), told


@pytest.mark.parametrize(("revision", "advice"), [("0001", "restart the service"), ("9999", "start the newer version")])
def test_another_schema_is_told(to_do, database, revision, advice):
    execute(database, "UPDATE alembic_version SET version_num = ?", revision)
    assert advice in to_do()["schema"]


def test_a_database_of_the_first_schema_is_told_without_a_traceback(to_do, database):
    for table in ("counters", "audit", "verifications"):
        execute(database, f"DROP TABLE {table}")
    execute(database, "UPDATE alembic_version SET version_num = '0001'")
    assert "schema" in to_do()


def test_a_clock_that_stepped_back_is_told(to_do, api, clock):
    api.create()
    api.post("usage", {"model": "gpt-4o", "cost": 1})
    clock.advance(-3 * 3600)
    found = to_do()
    assert list(found) == ["clock"]
    assert "is 3h behind what was noted at 2026-11-23T12:00:00Z" in found["clock"]
    clock.advance(3 * 3600)
    assert to_do() == {}


def test_a_window_far_ahead_of_the_clock_is_told_with_its_rule(to_do, api, clock, count):
    made = api.create(budget={"max_limit": 1, "reset_duration": "1d"})
    count(made["budget"]["id"], "cost", 1, at=clock() + 10 * 86400 * 10**6)
    assert to_do() == {
        "clock": f"PUT reset_usage: true on the limit of rule {made['budget']['id']}: "
        "its window starts at 2026-12-03T12:00:00Z."
    }
    api.put(f"model-configs/{made['id']}", {"reset_usage": True})
    assert to_do() == {}


def test_the_last_verify_is_told(to_do, run, api, database):
    api.create(budget={"max_limit": 1, "reset_duration": "1d"})
    api.post("usage", {"model": "gpt-4o", "cost": 0.5})
    assert "not asked yet" in run("doctor").stdout
    run("verify")
    assert "on 2026-11-23T12:00:00Z all 1 counters equalled their ledger" in run("doctor").stdout
    execute(database, "UPDATE counters SET used = used + 1")
    assert to_do() == {}
    run("verify")
    assert "on 2026-11-23T12:00:00Z 1 of 1 counters differed from their ledger" in to_do()["verify"]


def test_files_that_others_may_read_are_told_with_the_command_that_mends_it(to_do, settings):
    settings.database_path.chmod(0o644)
    settings.admin_key_file.write_text("gov-old")
    settings.admin_key_file.chmod(0o640)
    copy = settings.database_path.with_name(f"governance.db.before-{migrations.head()}")
    copy.touch(0o600)
    found = to_do()
    assert list(found) == ["file modes"]
    assert found["file modes"].startswith(f"chmod 600 {settings.database_path} ")
    assert found["file modes"].endswith(f" {settings.admin_key_file}: others may read or write there.")
    assert str(copy) not in found["file modes"]
    assert os.system(found["file modes"].partition(":")[0]) == 0  # noqa: S605 - a user would do the same
    assert to_do() == {}


def test_a_folder_in_which_others_may_put_files_is_told(to_do, tmp_path):
    tmp_path.chmod(0o777)
    assert to_do() == {"file modes": f"chmod 700 {tmp_path}: others may put files there."}
    tmp_path.chmod(0o700)
    assert to_do() == {}


def test_a_link_in_a_files_place_is_told(to_do, settings, tmp_path):
    (tmp_path / "elsewhere").touch(0o600)
    settings.admin_key_file.symlink_to(tmp_path / "elsewhere")
    assert f"{settings.admin_key_file}: they are links" in to_do()["file modes"]


def test_the_files_of_virtual_keys_and_of_what_was_replaced_are_looked_at(to_do, settings):
    loose = [settings.instance_path / "virtual-keys.txt", settings.instance_path / "governance.db.replaced-2026"]
    for file in loose:
        file.touch(0o644)
    assert {str(file) for file in loose} <= set(to_do()["file modes"].replace(":", "").split())


def test_a_disk_that_is_nearly_full_is_told(to_do, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100 * 1024 * 1024))
    assert "100.0 MiB are free, at least 256.0 MiB are wanted" in to_do()["disk"]


def test_a_journal_that_grew_is_told(to_do, settings, database):
    with closing(sqlite3.connect(settings.database_path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM users").fetchone()
        with database.write() as connection:
            for number in range(70):
                row = (str(number), "x" * 2**20, 1, 1, "x", 1)
                columns = "id, name, created_at, updated_at, search_name, revision"
                connection.exec_driver_sql(f"INSERT INTO users ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)
        assert "Restart the service: the write-ahead log has 7" in to_do()["journal"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"poll_interval": 300.0}, "Set GOVERNANCE_POLL_INTERVAL to 60 or less: at 300 s a revoked key works"),
        ({"poll_interval": 1.0, "busy_timeout": 5.0}, "Set GOVERNANCE_BUSY_TIMEOUT below 2"),
        ({"poll_interval": 1.0, "busy_timeout": 2.0}, "Set GOVERNANCE_BUSY_TIMEOUT below 2"),
        ({"poll_interval": 60.0}, None),
        ({"poll_interval": 1.0, "busy_timeout": 1.9}, None),
    ],
    ids=str,
)
def test_settings_of_the_poller_that_do_not_fit_are_told(settings, clock, options, said):
    made = create_app(replace(settings, **options), clock=clock)
    prepare(made)
    result = made.test_cli_runner().invoke(args=["governance", "doctor", "--json"])
    governance_of(made).close()
    (poller,) = [check for check in json.loads(result.stdout)["checks"] if check["check"] == "poller"]
    assert poller["ok"] == (said is None)
    assert poller["message"].startswith(said or "every ")


class TestTheAdminKey:
    """The checks of the admin key if the settings have no admin key."""

    @pytest.fixture
    def settings(self, settings):
        return replace(settings, admin_key=None)

    def test_is_in_its_file(self, to_do, run, settings):
        assert to_do() == {}
        assert f"in {settings.admin_key_file}" in run("doctor").stdout

    def test_may_be_put_away(self, to_do, run, settings):
        settings.admin_key_file.unlink()
        assert to_do() == {}
        assert "one is stored; admin.key is gone" in run("doctor").stdout

    def test_that_was_revoked_leaves_no_way_in_but_the_terminal(self, to_do, run, database):
        execute(database, "DELETE FROM api_keys")
        said = "Make an admin key: flask governance keys create admin --scope admin. None is stored that counts."
        assert to_do() == {"admin key": said}
        assert run("keys", "create", "admin", "--scope", "admin").exit_code == 0

    def test_file_is_to_be_removed_once_its_key_counts_no_more(self, to_do, run, database, settings):
        execute(database, "DELETE FROM api_keys")
        run("keys", "create", "admin", "--scope", "admin")
        found = to_do()
        assert found["admin key"].startswith(f"Remove {settings.admin_key_file}: its key was revoked")
        settings.admin_key_file.unlink()
        assert to_do() == {}

    def test_that_expired_counts_no_more(self, to_do, run, database, clock):
        execute(database, "UPDATE api_keys SET expires_at = ?", clock())
        assert "None is stored that counts" in to_do()["admin key"]

    def test_file_may_hold_anything(self, to_do, settings):
        settings.admin_key_file.write_bytes(b"\xff\xfe\x00")
        assert list(to_do()) == ["admin key"]


@pytest.mark.parametrize(
    ("version", "faulty"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 9), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_the_versions_of_sqlite_with_the_reset_fault_are_known(version, faulty):
    assert inspection.has_reset_fault(version) is faulty


def test_another_program_on_the_file_is_told_where_sqlite_has_the_reset_fault(to_do, settings, monkeypatch):
    monkeypatch.setattr(inspection, "SQLITE", (3, 40, 1))
    assert to_do() == {}
    with subprocess.Popen(["tail", "-f", settings.database_path], stdout=subprocess.DEVNULL) as other:
        try:
            while not list(inspection.other_programs(settings.database_path)):
                assert other.poll() is None
            said = to_do()["sqlite"]
        finally:
            other.kill()
    assert said.startswith(f"Stop tail ({other.pid}), or use SQLite 3.51.3 or newer")


def test_another_program_is_welcome_where_sqlite_is_sound(to_do, settings, monkeypatch):
    monkeypatch.setattr(inspection, "SQLITE", (3, 53, 0))
    monkeypatch.setattr(inspection, "other_programs", lambda _: ["litestream (4711)"])
    assert to_do() == {}


def test_a_virtual_key_that_never_settles_is_told(to_do, api, clock, governance):
    api.post("virtual-keys", {"id": "vk", "name": "Search"})
    body = {"model": "m", "virtual_key_id": "vk", "ttl_seconds": 1}
    for number in range(6):
        held = api.post("reservations", body).get_json()["reservation"]["id"]
        if number == 0:
            api.post(f"reservations/{held}/release")
    clock.advance(60)
    governance.poller.poll()
    assert to_do() == {}
    clock.advance(86_400)
    for _ in range(5):
        api.post("reservations", body)
    clock.advance(60)
    governance.poller.poll()
    assert to_do() == {
        "settles": "Settle after each call: in the last day, all 5 reservations of virtual key vk expired and were "
        "charged at their estimate."
    }
