"""Price overrides in files: planned, stored, kept, pruned, exported."""

import json

import pytest

from governance.domain.config.plan_steps import DRIFTED, RETURNS
from tests.config.conftest import bifrost, nested

LLAMA = {"provider": "vllm", "model": "llama", "input": 0.4, "output": 0.6}
ALIAS = {"provider": "azure", "model": "prod", "same_as": {"provider": "openai", "model": "gpt-4o"}}


def priced(*entries):
    return nested(prices=list(entries))


def stored(api):
    return {
        each["model"]: each.get("input", each["same_as"] and each["same_as"]["model"])
        for each in api.get("prices?source=override").get_json()["prices"]
    }


def test_prices_of_a_file_are_planned_stored_and_kept(terminal, api):
    said = terminal.dry(priced(LLAMA, ALIAS))
    assert said.code == 2
    assert said.out.splitlines()[0].startswith("+ create price of vllm/llama [")
    assert "    input: $0.4" in said.out.splitlines()
    assert stored(api) == {}
    assert terminal.sync(priced(LLAMA, ALIAS)).code == 0
    assert stored(api) == {"llama": 0.4, "prod": "gpt-4o"}
    revision = terminal.revision()
    assert terminal.sync(priced(LLAMA, ALIAS)).out == "Plan: 2 to keep.\n"
    assert terminal.revision() == revision


def test_prices_may_stand_under_governance(terminal, api):
    assert terminal.sync(bifrost(prices=[LLAMA])).code == 0
    assert stored(api) == {"llama": 0.4}


def test_a_changed_entry_wins_and_an_edit_by_api_stays_until_then(terminal, api):
    terminal.sync(priced(LLAMA))
    (own,) = api.get("prices?source=override").get_json()["prices"]
    api.put(f"prices/{own['id']}", {"input": 9})
    assert f"= keep price of vllm/llama [{own['id']}] ({DRIFTED})" in terminal.sync(priced(LLAMA)).out
    assert stored(api) == {"llama": 9}
    said = terminal.sync(priced(LLAMA | {"input": 1, "tiers": [{"above": 5, "input": 3}]}))
    assert {"    input: $9 → $1", '    above 5: "input":3'} <= set(said.out.splitlines())
    assert stored(api) == {"llama": 1}


def test_an_entry_without_an_id_meets_the_override_of_its_model_and_time(terminal, api):
    own = api.post("prices", LLAMA | {"id": "by-hand"}).get_json()["price"]["id"]
    said = terminal.sync(priced(LLAMA | {"model": "LLAMA", "input": 2}))
    assert f"~ change price of vllm/LLAMA [{own}]" in said.out
    assert stored(api) == {"LLAMA": 2}


def test_two_entries_may_swap_their_models(terminal, api):
    one, two = LLAMA | {"id": "1"}, LLAMA | {"id": "2", "model": "qwen", "input": 5}
    terminal.sync(priced(one, two))
    assert terminal.sync(priced(one | {"model": "qwen"}, two | {"model": "llama"})).code == 0
    assert stored(api) == {"qwen": 0.4, "llama": 5}


def test_prune_removes_the_prices_of_this_file_alone(terminal, api):
    api.post("prices", {"model": "by-hand", "input": 1})
    terminal.sync(priced(ALIAS), name="other.json")
    terminal.sync(priced(LLAMA))
    assert terminal.sync(priced()).out.splitlines()[-1].startswith("Made by this file and no longer in it: 1.")
    assert terminal.sync(priced(), "--prune").out.splitlines()[0].startswith("- remove price of vllm/llama [")
    assert stored(api) == {"by-hand": 1, "prod": "gpt-4o"}


def test_a_price_that_was_deleted_by_api_returns_and_the_plan_says_so(terminal, api):
    terminal.sync(priced(LLAMA | {"id": "own"}))
    api.delete("prices/own")
    assert f"+ create price of vllm/llama [own] ({RETURNS})" in terminal.sync(priced(LLAMA | {"id": "own"})).out


@pytest.mark.parametrize(
    ("entries", "path", "said"),
    [
        ([{"model": "x", "output": 1}], "prices[0].input", "Give input"),
        ([LLAMA, {"model": "x", "input": -1}], "prices[1].input", "from 0 to"),
        ([LLAMA, LLAMA | {"model": "LLAMA"}], "prices[1].model", "prices[0] is for the same model and time"),
        ([LLAMA | {"id": "a"}, LLAMA | {"id": "a", "model": "x"}], "prices[1].id", "stands at prices[0].id too"),
        (
            [ALIAS, {"provider": "openai", "model": "gpt-4o", "same_as": {"model": "z"}}],
            "prices[0].same_as",
            "one step",
        ),
        ([LLAMA | {"id": "mine"}], "prices[0].model", "Give the id 'stored', or leave the override out"),
        ([{"model": "w", "same_as": {"model": "alias"}}], "prices[0].same_as", "alias is an alias itself"),
        ([LLAMA | {"inputs": 1}], "prices[0].inputs", "did you mean input?"),
    ],
)
def test_a_faulty_price_changes_nothing_and_is_told_by_its_path(terminal, api, entries, path, said):
    api.post("prices", {"model": "alias", "same_as": {"model": "gpt-4o"}})
    if path == "prices[0].model":
        api.post("prices", LLAMA | {"id": "stored"})
        terminal.sync(priced(LLAMA | {"id": "mine", "model": "elsewhere"}))
    before = stored(api)
    answer = terminal.sync(priced(*entries))
    assert answer.code == 1
    assert f"{path}: " in answer.err
    assert said in answer.err
    assert stored(api) == before


def test_an_export_has_the_prices_and_a_sync_of_it_changes_nothing(terminal, api):
    api.post("prices", LLAMA | {"id": "own", "effective_from": "2027-01-01T00:00:00Z", "request": 0.5})
    terminal.sync(priced(ALIAS, {"model": "x", "input": 1, "tiers": [{"above": 5, "output": 3}]}))
    file = terminal.folder / "export.json"
    terminal.run("export", str(file))
    exported = json.loads(file.read_text())["prices"]
    assert ALIAS in exported
    assert {"model": "x", "input": 1, "tiers": [{"above": 5, "output": 3}]} in exported
    assert LLAMA | {"id": "own", "effective_from": "2027-01-01T00:00:00Z", "request": 0.5} in exported
    assert terminal.run("sync", str(file), "--dry-run").out == "Plan: 3 to keep.\n"


def test_check_counts_the_prices(terminal):
    assert "prices 2, warnings 0" in terminal.check(priced(LLAMA, ALIAS)).out
