"""A client that follows only the page `List model limits` (`reference/list-model-limits.seed.txt`)."""

from datetime import datetime
from types import NoneType

import pytest

BUDGET = {
    "id": "<string>",
    "max_limit": 123,
    "reset_duration": "<string>",
    "last_reset": "2023-11-07T05:31:56Z",
    "current_usage": 123,
    "config_hash": "<string>",
    "created_at": "2023-11-07T05:31:56Z",
    "updated_at": "2023-11-07T05:31:56Z",
    "calendar_aligned": False,
    "team_id": "<string>",
    "virtual_key_id": "<string>",
    "provider_config_id": 123,
}
RATE_LIMIT = {
    "id": "<string>",
    "token_current_usage": 123,
    "token_last_reset": "2023-11-07T05:31:56Z",
    "request_current_usage": 123,
    "request_last_reset": "2023-11-07T05:31:56Z",
    "config_hash": "<string>",
    "created_at": "2023-11-07T05:31:56Z",
    "updated_at": "2023-11-07T05:31:56Z",
    "token_max_limit": 123,
    "token_reset_duration": "<string>",
    "request_max_limit": 123,
    "request_reset_duration": "<string>",
}
PAGE = {
    "model_configs": [
        {
            "id": "<string>",
            "model_name": "<string>",
            "provider": "<string>",
            "scope": "global",
            "scope_id": "<string>",
            "scope_name": "<string>",
            "calendar_aligned": False,
            "budgets": [BUDGET],
            "budget": BUDGET,
            "rate_limit": RATE_LIMIT,
            "created_at": "2023-11-07T05:31:56Z",
            "updated_at": "2023-11-07T05:31:56Z",
        }
    ],
    "total_count": 123,
}
"""The example of the page, unchanged."""

NULLABLE = {"config_hash", "team_id", "provider_config_id"}
"""Fields that are null in every limit that the API created (docs/contract.md §3.1). The others have a value if one
exists."""


@pytest.fixture
def whole(api, clock):
    """Create a limit in which every field that can have a value has one."""
    clock.advance(0.25)
    api.post("virtual-keys", {"id": "vk", "name": "Team"})
    return api.create(
        "gpt-4o",
        provider="openai",
        scope="virtual_key",
        scope_id="vk",
        calendar_aligned=True,
        budgets=[{"max_limit": 0.5, "reset_duration": "1h"}, {"max_limit": 500, "reset_duration": "1M"}],
        rate_limit={
            "token_max_limit": 1000,
            "token_reset_duration": "1m",
            "request_max_limit": 10,
            "request_reset_duration": "1m",
        },
    )


def differences(shown, example, path="$"):
    """Return where a response lacks a field of the example, or has it with another JSON type."""
    if isinstance(example, dict) and isinstance(shown, dict):
        for key, inner in example.items():
            if key not in shown:
                yield f"{path}.{key} is missing"
            elif not (shown[key] is None and key in NULLABLE):
                yield from differences(shown[key], inner, f"{path}.{key}")
    elif isinstance(example, list) and isinstance(shown, list):
        for index, item in enumerate(shown):
            yield from differences(item, example[0], f"{path}[{index}]")
    elif kind(shown) != kind(example):
        yield f"{path} is a {kind(shown)}, not a {kind(example)}"


def kind(value):
    """Return the JSON type of a value, and whether a text is an instant."""
    names = {bool: "boolean", int: "number", float: "number", NoneType: "null", dict: "object", list: "array"}
    if not isinstance(value, str):
        return names[type(value)]
    return "date-time" if value.endswith("Z") and datetime.fromisoformat(value).tzinfo else "string"


@pytest.mark.parametrize("query", ["", "?from_memory=true"])
def test_every_field_of_the_page_is_in_the_answer_with_the_type_that_the_page_shows(api, whole, query):
    body = api.get(f"model-configs{query}").get_json()
    assert len(body["model_configs"]) == body["total_count"] == 1
    assert list(differences(body, PAGE)) == []


@pytest.mark.parametrize("query", ["", "?from_memory=true"])
def test_fields_without_a_value_are_null_and_not_missing(api, query):
    api.create("*")
    [limit] = api.get(f"model-configs{query}").get_json()["model_configs"]
    [example] = PAGE["model_configs"]
    assert example.keys() <= limit.keys()
    empty = {key for key in example if limit[key] is None}
    assert empty == {"provider", "scope_id", "scope_name", "budget", "rate_limit"}
    assert limit["budgets"] == []


def test_the_page_is_at_api_governance_model_configs_with_a_bearer_key(api, whole):
    key = {"Authorization": f"Bearer {api.key}"}
    response = api.client.get("/api/governance/model-configs", headers=key)
    assert (response.status_code, response.content_type) == (200, "application/json")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": "{key}"},
        {"Authorization": "{key}"},
        {"Authorization": "Basic {key}"},
        {"Authorization": "Bearer {value}"},
        {"x-bf-vk": "{value}"},
    ],
)
def test_without_a_bearer_api_key_or_with_another_kind_of_key_nothing_is_shown(api, headers):
    value = api.post("virtual-keys", {"name": "Team"}).get_json()["virtual_key"]["value"]
    sent = {name: text.format(key=api.key, value=value) for name, text in headers.items()}
    response = api.client.get("/api/governance/model-configs", headers=sent)
    assert response.status_code == 401
    assert "model_configs" not in response.get_json()


@pytest.mark.parametrize("memory", ["false", "true"])
def test_a_client_that_pages_by_limit_and_offset_up_to_total_count_sees_every_limit_once(api, memory):
    for number in range(7):
        api.create(f"model-{number}")
    seen, total = [], 1
    while len(seen) < total:
        body = api.get(f"model-configs?limit=3&offset={len(seen)}&from_memory={memory}").get_json()
        total = body["total_count"]
        seen += [limit["model_name"] for limit in body["model_configs"]]
    assert sorted(seen) == [f"model-{number}" for number in range(7)]


@pytest.mark.parametrize("memory", ["false", "true"])
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("search=GPT", {"gpt-4o"}),
        ("scope=global", {"claude"}),
        ("scope=virtual_key", {"gpt-4o"}),
        ("scope=user", {"o1"}),
        ("provider=openai", {"gpt-4o", "o1"}),
        ("provider=openai&scope=user&search=o&limit=1&offset=0", {"o1"}),
    ],
)
def test_every_query_parameter_of_the_page_does_what_the_page_says(api, whole, query, names, memory):
    api.create("claude", provider="anthropic")
    api.create("o1", provider="openai", scope="user", scope_id="u")
    body = api.get(f"model-configs?{query}&from_memory={memory}").get_json()
    assert {limit["model_name"] for limit in body["model_configs"]} == names
    assert body["total_count"] == len(names)


@pytest.mark.parametrize("query", ["limit=0", "offset=-1", "limit=x", "scope=team"])
def test_what_the_page_rules_out_is_refused(api, query):
    assert api.get(f"model-configs?{query}").status_code == 400
