"""`sync --overwrite`: the file replaces edits by the API. A dry run of it shows every such edit."""

import pytest

from governance.domain.config.plan_steps import OVERWRITTEN
from tests.config.conftest import budget, nested

LIMIT = {
    "id": "m",
    "model_name": "gpt-5",
    "budgets": [budget(20, id="b")],
    "rate_limits": [{"id": "r", "request_max_limit": 9, "request_reset_duration": "1m"}],
}
KEY = {"id": "vk", "name": "Team", "value": "sk-of-the-team", "is_active": True}
FILE = nested(LIMIT, virtual_keys=[KEY])
EDITS = {
    "a maximum": ("model-configs/m", {"budgets": [budget(99, id="b")]}),
    "a budget more": ("model-configs/m", {"budgets": [budget(20, id="b"), budget(70, "1M")]}),
    "another window": ("model-configs/m", {"budgets": [budget(20, "1w", id="b")]}),
    "alignment": ("model-configs/m", {"calendar_aligned": True, "timezone": "Europe/Berlin"}),
    "a key's description": ("virtual-keys/vk", {"description": "edited"}),
    "a key that is off": ("virtual-keys/vk", {"is_active": False}),
}


def shown(api):
    """Return the stored rows without the values that change with each edit."""
    limits, keys = api.list()["model_configs"], api.get("virtual-keys").get_json()["virtual_keys"]
    for each in (*limits, *keys):
        each.pop("updated_at")
    for item in (item for limit in limits for kind in ("budgets", "rate_limits") for item in limit[kind]):
        for name in (
            "id",
            "updated_at",
            "created_at",
            *(name for name in item if name.endswith(("reset", "resets_at"))),
        ):
            item.pop(name, None)
    return [{k: v for k, v in limit.items() if k not in ("budget", "rate_limit")} for limit in limits], keys


@pytest.mark.parametrize(("path", "edit"), EDITS.values(), ids=EDITS)
def test_an_edit_by_api_is_found_by_a_dry_run_and_taken_back(terminal, api, path, edit):
    terminal.sync(FILE)
    before = shown(api)
    assert terminal.dry(FILE, "--overwrite") == (0, "Plan: 2 to keep.\n", "")
    assert api.put(path, edit).status_code == 200
    assert terminal.dry(FILE).code == 0
    said = terminal.dry(FILE, "--overwrite")
    assert (said.code, said.out.count(OVERWRITTEN)) == (2, 1)
    terminal.sync(FILE)
    assert shown(api) != before
    terminal.sync(FILE, "--overwrite")
    assert shown(api) == before
    assert terminal.dry(FILE, "--overwrite").code == 0


def test_usage_stays_where_the_file_wins(terminal, api, count):
    terminal.sync(FILE)
    count("b", "cost", used=3 * 10**9, reserved=10**9)
    api.put("model-configs/m", {"budgets": [budget(99, id="b")]})
    before = terminal.counters()
    terminal.sync(FILE, "--overwrite")
    assert terminal.counters() == before


def test_what_was_deleted_by_api_is_drift_too(terminal, api):
    terminal.sync(FILE)
    api.put("model-configs/m", {"rate_limits": []})
    assert terminal.dry(FILE, "--overwrite").code == 2
    api.delete("model-configs/m")
    assert terminal.dry(FILE, "--overwrite").code == 2


def test_what_the_api_made_beside_the_file_is_no_drift(terminal, api):
    terminal.sync(FILE)
    api.create("another", budgets=[budget()])
    assert terminal.dry(FILE, "--overwrite").code == 0


def test_a_key_that_was_switched_off_stays_off_where_the_file_does_not_say(terminal, api):
    silent = nested(virtual_keys=[{"id": "vk", "name": "Team"}])
    terminal.sync(silent)
    api.put("virtual-keys/vk", {"is_active": False})
    assert terminal.dry(silent, "--overwrite").code == 0
