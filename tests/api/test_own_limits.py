"""`GET /gateway/self`: the holder of a virtual key sees the key's own limits and nothing else."""

import pytest


@pytest.fixture
def held(api):
    """Create a virtual key with a budget and a rate limit, and limits of other owners."""
    key = api.post("virtual-keys", {"id": "vk", "name": "Search team"}).get_json()["virtual_key"]
    api.post("virtual-keys", {"id": "other", "name": "Others"})
    own = {"scope": "virtual_key", "scope_id": "vk"}
    api.create("gpt-4o", **own, budget={"max_limit": 10, "reset_duration": "1d"})
    api.create("*", provider="openai", **own, rate_limit={"token_max_limit": 500, "token_reset_duration": "1h"})
    api.create("gpt-4o", budget={"max_limit": 7, "reset_duration": "1d"})
    api.create("gpt-4o", scope="virtual_key", scope_id="other", budget={"max_limit": 8, "reset_duration": "1d"})
    return key


def own(api, value, scheme="Bearer"):
    return api.with_key(None).get("/gateway/self", headers={"Authorization": f"{scheme} {value}"})


def test_a_key_sees_its_own_limits_and_what_is_left(api, held):
    api.post("usage", {"model": "gpt-4o", "provider": "openai", "virtual_key_id": "vk", "cost": 2.5, "tokens": 100})
    api.post("reservations", {"model": "gpt-4o", "virtual_key_id": "vk", "cost": 1})
    answer = own(api, held["value"])
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    found = answer.get_json()
    assert found["virtual_key"] == {"id": "vk", "name": "Search team", "expires_at": None}
    names = ("model_name", "provider", "kind", "metric", "used", "reserved", "limit", "remaining", "resets_at")
    assert [tuple(each[name] for name in names) for each in found["limits"]] == [
        ("*", "openai", "rate_limit", "tokens", 100, 0, 500, 400, "2026-11-23T13:00:00Z"),
        ("gpt-4o", None, "budget", "cost", 2.5, 1, 10, 6.5, "2026-11-24T12:00:00Z"),
    ]
    assert "Others" not in answer.text
    assert held["value"] not in answer.text


def test_a_key_without_limits_sees_none(api):
    key = api.post("virtual-keys", {"name": "free"}).get_json()["virtual_key"]
    assert own(api, key["value"]).get_json()["limits"] == []


def test_without_a_key_or_with_another_it_is_401(api, held):
    assert api.with_key(None).get("/gateway/self").get_json()["error"]["code"] == "virtual_key_required"
    assert own(api, held["value"], "Basic").get_json()["error"]["code"] == "virtual_key_required"
    assert "API key" in own(api, api.key).get_json()["error"]["message"]
    for wrong in ("nope", api.key, held["value"] + "x", "vk"):
        answer = own(api, wrong)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "invalid_virtual_key")


@pytest.mark.parametrize("header", ["x-api-key", "api-key", "x-goog-api-key", "x-bf-vk"])
def test_the_key_is_read_where_each_client_sends_keys(api, held, header):
    headers = {header: held["value"]}
    answer = api.with_key(None).get("/gateway/self", headers=headers)
    assert (answer.status_code, len(answer.get_json()["limits"])) == (200, 2)
    both = api.with_key(None).get("/gateway/self", headers=headers | {"Authorization": "Bearer another"})
    assert (both.status_code, both.get_json()["error"]["code"]) == (401, "invalid_virtual_key")


def test_an_inactive_or_expired_key_is_403(api, held, clock):
    api.put("virtual-keys/vk", {"is_active": False})
    assert own(api, held["value"]).get_json()["error"]["code"] == "virtual_key_inactive"
    api.put("virtual-keys/vk", {"is_active": True, "expires_at": "2026-11-24T00:00:00Z"})
    clock.advance(24 * 3600)
    answer = own(api, held["value"])
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "virtual_key_expired")
