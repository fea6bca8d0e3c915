"""The pages "Model limits" and "Virtual keys" of Bifrost's UI, in the present version and before scopes and lists."""

import pytest

from tests.clients.conftest import KEY, expect, limit

LISTED = {"count": int, "total_count": int, "limit": int, "offset": int}


@pytest.mark.parametrize(
    "query",
    [
        "limit=25&offset=0",
        "limit=25&offset=0&search=gpt&scope=virtual_key&provider=openai",
        "limit=25&offset=0&search=&scope=&provider=",
        "from_memory=true",
        "limit=100&offset=0&from_memory=true&search=gpt",
    ],
)
def test_the_page_lists_limits_under_each_of_its_filters(client, key_id, query):
    body = {"model_name": "gpt-4o", "provider": "openai", "scope": "virtual_key", "scope_id": key_id}
    made = client.send("POST", "model-configs", body | {"budgets": [{"max_limit": 10, "reset_duration": "1M"}]})
    page = expect(client.send("GET", f"model-configs?{query}"), LISTED | {"model_configs": list})
    assert (page["total_count"], page["count"], page["offset"]) == (1, 1, 0)
    assert [limit(each)["id"] for each in page["model_configs"]] == [made["model_config"]["id"]]
    assert page["model_configs"][0]["scope_name"] == "platform"


def test_an_empty_page_is_an_empty_list(client):
    page = expect(client.send("GET", "model-configs?limit=25&offset=0"), LISTED | {"model_configs": list})
    assert (page["model_configs"], page["total_count"]) == ([], 0)


def test_the_form_of_today_creates_edits_clears_and_deletes(client, key_id):
    made = client.send(
        "POST",
        "model-configs",
        {
            "model_name": "claude-sonnet-4",
            "provider": "anthropic",
            "scope": "virtual_key",
            "scope_id": key_id,
            "budgets": [{"max_limit": 50, "reset_duration": "1M"}, {"max_limit": 5, "reset_duration": "1d"}],
            "rate_limit": {"token_max_limit": 100000, "token_reset_duration": "1h"},
        },
    )
    assert made["message"] == "Model config created successfully"
    first = limit(made["model_config"])
    assert [each["max_limit"] for each in first["budgets"]] == [5, 50]

    path = f"model-configs/{first['id']}"
    kept = [{name: each[name] for name in ("id", "max_limit", "reset_duration")} for each in first["budgets"]]
    kept[0]["max_limit"] = 7.5
    rates = {
        "token_max_limit": None,
        "token_reset_duration": None,
        "request_max_limit": 60,
        "request_reset_duration": "1m",
    }
    names = {"model_name": "claude-sonnet-4", "provider": "anthropic"}
    edited = client.send("PUT", path, names | {"budgets": kept, "rate_limit": rates})
    assert edited["message"] == "Model config updated successfully"
    second = limit(edited["model_config"])
    assert [each["max_limit"] for each in second["budgets"]] == [7.5, 50]
    assert [each["id"] for each in second["budgets"]] == [each["id"] for each in first["budgets"]]
    assert (second["rate_limit"]["token_max_limit"], second["rate_limit"]["request_max_limit"]) == (None, 60)

    cleared = limit(client.send("PUT", path, names | {"budgets": [], "rate_limit": {}})["model_config"])
    assert (cleared["budgets"], cleared["rate_limit"]) == ([], None)
    assert client.send("DELETE", path) == {"message": "Model config deleted successfully"}
    assert client.refused("DELETE", path) == (404, "Model config not found")


def test_the_form_of_today_for_everyone_sends_the_scope_alone(client):
    body = {
        "model_name": "*",
        "scope": "global",
        "rate_limit": {"request_max_limit": 5, "request_reset_duration": "1m"},
    }
    made = limit(client.send("POST", "model-configs", body)["model_config"])
    assert (made["scope"], made["scope_id"], made["provider"]) == ("global", None, None)
    assert client.refused("POST", "model-configs", body)[0] == 409


