"""The steps that are done once, before the workers start, and what the start says about them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.process.service import MODEL_CONFIGS, ROOT, until

pytestmark = pytest.mark.process


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_start_says_where_it_is_where_the_key_is_and_what_to_try_and_never_the_key(pair):
    said = pair.stderr.read_text()
    assert f"http://127.0.0.1:{pair.port}" in said
    assert str(pair.instance / "admin.key") in said
    assert f'curl -H "Authorization: Bearer $(cat {pair.instance}/admin.key)" http://127.0.0.1:{pair.port}' in said
    pair.names()
    assert pair.key not in pair.stderr.read_text() + pair.stdout.read_text()
    assert pair.stdout.read_text() == ""


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_command_that_the_start_shows_works_as_it_stands(pair):
    (command,) = [line.strip() for line in pair.stderr.read_text().splitlines() if line.strip().startswith("curl ")]
    shown = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert '"model_configs":' in shown.stdout


def test_one_admin_key_is_minted_for_its_owner_alone_however_many_workers_there_are(pair):
    assert mode(pair.instance / "admin.key") == 0o600
    assert mode(pair.database) == 0o600
    listed = pair.call("GET", "/api/api-keys")
    first = [key for key in listed.body["api_keys"] if key["scopes"] == ["admin"]]
    assert len(first) == 1
    assert len(pair.workers) == 2


def test_nothing_of_the_database_is_open_to_others(pair):
    pair.create("for the journal")
    files = [file for file in pair.instance.rglob("*") if file.is_file()]
    folders = [pair.instance, *(folder for folder in pair.instance.rglob("*") if folder.is_dir())]
    assert {folder.name: mode(folder) for folder in folders} == dict.fromkeys((each.name for each in folders), 0o700)
    assert {file.name: mode(file) for file in files} == dict.fromkeys((file.name for file in files), 0o600)


def test_a_second_start_keeps_the_key_and_the_data(service):
    first = service().start()
    key, limit = first.key, first.create("kept")
    first.process.terminate()
    assert first.process.wait(20) == 0
    (first.instance / "admin.key").unlink()
    second = service(first.folder).start()
    assert second.call("GET", f"{MODEL_CONFIGS}/{limit}", key=key).status == 200
    assert not (first.instance / "admin.key").exists()
    assert "admin.key is gone" in second.stderr.read_text()


def test_services_that_start_together_on_one_folder_share_its_one_key(service, tmp_path):
    together = [service(tmp_path / "shared") for _ in range(2)]
    for each in together:
        each.launch()
    for each in together:
        until(each.is_ready)
        assert each.call("GET", "/api/api-keys").body["total_count"] == 1


def test_a_key_of_the_settings_is_minted_nowhere_and_shown_nowhere(service):
    secret = "only-the-operator-knows-this-key-0123456789"
    made = service(GOVERNANCE_ADMIN_KEY=secret)
    made.kept_key = secret
    made.start()
    assert made.call("GET", "/api/api-keys").body["total_count"] == 0
    assert not (made.instance / "admin.key").exists()
    assert "GOVERNANCE_ADMIN_KEY" in made.stderr.read_text()
    assert secret not in made.stderr.read_text()
    assert secret.encode() not in b"".join(file.read_bytes() for file in made.instance.glob("governance.db*"))


def test_the_master_takes_no_open_database_into_its_workers(pair):
    held = [link.resolve().name for link in Path(f"/proc/{pair.pid}/fd").iterdir()]
    # An inherited connection holds SQLite's locks in the name of the master, not of the workers.
    assert [name for name in held if name.startswith("governance.db") and not name.endswith(".running")] == []
