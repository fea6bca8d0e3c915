"""An allowed call reaches the model, and is charged what the table says."""

from decimal import Decimal

import pytest

from tests.gateways.table import MODELS

USED = {"openai": (18, Decimal("0.000092")), "anthropic": (18, Decimal("0.000038"))}
"""Tokens and dollars of the model server's usage, by the prices of conftest.py."""
ROUTE = {"openai": (3000, Decimal("0.014")), "anthropic": (3000, Decimal("0.007"))}
"""The same of the 2,000 tokens of input and 1,000 of output that the recipes' routes name."""
DAY_BUDGET = {"budget": {"max_limit": 5, "reset_duration": "1d"}}


def amounts(reservation, word):
    return reservation["tokens"][word], Decimal(str(reservation["cost"][word]))


def test_call_is_charged_as_the_table_says(gateway, limits, provider):
    key = limits.key(**DAY_BUDGET)
    assert gateway.client(provider, key).ask("Hello") == "Hello"
    held = limits.ended(key)
    assert (held["status"], held["model"], held["provider"]) == ("settled", MODELS[provider], provider)
    if gateway.row.settles:
        assert amounts(held, "used") == USED[provider]
        assert amounts(held, "reserved") > amounts(held, "used")
    else:
        assert amounts(held, "used") == amounts(held, "reserved")
    if not gateway.row.sees_body:
        assert amounts(held, "used") == ROUTE[provider]


def test_charge_is_what_the_budget_shows(gateway, limits, provider):
    key = limits.key()
    limit = limits.limit(key.id, **DAY_BUDGET)
    gateway.client(provider, key).ask("Hello")
    used = limits.ended(key)["cost"]["used"]
    (budget,) = limits.ask("GET", f"governance/model-configs/{limit}")["model_config"]["budgets"]
    assert (budget["current_usage"], budget["reserved"]) == (used, 0)


def test_model_is_taken_from_where_the_table_says(gateway, limits):
    key = limits.key()
    gateway.client("openai", key).ask("Hello", model="gpt-4o")
    assert limits.ended(key)["model"] == ("gpt-4o" if gateway.row.sees_body else "gpt-4o-mini")
    assert [request.body["model"] for request in gateway.models.requests] == ["gpt-4o"]


@pytest.mark.parametrize("status", [400, 503])
def test_upstream_error_reaches_the_client_and_is_charged_as_the_table_says(gateway, limits, provider, status):
    key = limits.key(**DAY_BUDGET)
    client = gateway.client(provider, key)
    expected = client.errors.BadRequestError if status == 400 else client.errors.APIStatusError
    with pytest.raises(expected, match="Overloaded") as told:
        client.ask(f"Fail {status}")
    assert told.value.status_code == status
    held = limits.ended(key)
    assert held["status"] == {"released": "released", "charged the estimate": "settled"}[gateway.row.upstream_error]


def test_long_answer_passes_whole(gateway, limits, provider):
    key = limits.key(**DAY_BUDGET)
    assert len(gateway.client(provider, key).ask("Long 2")) == 2_000_000
    held = limits.ended(key)
    assert amounts(held, "used") == (USED[provider] if gateway.row.settles else amounts(held, "reserved"))


def test_answer_too_long_to_copy_is_charged_its_estimate(gateway, limits, provider):
    key = limits.key(**DAY_BUDGET)
    assert len(gateway.client(provider, key).ask("Long 20")) == 20_000_000
    held = limits.ended(key)
    assert amounts(held, "used") == amounts(held, "reserved")
