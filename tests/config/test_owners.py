"""The owner of each budget and rate limit: what the file says about it.

Nothing is assumed that the file does not say.
"""

import pytest

from tests.config.conftest import bifrost, budget

KEY = {"id": "vk-demo", "name": "demo", "value": "sk-bf-demo-0001"}
ANOTHER = "Write a budget of its own for this limit, with another id"
NAMED_HERE = "and name that here:"
TAKEN = "belongs to governance.model_configs[0]"
PER_MINUTE = {"request_max_limit": 200, "request_reset_duration": "1m"}


def faults(terminal, content):
    said = terminal.check(content, "--json")
    assert said.code == 1
    return [(fault["path"].removeprefix("governance."), fault["message"]) for fault in said.json["faults"]]


def left_out(terminal, content):
    said = terminal.check(content, "--json")
    assert said.code == 0, said.out
    return [(each["path"].removeprefix("governance."), each["message"]) for each in said.json["left_out"]]


def test_each_key_gets_its_own_rules_and_none_of_another(terminal):
    content = bifrost(
        virtual_keys=[
            {"id": "vk-red", "name": "Red", "value": "sk-bf-red-0001", "rate_limit_id": "rl-red"},
            {"id": "vk-blue", "name": "Blue", "value": "sk-bf-blue-0001", "rate_limit_id": "rl-blue"},
        ],
        budgets=[
            budget(5, "1M", id="b-red", virtual_key_id="vk-red"),
            budget(9, "1M", id="b-blue", virtual_key_id="vk-blue"),
        ],
        rate_limits=[
            {"id": "rl-red", "request_max_limit": 2, "request_reset_duration": "1m",
             "token_max_limit": 100000, "token_reset_duration": "1m"},
            {"id": "rl-blue", "request_max_limit": 4, "request_reset_duration": "1m"},
        ],
    )  # fmt: skip
    assert terminal.check(content).err == ""
    assert terminal.sync(content).code == 0
    assert terminal.rules() == {
        ("vk-red", None, "*"): ["$5 / 1M", "100000 tokens / 1m", "2 requests / 1m"],
        ("vk-blue", None, "*"): ["$9 / 1M", "4 requests / 1m"],
    }


def test_rules_of_owners_that_are_not_here_and_of_nobody_are_left_out_each_with_its_reason(terminal):
    content = bifrost(
        virtual_keys=[KEY | {"rate_limit_id": "rl-demo", "provider_configs": [{"provider": "gemini", "weight": 1}]}],
        teams=[{"id": "t1", "name": "Research"}],
        budgets=[
            budget(50, "1M", id="b-key", virtual_key_id="vk-demo"),
            budget(1, "1w", id="b-team", team_id="t1"),
            budget(2, "1d", id="b-config", provider_config_id=1),
            budget(3, "1Y", id="b-nobody"),
        ],
        rate_limits=[{"id": "rl-demo", **PER_MINUTE}, {"id": "rl-other", **PER_MINUTE}],
    )
    assert left_out(terminal, content) == [
        ("budgets[1]", "The budget 'b-team' is left out: it belongs to the team 't1', and there are no teams here."),
        ("budgets[2]",
         "The budget 'b-config' is left out: no virtual key in this file has a provider config with the id 1."),
        ("budgets[3]", "The budget 'b-nobody' is left out: nothing in this file refers to it, and it names no owner."),
        ("rate_limits[1]",
         "The rate limit 'rl-other' is left out: nothing in this file refers to it, and it names no owner."),
    ]  # fmt: skip
    said = terminal.sync(content)
    assert said.code == 0
    assert said.err.count("Left out: limits.json:") == 4
    assert terminal.rules() == {("vk-demo", None, "*"): ["$50 / 1M", "200 requests / 1m"]}


def test_a_file_is_not_called_right_without_a_word_on_what_is_left_out(terminal):
    said = terminal.check(bifrost(virtual_keys=[KEY], budgets=[budget(id="b1"), budget(id="b2", team_id="t")]))
    assert said.out == "limits.json is right but for what is left out (2): limits 0, virtual keys 1, warnings 0.\n"
    assert (
        terminal.check(bifrost(virtual_keys=[KEY])).out
        == "limits.json is right: limits 0, virtual keys 1, warnings 0.\n"
    )


def test_rules_that_name_no_owner_go_to_no_limit_without_an_id(terminal):
    content = bifrost(
        model_configs=[{"model_name": "gpt-5", "budgets": [budget(7)]}],
        budgets=[budget(3, "1Y", id="b-nobody"), budget(1, "1w", id="b-team", team_id="t1")],
        rate_limits=[{"id": "rl-nobody", "request_max_limit": 2, "request_reset_duration": "1h"}],
    )
    assert terminal.sync(content).code == 0
    assert terminal.rules() == {(None, None, "gpt-5"): ["$7 / 1d"]}


def test_what_a_key_refers_to_by_id_is_its_own_limit(terminal):
    content = bifrost(
        virtual_keys=[KEY | {"budget_id": "b", "rate_limit_id": "r"}],
        budgets=[budget(100, "1M", id="b")],
        rate_limits=[{"id": "r", "request_max_limit": 10, "request_reset_duration": "1m"}],
    )
    assert terminal.sync(content).code == 0
    assert terminal.rules() == {("vk-demo", None, "*"): ["$100 / 1M", "10 requests / 1m"]}


def test_what_stands_inside_a_key_is_its_own_limit_also_beside_its_id(terminal):
    """The responses of Bifrost show a virtual key in this form."""
    inside = {"rate_limit_id": "r", "rate_limit": {"id": "r", **PER_MINUTE, "request_current_usage": 3}}
    content = bifrost(virtual_keys=[KEY | inside | {"budgets": [budget(20, id="b", virtual_key_id="vk-demo")]}])
    assert terminal.sync(content).code == 0
    assert terminal.rules() == {("vk-demo", None, "*"): ["$20 / 1d", "200 requests / 1m"]}
    assert terminal.dry(content).code == 0