@pytest.mark.parametrize(("choice", "left"), [(True, 0), (False, 0.25)])
def test_the_choice_to_clear_what_was_spent_clears_the_budgets_alone(client, choice, left):
    rate = {"request_max_limit": 5, "request_reset_duration": "1d"}
    body = {"model_name": "m", "budgets": [{"max_limit": 1, "reset_duration": "1d"}], "rate_limit": rate}
    made = limit(client.send("POST", "model-configs", body)["model_config"])
    client.send("POST", "usage", {"model": "m", "cost": 0.25})

    kept = [{"id": made["budgets"][0]["id"], "max_limit": 2, "reset_duration": "1d"}]
    edit = {"model_name": "m", "budgets": kept, "rate_limit": rate, "reset_budget_usage": choice}
    after = limit(client.send("PUT", f"model-configs/{made['id']}", edit)["model_config"])
    assert (after["budgets"][0]["max_limit"], after["budgets"][0]["current_usage"]) == (2, left)
    assert after["rate_limit"]["request_current_usage"] == 1


def test_the_form_from_before_scopes_sends_one_budget_and_one_rate_limit(client):
    budget = {"max_limit": 20, "reset_duration": "1M"}
    rate = {
        "token_max_limit": 1000,
        "token_reset_duration": "1h",
        "request_max_limit": 10,
        "request_reset_duration": "1m",
    }
    body = {"model_name": "gpt-4o", "provider": "openai", "budget": budget, "rate_limit": rate}
    made = limit(client.send("POST", "model-configs", body)["model_config"])
    assert made["budget"]["max_limit"] == 20

    path = f"model-configs/{made['id']}"
    edited = client.send("PUT", path, {"budget": {"max_limit": 30, "reset_duration": "1w"}})["model_config"]
    assert (limit(edited)["budget"]["id"], edited["budget"]["max_limit"]) == (made["budget"]["id"], 30)
    assert edited["rate_limit"] == made["rate_limit"]
    nulls = dict.fromkeys(rate)
    cleared = client.send("PUT", path, {"budget": {}, "rate_limit": nulls})["model_config"]
    assert (limit(cleared)["budget"], cleared["budgets"], cleared["rate_limit"]) == (None, [], None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"model_name": ""}, "Give model_name"),
        ({"model_name": "m", "scope": "team", "scope_id": "t"}, "Give scope as one of"),
        ({"model_name": "m", "scope": "virtual_key"}, "Give scope_id"),
        ({"model_name": "m", "scope": "virtual_key", "scope_id": "gone"}, "Virtual key 'gone' not found"),
        ({"model_name": "m", "budgets": [{"max_limit": 0, "reset_duration": "1M"}]}, "Give max_limit"),
        ({"model_name": "m", "budgets": [{"max_limit": 1, "reset_duration": "1Q"}]}, "Give reset_duration"),
    ],
)
def test_what_the_form_can_get_wrong_is_told_in_a_sentence(client, body, words):
    status, sentence = client.refused("POST", "model-configs", body)
    assert (status, sentence[: len(words)]) == (400, words)


def test_a_virtual_key_is_edited_with_all_its_members_empty_or_not_changed(client, key_id):
    path = f"virtual-keys/{key_id}"
    body = {
        "name": "platform 2",
        "description": "of the platform team",
        "provider_configs": [],
        "mcp_configs": [],
        "team_id": None,
        "customer_id": None,
        "budgets": [],
        "rate_limit": {},
        "is_active": False,
        "calendar_aligned": True,
    }
    edited = expect(client.send("PUT", path, body)["virtual_key"], KEY)
    assert (edited["name"], edited["is_active"], edited["calendar_aligned"]) == ("platform 2", False, True)
    page = expect(client.send("GET", "virtual-keys?limit=25&offset=0&search=plat"), LISTED | {"virtual_keys": list})
    assert [expect(each, KEY)["id"] for each in page["virtual_keys"]] == [key_id]


@pytest.mark.parametrize(
    "caps",
    [
        {"budgets": [{"max_limit": 5, "reset_duration": "1d"}]},
        {"rate_limit": {"request_max_limit": 5, "request_reset_duration": "1m"}},
        {"provider_configs": [{"provider": "openai", "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}]},
        {"team_id": "team-1"},
    ],
)
def test_a_virtual_keys_own_caps_are_never_dropped_in_silence(client, key_id, caps):
    for method, path in (("POST", "virtual-keys"), ("PUT", f"virtual-keys/{key_id}")):
        status, sentence = client.refused(method, path, {"name": "other"} | caps)
        assert (status, sentence.startswith(f"Leave {next(iter(caps))} out")) == (400, True)
    assert client.send("GET", "virtual-keys")["total_count"] == 1
