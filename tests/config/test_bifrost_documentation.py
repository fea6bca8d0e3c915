"""Files like the examples in Bifrost's documentation, with other values, load as a reader of it expects."""

import pytest

from tests.config.conftest import bifrost, budget

HOURLY = {"request_max_limit": 4000, "request_reset_duration": "1h",
          "token_max_limit": 3000000, "token_reset_duration": "1h"}  # fmt: skip
ALL_OF_OPENAI = {"provider": "openai", "allowed_models": ["*"], "key_ids": ["*"], "weight": 1}


@pytest.fixture(autouse=True)
def _values(monkeypatch):
    for name in ("VK_SUPPORT", "VK_BATCH"):
        monkeypatch.setenv(name, f"sk-bf-{name.lower()}-0001")


def left_out(said):
    return [line.split(": ")[2].removeprefix("governance.") for line in said.err.splitlines() if "Left out:" in line]


def test_the_full_example(terminal):
    """The file has authentication, a key with its budget and rate limit, routing, providers and a store.

    It gives one limit.
    """
    content = {
        "$schema": "https://www.getbifrost.ai/schema",
        "encryption_key": "env.BIFROST_ENCRYPTION_KEY",
        "client": {"enforce_auth_on_inference": True},
        "governance": {
            "auth_config": {"is_enabled": True, "admin_username": "env.ADMIN", "admin_password": "env.PASSWORD"},
            "budgets": [budget(900.00, "1M", id="budget-support", virtual_key_id="vk-support")],
            "rate_limits": [{"id": "rl-support", **HOURLY}],
            "virtual_keys": [
                {"id": "vk-support", "name": "support-key", "value": "env.VK_SUPPORT", "is_active": True,
                 "rate_limit_id": "rl-support", "provider_configs": [ALL_OF_OPENAI]}
            ],
            "routing_rules": [
                {"id": "fallback", "name": "On error", "cel_expression": "true",
                 "targets": [{"provider": "openai", "weight": 1.0}], "fallbacks": ["anthropic"]}
            ],
        },
        "providers": {"openai": {"keys": [{"name": "main", "value": "env.OPENAI_API_KEY", "models": ["*"]}]}},
        "config_store": {"enabled": True, "type": "postgres", "config": {"host": "env.PG_HOST", "port": "5432"}},
    }  # fmt: skip
    said = terminal.sync(content)
    assert (said.code, left_out(said)) == (0, [])
    assert terminal.rules() == {("vk-support", None, "*"): ["$900 / 1M", "3000000 tokens / 1h", "4000 requests / 1h"]}
    assert terminal.dry(content).code == 0


def test_model_limits_of_each_scope(terminal):
    """The file has one row for each metric and window, and a separate budget for each limit."""
    content = bifrost(
        model_configs=[
            {"id": "mc-model", "model_name": "gpt-4o", "provider": "openai", "budget_id": "b-model",
             "rate_limit_ids": ["rpm", "tpd"]},
            {"id": "mc-provider", "model_name": "*", "provider": "openai", "scope": "global", "budget_id": "b-openai"},
            {"id": "mc-key", "model_name": "*", "scope": "virtual_key", "scope_id": "vk-batch", "budget_id": "b-key"},
        ],
        virtual_keys=[{"id": "vk-batch", "name": "batch", "value": "env.VK_BATCH", "provider_configs": []}],
        budgets=[budget(80, "1M", id="b-model"), budget(200, "1M", id="b-openai"), budget(7, "1w", id="b-key")],
        rate_limits=[
            {"id": "rpm", "metric": "requests", "request_max_limit": 30, "request_reset_duration": "1m"},
            {"id": "tpd", "metric": "tokens", "token_max_limit": 500000, "token_reset_duration": "1d"},
        ],
    )  # fmt: skip
    said = terminal.sync(content)
    assert (said.code, said.err) == (0, "")
    assert terminal.rules() == {
        (None, "openai", "gpt-4o"): ["$80 / 1M", "30 requests / 1m", "500000 tokens / 1d"],
        (None, "openai", "*"): ["$200 / 1M"],
        ("vk-batch", None, "*"): ["$7 / 1w"],
    }


def test_a_rate_limit_of_a_provider_config_is_the_key_s_on_that_provider(terminal):
    configs = [{"provider": "openai", "allowed_models": ["gpt-4o"], "key_ids": ["*"], "rate_limit_id": "rl-openai"},
               {"provider": "anthropic", "allowed_models": ["*"], "key_ids": ["*"]}]  # fmt: skip
    key = {"id": "vk-batch", "name": "batch", "value": "env.VK_BATCH", "provider_configs": configs}
    content = bifrost(virtual_keys=[key | {"calendar_aligned": True}], rate_limits=[{"id": "rl-openai", **HOURLY}],
                      budgets=[budget(40, "1M", id="b", virtual_key_id="vk-batch")])  # fmt: skip
    assert terminal.sync(content).code == 0
    assert terminal.rules() == {
        ("vk-batch", None, "*"): ["$40 / 1M"],
        ("vk-batch", "openai", "*"): ["3000000 tokens / 1h", "4000 requests / 1h"],
    }
    aligned = {held.limit.provider: held.limit.calendar_aligned for held in terminal.stored().limits.values()}
    assert aligned == {None: True, "openai": False}


def test_customers_and_teams_are_named_as_left_out_and_their_keys_are_taken(terminal):
    content = bifrost(
        customers=[{"id": "acme", "name": "Acme", "budget_id": "b-acme", "rate_limit_id": "rl-acme"}],
        teams=[{"id": "ml", "name": "ML", "customer_id": "acme"}],
        budgets=[budget(2000.00, "1M", id="b-acme"), budget(500.00, "1M", id="b-ml", team_id="ml")],
        rate_limits=[{"id": "rl-acme", **HOURLY}],
        virtual_keys=[{"id": "vk-batch", "name": "batch", "value": "env.VK_BATCH", "team_id": "ml"}],
    )
    said = terminal.sync(content)
    assert (said.code, left_out(said)) == (0, ["budgets[0]", "budgets[1]", "rate_limits[0]"])
    assert terminal.rules() == {}
    assert list(terminal.stored().keys) == ["vk-batch"]


def test_a_key_with_a_budget_of_calendar_days(terminal):
    config = {"id": 1, "provider": "openai", "allowed_models": ["*"], "key_ids": ["*"], "weight": 1.0}
    key = {"id": "vk-p", "name": "p", "description": "d", "value": "env.VK_SUPPORT", "is_active": True}
    content = bifrost(
        budgets=[budget(10.0, "1d", id="b-p", virtual_key_id="vk-p", calendar_aligned=True)],
        rate_limits=[{"id": "rl-p", **HOURLY}],
        virtual_keys=[key | {"rate_limit_id": "rl-p", "provider_configs": [config]}],
    )
    said = terminal.sync(content)
    assert (said.code, left_out(said)) == (0, [])
    assert terminal.rules() == {("vk-p", None, "*"): ["$10 / 1d", "3000000 tokens / 1h", "4000 requests / 1h"]}
    assert [held.limit.calendar_aligned for held in terminal.stored().limits.values()] == [True]
