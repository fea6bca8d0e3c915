"""Real services that start with a file of limits."""

import json

import pytest

from tests.process.service import until

pytestmark = pytest.mark.process

LIMITS = [{"model_name": f"m{number}", "budgets": [{"max_limit": 5, "reset_duration": "1d"}]} for number in range(30)]


def write(folder, content):
    path = folder / "config.json"
    path.write_text(json.dumps(content))
    return str(path)


def test_two_services_that_start_at_once_on_one_database_apply_the_file_once(service, tmp_path):
    config = write(tmp_path, {"model_configs": LIMITS})
    first = service(GOVERNANCE_CONFIG=config)
    second = service(first.folder, GOVERNANCE_CONFIG=config, WEB_CONCURRENCY="2")
    for each in (first, second):
        each.launch()
    for each in (first, second):
        until(each.is_ready)
    assert first.names() == second.names(from_memory=True) == {limit["model_name"] for limit in LIMITS}
    assert first.stderr.read_text().count("30 to create") == 1


def test_a_faulty_file_stops_a_new_service_with_every_fault_and_warns_in_readyz_of_an_old_one(service, tmp_path):
    faulty = {"model_configs": [{"model_name": "a", "budgets": [{"max_limit": 0, "reset_duration": "1x"}]}]}
    config = write(tmp_path, faulty)
    stopped = service(GOVERNANCE_CONFIG=config)
    assert stopped.launch().wait(30) == 1
    said = [line for line in stopped.stderr.read_text().splitlines() if line.startswith("config.json")]
    assert len(said) == 3
    old = service(stopped.folder).start()
    old.create("kept")
    old.end()
    again = service(stopped.folder, GOVERNANCE_CONFIG=config, WEB_CONCURRENCY="2").start()
    for worker in again.workers:
        with again.only(worker):
            assert "config.json was not applied" in again.call("GET", "/readyz").body["warnings"][0]
    assert again.names() == {"kept"}
