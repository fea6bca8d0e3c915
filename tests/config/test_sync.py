"""`flask governance sync`: the plan that is shown, and its effect."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event

from governance.domain.config.plan_steps import DRIFTED, RETURNS
from tests.config.conftest import bifrost, budget, nested

ROOT = Path(__file__).parents[2]
OPUS = {"id": "opus", "model_name": "claude-opus-4-1", "provider": "anthropic"}
BIFROST = bifrost(
    model_configs=[OPUS | {"budget_ids": ["b1"], "rate_limit_id": "r1"}],
    budgets=[budget(20, id="b1")],
    rate_limits=[{"id": "r1", "request_max_limit": 15, "request_reset_duration": "1m"}],
)


def edited(**fields):
    """Return the file with other values in its budget."""
    content = json.loads(json.dumps(BIFROST))
    content["governance"]["budgets"][0].update(fields)
    return content


def the_limit(terminal):
    (held,) = terminal.stored().limits.values()
    return held.limit


def test_a_plan_is_shown_like_a_diff_and_a_dry_run_exits_2_where_something_would_change(terminal):
    said = terminal.dry(BIFROST)
    assert said.code == 2
    assert said.out.splitlines() == [
        "+ create claude-opus-4-1 of anthropic [opus]",
        "    budget: $20 / 1d",
        "    rate limit: 15 requests / 1m",
        "Plan: 1 to create.",
    ]
    assert terminal.stored().limits == {}
    assert terminal.sync(BIFROST).out.splitlines()[-1] == "Applied."
    assert terminal.dry(BIFROST) == (0, "Plan: 1 to keep.\n", "")
    said = terminal.dry(edited(max_limit=25.5, reset_duration="1w"))
    assert (said.code, said.out.splitlines()) == (
        2,
        ["~ change claude-opus-4-1 of anthropic [opus]", "    budget: $20 / 1d → $25.5 / 1w", "Plan: 1 to change."],
    )


def test_nothing_is_done_where_nobody_can_be_asked(terminal):
    said = terminal.run("sync", str(terminal.write(BIFROST)))
    assert (said.code, said.err) == (1, "Say --yes: there is no terminal to ask on, and nothing was changed.\n")
    assert terminal.stored().limits == {}


def test_nothing_to_change_needs_no_yes_and_writes_nothing(terminal):
    terminal.sync(BIFROST)
    before = terminal.revision()
    assert terminal.run("sync", str(terminal.write(BIFROST))).code == 0
    assert terminal.revision() == before


@pytest.mark.parametrize(("answer", "stored"), [(b"y\n", 1), (b"n\n", 0)])
def test_a_terminal_is_asked(terminal, settings, answer, stored):
    ours, theirs = pty.openpty()
    environment = os.environ | {"GOVERNANCE_INSTANCE": settings.instance, "FLASK_APP": "wsgi"}
    command = [sys.executable, "-m", "flask", "governance", "sync", str(terminal.write(BIFROST))]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment
    )
    os.write(ours, answer)
    out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, err) == (0, b"")
    assert b"Apply this? [y/N]" in out
    assert len(terminal.stored().limits) == stored


def test_json_is_one_object_with_every_step(terminal):
    said = terminal.sync(BIFROST, "--json").json
    assert said["applied"] is True
    assert said["counts"] == {"create": 1}
    assert said["steps"] == [
        {
            "action": "create",
            "entity": "model_limit",
            "id": "opus",
            "title": "claude-opus-4-1 of anthropic",
            "note": None,
            "differences": [
                {"what": "budget", "old": None, "new": "$20 / 1d"},
                {"what": "rate limit", "old": None, "new": "15 requests / 1m"},
            ],
        }
    ]
    assert terminal.dry(BIFROST, "--json").json["applied"] is False


def test_rows_keep_the_ids_and_hashes_of_the_file_and_its_name(terminal, api):
    terminal.sync(BIFROST, name="config.json")
    (held,) = terminal.stored().limits.values()
    assert (held.limit.id, {rule.id for rule in held.limit.rules}, held.source.name) == (
        "opus",
        {"b1", "r1"},
        "config.json",
    )
    shown = api.list(memory=True)["model_configs"][0]
    assert len({shown["config_hash"], shown["budget"]["config_hash"], shown["rate_limit"]["config_hash"]}) == 3
    assert all(len(each["config_hash"]) == 64 for each in (shown, shown["budget"], shown["rate_limit"]))


def test_an_id_less_limit_has_the_same_id_everywhere(terminal):
    terminal.sync(nested({"model_name": "openai/GPT-5", "provider": "OpenAI", "budgets": [budget()]}))
    first = the_limit(terminal)
    assert terminal.dry(nested({"model_name": "gpt-5", "provider": "openai", "budgets": [budget()]})).code == 0
    assert first.id[14] == "5"
    assert first.rules[0].id[14] == "5"


def test_an_edit_by_api_survives_until_its_entry_changes_and_the_plan_says_so(terminal, api):
    terminal.sync(BIFROST)
    api.put("model-configs/opus", {"budgets": [{"id": "b1", "max_limit": 99, "reset_duration": "1d"}]})
    said = terminal.sync(BIFROST)
    assert said.out.splitlines() == [
        f"= keep claude-opus-4-1 of anthropic [opus] ({DRIFTED})",
        "    budget: kept $99 / 1d, the file says $20 / 1d",
        "Plan: 1 to keep.",
    ]
    assert the_limit(terminal).rules[0].max_limit == 99 * 10**9
    assert "budget: $99 / 1d → $30 / 1d" in terminal.sync(edited(max_limit=30)).out
    assert the_limit(terminal).rules[0].max_limit == 30 * 10**9


def test_what_was_added_by_api_is_not_shown_as_going(terminal, api):
    terminal.sync(BIFROST)
    api.put("model-configs/opus", {"budgets": [budget(20, id="b1"), budget(70, "1M")]})
    assert terminal.dry(BIFROST).out.splitlines()[1:-1] == ["    budget: kept $70 / 1M, the file says none"]


def test_a_limit_made_by_api_takes_the_file_s_values_and_keeps_its_id_and_usage(terminal, api, count):
    made = api.create("GPT-5", budgets=[budget(10)])
    count(made["budgets"][0]["id"], "cost", used=3 * 10**9)
    before = terminal.counters()
    said = terminal.sync(nested({"id": "mine", "model_name": "gpt-5", "budgets": [budget(12, id="b")]}))
    assert said.out.splitlines()[:2] == [f"~ change GPT-5 [{made['id']}]", "    budget: $10 / 1d → $12 / 1d"]
    shown = api.list()["model_configs"][0]
    assert (shown["id"], shown["budget"]["id"], shown["budget"]["current_usage"]) == (
        made["id"],
        made["budget"]["id"],
        3,
    )
    assert terminal.counters() == before


@pytest.mark.parametrize("dollars", [10, 12])
def test_prune_never_removes_what_was_made_by_api_whether_the_file_kept_or_changed_it(terminal, api, dollars):
    api.create("gpt-5", budgets=[budget(10)])
    terminal.sync(nested({"model_name": "gpt-5", "budgets": [budget(dollars)]}))
    assert terminal.sync(nested(), "--prune").out == "Plan: nothing to do.\n"
    assert the_limit(terminal).rules[0].max_limit == dollars * 10**9


def test_a_row_that_another_file_changed_is_still_the_first_file_s(terminal):
    terminal.sync(BIFROST, name="one.json")
    terminal.sync(edited(max_limit=30), name="two.json")
    terminal.sync(bifrost(), "--prune", name="two.json")
    assert the_limit(terminal).rules[0].max_limit == 30 * 10**9
    terminal.sync(bifrost(), "--prune", name="one.json")
    assert terminal.stored().limits == {}


def test_the_export_of_what_was_made_by_api_asks_for_nothing_and_remembers_only_that_it_was_read(terminal, api):
    """Only the hash is stored. Without it, the next sync would undo later edits by the API."""
    made = api.create("gpt-5", budgets=[budget(10)])
    exported, audit, before = terminal.run("export").out, terminal.run("audit", "--json").out, the_limit(terminal)
    assert terminal.dry(exported) == (0, "Plan: 1 to keep.\n", "")
    assert terminal.sync(exported).out == "Plan: 1 to keep.\n"
    unhashed = tuple(rule._replace(config_hash=None) for rule in the_limit(terminal).rules)
    assert the_limit(terminal)._replace(config_hash=None, rules=unhashed) == before
    assert terminal.run("audit", "--json").out == audit
    revision = terminal.revision()
    terminal.sync(exported)
    assert terminal.revision() == revision
    api.put(f"model-configs/{made['id']}", {"budgets": [budget(99)]})
    assert DRIFTED in terminal.sync(exported).out
    terminal.sync(nested(), "--prune")
    assert the_limit(terminal).rules[0].max_limit == 99 * 10**9


def test_a_changed_window_moves_the_open_counter_and_nothing_else_is_touched(terminal, api, count):
    terminal.sync(BIFROST)
    count("b1", "cost", used=3 * 10**9, reserved=10**9)
    count("r1", "requests", used=2)
    before = {row.rule_id: row for row in terminal.counters()}
    terminal.sync(edited(reset_duration="1w"))
    after = {row.rule_id: row for row in terminal.counters()}
    assert after["r1"] == before["r1"]
    assert (after["b1"].id, after["b1"].used, after["b1"].reserved) == (before["b1"].id, 3 * 10**9, 10**9)
    assert api.get("model-configs/opus").get_json()["model_config"]["budget"]["current_usage"] == 3


REQUESTS = {"request_max_limit": 5, "request_reset_duration": "1m"}
TOKENS = {"token_max_limit": 50, "token_reset_duration": "1h"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([REQUESTS], [REQUESTS | TOKENS]),
        ([REQUESTS | TOKENS], [REQUESTS]),
        ([REQUESTS | TOKENS], [TOKENS, REQUESTS]),
        ([TOKENS, REQUESTS], [REQUESTS | TOKENS]),
        ([{"id": "r1"} | REQUESTS], [{"id": "r2"} | TOKENS | REQUESTS]),
    ],
    ids=str,
)
def test_a_window_keeps_its_usage_whichever_rate_limit_it_stands_in(terminal, count, before, after):
    terminal.sync({"model_configs": [{"model_name": "m", "rate_limits": before}]})
    (rule,) = (rule for rule in the_limit(terminal).rules if rule.metric == "requests")
    count(rule.id, "requests", used=4, reserved=1)
    terminal.sync({"model_configs": [{"model_name": "m", "rate_limits": after}]})
    (rule,) = (rule for rule in the_limit(terminal).rules if rule.metric == "requests")
    (row,) = terminal.counters()
    assert (row.rule_id, row.metric, row.used, row.reserved) == (rule.id, "requests", 4, 1)


def test_a_singular_whose_window_changes_in_the_file_keeps_its_usage(terminal, count):
    entry = {"model_name": "m", "budget": budget(20)}
    terminal.sync({"model_configs": [entry]})
    count(the_limit(terminal).rules[0].id, "cost", used=4, reserved=1)
    weekly = {"model_configs": [entry | {"budget": budget(20) | {"reset_duration": "1w"}}]}
    terminal.sync(weekly)
    (row,) = terminal.counters()
    assert (row.rule_id, row.used, row.reserved) == (the_limit(terminal).rules[0].id, 4, 1)
    assert the_limit(terminal).rules[0].reset_duration == "1w"
    assert terminal.dry(weekly).code == 0


def test_an_id_that_comes_to_stand_for_another_model_is_replaced_and_the_plan_says_so(terminal):
    terminal.sync(BIFROST)
    content = json.loads(json.dumps(BIFROST))
    content["governance"]["model_configs"][0]["model_name"] = "claude-opus-5"
    said = terminal.sync(content)
    assert said.out.startswith("± replace claude-opus-5 of anthropic [opus] (its usage starts anew")
    assert (the_limit(terminal).model_name, {rule.id for rule in the_limit(terminal).rules}) == (
        "claude-opus-5",
        {"b1", "r1"},
    )


def test_a_limit_keeps_its_usage_where_another_takes_its_id(terminal, count):
    terminal.sync(BIFROST)
    count("b1", "cost", used=7)
    before = terminal.counters()
    moved = nested(
        {"id": "opus", "model_name": "claude-opus-5", "budgets": [budget(5)]},
        {"id": "old", **{k: v for k, v in OPUS.items() if k != "id"}, "budgets": [budget(20, id="b1")]},
    )
    assert terminal.sync(moved).code == 0
    assert terminal.counters() == before
    assert terminal.dry(moved).code == 0


def test_a_limit_that_was_deleted_returns_and_the_plan_says_so(terminal, api):
    terminal.sync(BIFROST)
    api.delete("model-configs/opus")
    said = terminal.sync(BIFROST)
    assert said.out.splitlines()[0] == f"+ create claude-opus-4-1 of anthropic [opus] ({RETURNS})"
    assert len(terminal.stored().limits) == 1


def test_prune_removes_what_came_from_this_file_alone(terminal, api):
    api.create("by-api", budgets=[budget()])
    terminal.sync(nested({"model_name": "a"}, {"model_name": "b"}), name="one.json")
    terminal.sync(nested({"model_name": "c"}), name="two.json")
    less = nested({"model_name": "a"})
    said = terminal.sync(less, name="one.json")
    assert said.out.splitlines()[-1] == "Made by this file and no longer in it: 1. --prune removes them."
    assert len(terminal.stored().limits) == 4
    said = terminal.sync(less, "--prune", name="one.json")
    assert said.out.splitlines()[0].startswith("- remove b [")
    names = {limit.model_name for limit, _ in terminal.stored().limits.values()}
    assert names == {"by-api", "a", "c"}


def test_a_budget_that_leaves_the_file_goes_and_one_added_by_api_stays_until_the_limit_s_entry_changes(terminal, api):
    limit = {"model_name": "gpt-5", "budgets": [budget(1, "1h", id="h"), budget(5, "1d", id="d")]}
    owned = [each | {"model_config_id": "m"} for each in limit["budgets"]]
    content = bifrost(model_configs=[{"id": "m", "model_name": "gpt-5"}], budgets=owned)
    terminal.sync(content)
    kept = [{"id": "h", **budget(1, "1h")}, {"id": "d", **budget(5, "1d")}, budget(50, "1M")]
    assert api.put("model-configs/m", {"budgets": kept}).status_code == 200
    terminal.sync(bifrost(model_configs=[{"id": "m", "model_name": "gpt-5"}], budgets=owned[:1]))
    assert [rule.reset_duration for rule in the_limit(terminal).rules] == ["1h", "1M"]
    terminal.sync(bifrost(model_configs=[{"id": "m", "model_name": "gpt-5", "budget_ids": ["h"]}], budgets=owned[:1]))
    assert [rule.reset_duration for rule in the_limit(terminal).rules] == ["1h"]


def test_where_edits_by_api_cannot_stand_beside_the_file_s_the_file_has_it_all(terminal, api):
    terminal.sync(nested({"id": "m", "model_name": "a", "budgets": [budget(1, "1d", id="d"), budget(9, "1w", id="w")]}))
    api.put("model-configs/m", {"budgets": [{"id": "d", **budget(1, "1d")}, {"id": "w", **budget(9, "1M")}]})
    three = [budget(1, "1d", id="d"), budget(9, "1w", id="w"), budget(20, "1M", id="m")]
    terminal.sync(nested({"id": "m", "model_name": "a", "budgets": three}))
    assert [rule.reset_duration for rule in the_limit(terminal).rules] == ["1d", "1w", "1M"]


def test_a_budget_and_a_rate_limit_may_have_the_same_id(terminal):
    limit = {"id": "x", "model_name": "a", "budget_ids": ["x"], "rate_limit_id": "x"}
    rate = {"id": "x", "request_max_limit": 1, "request_reset_duration": "1m"}
    content = bifrost(model_configs=[limit], budgets=[budget(id="x")], rate_limits=[rate])
    assert terminal.sync(content).code == 0
    assert len({rule.id for rule in the_limit(terminal).rules}) == 2
    assert terminal.dry(content).code == 0


def test_a_limit_on_a_virtual_key_that_is_neither_stored_nor_in_the_file_is_a_fault(terminal):
    limit = {"model_name": "*", "scope": "virtual_key", "scope_id": "vk-9", "budgets": [budget()]}
    before = terminal.revision()
    said = terminal.sync(nested({"model_name": "a"}, limit))
    assert said.code == 1
    assert said.err.splitlines()[-1] == "limits.json:9: model_configs[1].scope_id: Virtual key 'vk-9' not found"
    assert (terminal.stored().limits, terminal.revision()) == ({}, before)


def test_one_fault_among_thousands_changes_nothing(terminal):
    limits = [{"model_name": f"model-{number}", "budgets": [budget()]} for number in range(2000)]
    limits[1234]["budgets"][0]["max_limt"] = 1
    before = terminal.revision()
    said = terminal.sync(nested(*limits))
    assert said.code == 1
    assert "model_configs[1234].budgets[0].max_limt" in said.err
    assert (terminal.stored().limits, terminal.revision()) == ({}, before)


@pytest.mark.parametrize("rows", [3, 400])
def test_the_number_of_statements_does_not_grow_with_the_file(terminal, database, count, rows):
    def content(window):
        limits = (
            {"id": f"m{n}", "model_name": f"m{n}", "budgets": [budget(1, window, id=f"b{n}")]} for n in range(rows)
        )
        keys = [{"id": f"k{n}", "name": f"k{n}", "value": f"sk-{n}"} for n in range(rows)]
        return nested(*limits, virtual_keys=keys)

    seen = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    for sections, most in ((content("1d"), 40), (content("1w"), 40), ({"model_configs": []}, 40)):
        seen.clear()
        assert terminal.sync(sections, "--prune").code == 0
        assert len(seen) < most
    assert terminal.stored()[:2] == ({}, {})


def test_the_example_is_applied_and_asks_for_nothing_again(terminal):
    assert terminal.run("sync", "examples/config.json", "--yes").code == 0
    assert len(terminal.stored().limits) == 9
    assert terminal.run("sync", "examples/config.json", "--dry-run").code == 0
