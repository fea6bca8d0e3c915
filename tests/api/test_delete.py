"""`DELETE /model-configs/{id}`, and the effect on limits when a key or a user is deleted (docs/contract.md §4)."""

import pytest

ALL = {
    "budgets": [{"max_limit": 50, "reset_duration": "1d"}, {"max_limit": 500, "reset_duration": "1M"}],
    "rate_limits": [{"token_max_limit": 5, "token_reset_duration": "1h"}],
}


@pytest.fixture
def limit(api, count):
    """Create a limit with usage."""
    made = api.create("m", **ALL)
    count(made["budget"]["id"], "cost", used=1_000_000_000, reserved=5)
    return made


def shown(api):
    """Return the number of limits, budgets and rate limits. The database and the snapshot must agree."""
    paths = ("model-configs", "budgets", "rate-limits")
    stored = [api.get(path).get_json()["total_count"] for path in paths]
    assert stored == [api.get(f"{path}?from_memory=1").get_json()["total_count"] for path in paths]
    return stored


def test_a_delete_answers_200_with_its_message_alone(api, limit):
    response = api.delete(f"model-configs/{limit['id']}")
    assert (response.status_code, response.get_json()) == (200, {"message": "Model config deleted successfully"})


def test_a_deleted_limit_is_gone_with_its_budgets_and_rate_limits_from_both_sources_at_once(api, limit):
    api.create("stays", budget={"max_limit": 1, "reset_duration": "1d"})
    assert shown(api) == [2, 3, 1]
    api.delete(f"model-configs/{limit['id']}")
    assert shown(api) == [1, 1, 0]
    assert [left["model_name"] for left in api.list(memory=True)["model_configs"]] == ["stays"]


@pytest.mark.parametrize("method", ["DELETE", "GET", "PUT"])
def test_a_deleted_limit_is_not_found_by_another_delete_a_read_or_an_edit(api, limit, method):
    api.delete(f"model-configs/{limit['id']}")
    response = api.request(method, f"model-configs/{limit['id']}", **({"json": {}} if method == "PUT" else {}))
    error = response.get_json()["error"]
    assert (response.status_code, error["type"], error["message"]) == (404, "not_found", "Model config not found")


def test_a_limit_made_again_is_another_one_and_nothing_of_it_is_used(api, limit):
    api.delete(f"model-configs/{limit['id']}")
    again = api.create("M ", **ALL)
    assert again["id"] != limit["id"]
    assert {(item["current_usage"], item["reserved"]) for item in again["budgets"]} == {(0, 0)}
    assert shown(api) == [1, 2, 1]


def test_a_deleted_virtual_key_takes_its_limits_with_it_and_no_others(api):
    for key in ("a", "b"):
        api.post("virtual-keys", {"id": key, "name": key})
        api.create("m", scope="virtual_key", scope_id=key, **ALL)
        api.create("*", scope="virtual_key", scope_id=key)
    api.create("m", scope="user", scope_id="a")
    api.delete("virtual-keys/a")
    assert shown(api) == [3, 2, 1]
    left = {(limit["scope"], limit["scope_id"]) for limit in api.list(memory=True)["model_configs"]}
    assert left == {("virtual_key", "b"), ("user", "a")}


def test_a_virtual_key_made_again_under_its_id_has_no_limits(api):
    for name in ("first", "second"):
        api.post("virtual-keys", {"id": "a", "name": name})
        assert shown(api) == [0, 0, 0]
        made = api.create("m", scope="virtual_key", scope_id="a")
        assert made["scope_name"] == name
        assert api.list(memory=True)["model_configs"] == [made]
        api.delete("virtual-keys/a")
    assert shown(api) == [0, 0, 0]


def test_a_deleted_user_loses_the_name_and_keeps_the_limits(api):
    api.post("users", {"id": "u", "name": "Ada"})
    made = api.create("m", scope="user", scope_id="u", **ALL)
    assert made["scope_name"] == "Ada"
    api.delete("users/u")
    assert shown(api) == [1, 2, 1]
    for memory in (False, True):
        assert api.list(memory=memory)["model_configs"] == [made | {"scope_name": None}]