def test_rules_of_a_keys_provider_config_are_its_limit_on_that_provider(terminal):
    configs = [
        {"id": 7, "provider": "openai", "rate_limit_id": "r", "allowed_models": ["*"], "key_ids": ["*"]},
        {"provider": "anthropic", "budgets": [budget(4)], "weight": 0.5},
        {"provider": "gemini"},
    ]
    content = bifrost(
        virtual_keys=[KEY | {"provider_configs": configs}],
        budgets=[budget(2, "1d", id="b", provider_config_id=7)],
        rate_limits=[{"id": "r", **PER_MINUTE}],
    )
    assert left_out(terminal, content) == []
    assert terminal.sync(content).code == 0
    assert terminal.rules() == {
        ("vk-demo", "openai", "*"): ["$2 / 1d", "200 requests / 1m"],
        ("vk-demo", "anthropic", "*"): ["$4 / 1d"],
    }
    assert terminal.dry(content).code == 0


def test_rules_of_a_provider_are_its_limit_on_all_models(terminal):
    content = bifrost(
        providers=[{"name": "openai", "budget_id": "b", "rate_limit_id": "r", "calendar_aligned": True,
                    "network_config": {}}, {"name": "gemini"}],
        budgets=[budget(30, "1M", id="b")],
        rate_limits=[{"id": "r", **PER_MINUTE}],
    )  # fmt: skip
    assert terminal.sync(content).code == 0
    assert terminal.rules() == {(None, "openai", "*"): ["$30 / 1M", "200 requests / 1m"]}
    assert [held.limit.calendar_aligned for held in terminal.stored().limits.values()] == [True]


def test_what_a_team_or_customer_names_or_holds_is_left_out(terminal):
    content = bifrost(
        customers=[{"id": "acme", "name": "Acme", "budget_id": "b-acme", "rate_limit_id": "r"}],
        teams=[{"id": "ml", "name": "ML", "rate_limit_id": "r", "budgets": [budget()]}],
        virtual_keys=[KEY | {"rate_limit_id": "r", "customer_id": "acme"}],
        budgets=[budget(id="b-acme"), budget(id="b-own", customer_id="acme")],
        rate_limits=[{"id": "r", **PER_MINUTE}],
    )
    alone = "The rate limit 'r' holds for governance.virtual_keys[0] alone: there are no"
    assert left_out(terminal, content) == [
        ("customers[0].rate_limit_id", f"{alone} customers here."),
        ("teams[0].rate_limit_id", f"{alone} teams here."),
        ("teams[0].budgets", "What it holds is left out: there are no teams here."),
        ("budgets[0]",
         "The budget 'b-acme' is left out: it belongs to governance.customers[0], and there are no customers here."),
        ("budgets[1]",
         "The budget 'b-own' is left out: it belongs to the customer 'acme', and there are no customers here."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sections", "path", "sentence"),
    [
        (
            {"model_configs": [{"id": "m", "model_name": "a", "budget_id": "b"}],
             "virtual_keys": [KEY | {"budget_id": "b"}], "budgets": [budget(id="b"), budget(id="b-2", team_id="t")]},
            "virtual_keys[0].budget_id",
            f"{ANOTHER} such as 'b-3', {NAMED_HERE} a budget belongs to one limit, and 'b' {TAKEN}.",
        ),
        (
            {"virtual_keys": [KEY | {"budget_id": "b"}], "budgets": [budget(id="b", team_id="t1")]},
            "virtual_keys[0].budget_id",
            f"{ANOTHER}, {NAMED_HERE} 'b' says that it belongs to the team 't1'.",
        ),
        (
            {"virtual_keys": [KEY], "budgets": [budget(id="b", virtual_key_id="vk-demo", team_id="t1")]},
            "budgets[0].team_id",
            "Name one owner: this budget has virtual_key_id too.",
        ),
        (
            {"virtual_keys": [KEY | {"provider_configs": [{"id": 1, "provider": "a"}, {"id": 1, "provider": "b"}]}],
             "budgets": [budget(id="b", provider_config_id=1)]},
            "virtual_keys[0].provider_configs[1].id",
            "Give each id once: '1' stands at governance.virtual_keys[0].provider_configs[0].id too.",
        ),
        (
            {"virtual_keys": [KEY | {"budget_id": "b"}, {"name": "other", "rate_limit": {"request_max_limit": 1}}]},
            "virtual_keys[1].rate_limit.request_reset_duration",
            "Give request_reset_duration too: a maximum and its duration belong together.",
        ),
    ],
)  # fmt: skip
def test_an_owner_that_is_not_one_is_a_fault(terminal, sections, path, sentence):
    assert (path, sentence) in faults(terminal, bifrost(**sections))


def test_nothing_is_called_left_out_where_an_entry_at_fault_may_own_it(terminal):
    content = bifrost(virtual_keys=[KEY | {"nme": "x", "budget_id": "b"}], budgets=[budget(id="b")])
    said = terminal.check(content, "--json")
    assert (said.code, said.json["warnings"]) == (1, [])


def test_a_start_logs_what_it_leaves_out(terminal, caplog):
    path = terminal.write(bifrost(virtual_keys=[KEY], budgets=[budget(id="b", team_id="t1")]))
    terminal.service.sync.at_start(path)
    assert (
        "limits.json:11: governance.budgets[0]: The budget 'b' is left out: it belongs to the team 't1', "
        "and there are no teams here." in caplog.messages
    )
