"""Each of Bifrost's own fields in a file is used, skipped and named, or refused with the reason."""

import pytest

from tests.config.conftest import bifrost, budget
from tests.config.test_owners import KEY, PER_MINUTE, faults

MODEL = {"id": "m", "model_name": "gemini-2.5-pro", "provider": "gemini"}


def told(terminal, content, kind):
    said = terminal.check(content, "--json")
    assert said.code == 0, said.out
    return said.json[kind]


def test_rate_limits_that_name_their_metric_are_one_limit_s(terminal):
    rates = [
        {"id": "rpm", "metric": "requests", "request_max_limit": 15, "request_reset_duration": "1m"},
        {"id": "rpd", "metric": "requests", "request_max_limit": 1500, "request_reset_duration": "1d"},
        {"id": "tpm", "metric": "tokens", "token_max_limit": 250000, "token_reset_duration": "1m"},
    ]
    content = bifrost(model_configs=[MODEL | {"rate_limit_ids": ["rpm", "rpd", "tpm"]}], rate_limits=rates)
    assert terminal.check(content).err == ""
    assert terminal.sync(content).code == 0
    assert terminal.rules() == {
        (None, "gemini", "gemini-2.5-pro"): ["15 requests / 1m", "1500 requests / 1d", "250000 tokens / 1m"]
    }


def test_a_rate_limit_may_name_its_limit(terminal):
    content = bifrost(model_configs=[MODEL], rate_limits=[{"id": "r", "model_config_id": "m", **PER_MINUTE}])
    assert terminal.sync(content).code == 0
    assert terminal.rules() == {(None, "gemini", "gemini-2.5-pro"): ["200 requests / 1m"]}


def test_quarters_are_three_months(terminal):
    inside = {**MODEL, "budgets": [budget(9, "1Q", reset_config={"quarter_start_month": 4})]}
    assert terminal.sync(bifrost(model_configs=[inside])).code == 0
    assert terminal.rules() == {(None, "gemini", "gemini-2.5-pro"): ["$9 / 3M"]}


def test_an_override_is_told_and_the_budget_s_own_maximum_holds(terminal):
    raised = {"override_amount": 50, "override_mode": "cycles", "override_cycles_remaining": 2}
    content = bifrost(
        model_configs=[MODEL | {"budget_ids": ["b"]}, {"model_name": "a", "budgets": [budget(2, **raised)]}],
        budgets=[budget(7, id="b", **raised, override_cycles_total=3, override_anchor_reset="2026-01-01T00:00:00Z")],
    )
    note = "The override is not taken: the budget's own maximum holds."
    assert [(each["path"], each["message"]) for each in told(terminal, content, "warnings")] == [
        ("governance.model_configs[1].budgets[0].override_amount", note),
        ("governance.budgets[0].override_amount", note),
    ]
    terminal.sync(content)
    assert terminal.rules() == {(None, "gemini", "gemini-2.5-pro"): ["$7 / 1d"], (None, None, "a"): ["$2 / 1d"]}


def test_what_answers_show_of_a_limit_is_no_fault(terminal):
    """Bifrost's list shows a limit in this form: nested, with the ids of the nested items."""
    shown = {
        "scope_name": "x", "config_hash": "", "created_at": "2026-01-01T00:00:00Z", "updated_at": None,
        "calendar_aligned": False, "rate_limit_id": "r", "scope": "global",
        "rate_limit": {"id": "r", **PER_MINUTE, "token_current_usage": 0, "token_last_reset": "2026-01-01T00:00:00Z",
                       "request_current_usage": 3, "request_last_reset": "2026-01-01T00:00:00Z", "config_hash": ""},
        "budgets": [budget(3, id="b", model_config_id="m", current_usage=1.5, customer_id=None)],
    }  # fmt: skip
    assert terminal.sync(bifrost(model_configs=[MODEL | shown])).code == 0
    assert terminal.rules() == {(None, "gemini", "gemini-2.5-pro"): ["$3 / 1d", "200 requests / 1m"]}


