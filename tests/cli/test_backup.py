"""`flask governance backup`: a copy made under load, restored as docs/ describe, is a database that verify accepts."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

from app import create_app
from governance.startup import prepare
from tests.conftest import Api, governance_of


def test_a_backup_is_told_with_its_size(run, asked, tmp_path):
    file = tmp_path / "copy.db"
    result = run("backup", str(file))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{file}: {file.stat().st_size:,} bytes, checked.\n"
    assert asked("backup", str(file), "--force") == {"file": str(file), "bytes": file.stat().st_size}


def test_a_file_that_is_there_is_kept(refused, tmp_path):
    file = tmp_path / "copy.db"
    file.write_text("precious")
    said = f"Give another FILE, or --force to replace it: {file} is there already."
    assert refused("backup", str(file)) == said
    assert file.read_text() == "precious"


def test_a_backup_taken_while_calls_are_metered_restores_to_a_database_that_verify_accepts(
    app, api, run, settings, tmp_path
):
    limit = api.create(
        budget={"max_limit": 1_000_000, "reset_duration": "1d"},
        rate_limit={"request_max_limit": 10**9, "request_reset_duration": "1h"},
    )
    counted = [0] * 4

    def spend(number: int) -> None:
        own = Api(app.test_client())
        while not over.is_set():
            held = own.post("reservations", {"model": "gpt-4o", "cost": 0.5, "tokens": 7}).get_json()["reservation"]
            if counted[number] % 2:
                own.post(f"reservations/{held['id']}/settle", {"cost": 0.75})
            counted[number] += 1

    over = Event()
    with ThreadPoolExecutor(len(counted)) as threads:
        spending = [threads.submit(spend, number) for number in range(len(counted))]
        try:
            while min(counted) < 5:
                over.wait(0.01)
            least = sum(counted)
            assert run("backup", str(tmp_path / "copy.db")).exit_code == 0
        finally:
            over.set()
        for each in spending:
            each.result()

    restored = replace(settings, instance=str(tmp_path / "restored"))
    restored.instance_path.mkdir()
    shutil.copy(tmp_path / "copy.db", restored.database_path)
    again = create_app(restored, clock=governance_of(app).group.clock)
    prepare(again)
    verified = again.test_cli_runner().invoke(args=["governance", "verify"])
    assert (verified.exit_code, verified.stderr) == (0, "")
    assert verified.stdout.startswith("Counters: 2. Each equals its ledger.\nUsage history: ")
    shown = Api(again.test_client()).get(f"model-configs/{limit['id']}").get_json()["model_config"]
    requests = shown["rate_limit"]["request_current_usage"] + shown["rate_limit"]["request_reserved"]
    assert least <= requests <= sum(counted) + len(counted)
    governance_of(again).close()