def test_what_changes_nothing_here_is_skipped_by_name(terminal):
    configs = [{"provider": "openai", "allowed_models": ["*"], "key_ids": ["*"], "weight": 1}]
    key = KEY | {"team_id": "t", "access_profile_id": 3, "mcp_configs": [], "provider_configs": configs}
    content = bifrost(
        auth_config={"is_enabled": True},
        routing_rules=[],
        business_units=[],
        pricing_overrides=[],
        virtual_keys=[key],
        providers=[{"name": "openai", "network_config": {}, "send_back_raw_request": True}],
    )
    assert told(terminal, content, "left_out") == []
    assert told(terminal, content, "skipped") == [
        "governance.auth_config",
        "governance.routing_rules",
        "governance.business_units",
        "governance.pricing_overrides",
        "governance.providers[].network_config",
        "governance.providers[].send_back_raw_request",
        "governance.virtual_keys[].team_id",
        "governance.virtual_keys[].access_profile_id",
        "governance.virtual_keys[].mcp_configs",
        "governance.virtual_keys[].provider_configs[].allowed_models",
        "governance.virtual_keys[].provider_configs[].key_ids",
        "governance.virtual_keys[].provider_configs[].weight",
    ]


REFUSED = [
    (
        {"providers": [{"name": "open*", "budgets": [budget()]}]},
        "providers[0].name",
        "Give name as the whole name of one provider: one with '*' in it would meet no call.",
    ),
    (
        {"virtual_keys": [KEY | {"provider_configs": [{"provider": "*", "budgets": [budget()]}]}]},
        "virtual_keys[0].provider_configs[0].provider",
        "Give provider as the whole name of one provider: one with '*' in it would meet no call.",
    ),
    (
        {"budgets": [budget(id="b", virtual_key_id="*")]},
        "budgets[0].virtual_key_id",
        "Give virtual_key_id as the id of one virtual key: '*' is none, and does not stand for each of them.",
    ),
    (
        {"rate_limits": [{"id": "r", "metric": "tokens", **PER_MINUTE}]},
        "rate_limits[0].request_max_limit",
        "Leave request_max_limit out, or write a rate limit of its own for it: the metric of this one is tokens.",
    ),
    (
        {"rate_limits": [{"id": "r", "metric": "dollars", **PER_MINUTE}]},
        "rate_limits[0].metric",
        "Give metric as one of tokens, requests.",
    ),
    (
        {"budgets": [budget(id="b", override_amount=-5)]},
        "budgets[0].override_amount",
        "Lower max_limit itself: override_amount only ever raises it.",
    ),
    (
        {"budgets": [budget(9, "1Q", id="b", reset_config={"quarter_start_month": 2})]},
        "budgets[0].reset_config",
        "Leave reset_config out: quarters begin in January, April, July and October here.",
    ),
    (
        {"budgets": [budget(id="b", team_ids="t")]},
        "budgets[0].team_ids",
        "Leave out team_ids: there is no such field (did you mean team_id?).",
    ),
    (
        {"virtual_keys": [KEY | {"provider_configs": [{"provider": "openai", "rate_limt_id": "r"}]}]},
        "virtual_keys[0].provider_configs[0].rate_limt_id",
        "Leave out provider_configs[0].rate_limt_id: there is no such field (did you mean rate_limit_id?).",
    ),
    (
        {"providers": [{"name": "openai", "spend": 5}]},
        "providers[0].spend",
        "Leave out spend: there is no such field.",
    ),
    (
        {"virtual_keys": [KEY | {"value": "vault.keys/team"}]},
        "virtual_keys[0].value",
        "Give the value itself, or env.NAME to take it from the environment: no vault is asked for it here.",
    ),
]


@pytest.mark.parametrize(("sections", "path", "sentence"), REFUSED)
def test_what_would_change_a_rule_unseen_is_refused(terminal, sections, path, sentence):
    assert (path, sentence) in faults(terminal, bifrost(**sections))
