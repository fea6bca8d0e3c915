"""The fields of a limit, a budget and a rate limit (docs/contract.md §3.1), in the limit and in both lists (§4)."""

import re
from decimal import Decimal

import pytest

LIMIT = re.findall(
    r"\w+",
    """id model_name provider scope scope_id scope_name calendar_aligned timezone budgets budget rate_limits rate_limit
    config_hash created_at updated_at""",
)
BUDGET = re.findall(
    r"\w+",
    """id max_limit reset_duration last_reset current_usage config_hash created_at updated_at calendar_aligned team_id
    virtual_key_id provider_config_id model_config_id reserved resets_at""",
)
RATE_LIMIT = re.findall(
    r"\w+",
    """id token_current_usage token_last_reset request_current_usage request_last_reset config_hash created_at
    updated_at token_max_limit token_reset_duration request_max_limit request_reset_duration token_reserved
    token_resets_at request_reserved request_resets_at""",
)
NOW = "2026-11-23T12:00:00Z"
BOTH = {"token_max_limit": 90, "token_reset_duration": "1h", "request_max_limit": 9, "request_reset_duration": "1m"}
KINDS = {"budgets": "budgets", "rate-limits": "rate_limits"}


@pytest.fixture(params=["", "from_memory=true"], ids=["database", "memory"])
def ask(request, api):
    """Return the response of a list from one of the two sources."""

    def get(path, query=""):
        response = api.get(f"{path}?{query}&{request.param}")
        assert response.status_code == 200, response.text
        return response

    return get


@pytest.fixture
def three(api, clock):
    """Create three limits, one second apart, with two budgets and two rate limits each."""
    for name in "abc":
        clock.advance(1)
        api.create(
            name,
            budgets=[{"max_limit": 1, "reset_duration": "1h"}, {"max_limit": 1, "reset_duration": "1d"}],
            rate_limits=[BOTH, {"request_max_limit": 1, "request_reset_duration": "1d"}],
        )


def test_every_key_of_a_limit_is_there_and_null_where_there_is_nothing(ask, api):
    made = api.create("m")
    [limit] = ask("model-configs").get_json()["model_configs"]
    assert list(limit) == LIMIT
    assert (
        limit
        == made
        == dict.fromkeys(LIMIT)
        | {
            "id": made["id"],
            "model_name": "m",
            "scope": "global",
            "calendar_aligned": False,
            "timezone": "UTC",
            "budgets": [],
            "rate_limits": [],
            "created_at": NOW,
            "updated_at": NOW,
        }
    )


def test_every_key_of_a_budget_is_there_and_null_where_there_is_nothing(ask, api, count):
    made = api.create(budget={"max_limit": 50, "reset_duration": "1d"})
    count(made["budget"]["id"], "cost", used=1_500_000_000, reserved=250_000_000)
    [budget] = ask("budgets").get_json()["budgets"]
    assert list(budget) == BUDGET
    assert budget == dict.fromkeys(BUDGET) | {
        "id": made["budget"]["id"],
        "model_config_id": made["id"],
        "max_limit": 50,
        "reset_duration": "1d",
        "last_reset": NOW,
        "resets_at": "2026-11-24T12:00:00Z",
        "current_usage": 1.5,
        "reserved": 0.25,
        "calendar_aligned": False,
        "created_at": NOW,
        "updated_at": NOW,
    }


def test_every_key_of_a_rate_limit_is_there_with_what_is_used_and_held_apart(ask, api, count):
    made = api.create(rate_limit=BOTH)
    count(made["rate_limit"]["id"], "tokens", used=7, reserved=5)
    count(made["rate_limit"]["id"], "requests", used=3, reserved=2)
    [rate_limit] = ask("rate-limits").get_json()["rate_limits"]
    assert list(rate_limit) == RATE_LIMIT
    assert rate_limit == BOTH | {
        "id": made["rate_limit"]["id"],
        "token_current_usage": 7,
        "token_reserved": 5,
        "token_last_reset": NOW,
        "token_resets_at": "2026-11-23T13:00:00Z",
        "request_current_usage": 3,
        "request_reserved": 2,
        "request_last_reset": NOW,
        "request_resets_at": "2026-11-23T12:01:00Z",
        "config_hash": None,
        "created_at": NOW,
        "updated_at": NOW,
    }


@pytest.mark.parametrize(("given", "absent"), [("token", "request"), ("request", "token")])
def test_the_side_that_a_rate_limit_does_not_have_is_null_and_zero(ask, api, given, absent):
    api.create(rate_limit={f"{given}_max_limit": 5, f"{given}_reset_duration": "1h"})
    [rate_limit] = ask("rate-limits").get_json()["rate_limits"]
    assert list(rate_limit) == RATE_LIMIT
    side = {key: value for key, value in rate_limit.items() if key.startswith(absent)}
    zeros = {f"{absent}_current_usage": 0, f"{absent}_reserved": 0}
    assert side == dict.fromkeys(side) | zeros


def test_budgets_and_rate_limits_stand_shortest_first_and_the_singulars_are_their_first(ask, api):
    api.create(
        budgets=[{"max_limit": 1, "reset_duration": text} for text in ("1Y", "1h", "1M", "1w", "90m")],
        rate_limits=[
            {
                "token_max_limit": 1,
                "token_reset_duration": "1d",
                "request_max_limit": 1,
                "request_reset_duration": "1h",
            },
            {"token_max_limit": 1, "token_reset_duration": "2h"},
            {"request_max_limit": 1, "request_reset_duration": "1m"},
        ],
    )
    [limit] = ask("model-configs").get_json()["model_configs"]
    assert [budget["reset_duration"] for budget in limit["budgets"]] == ["1h", "90m", "1w", "1M", "1Y"]
    shown = [(item["token_reset_duration"], item["request_reset_duration"]) for item in limit["rate_limits"]]
    assert shown == [(None, "1m"), ("1d", "1h"), ("2h", None)]
    assert limit["budget"] == limit["budgets"][0]
    assert limit["rate_limit"] == limit["rate_limits"][0]


def test_scope_name_is_the_current_name_and_null_where_it_is_unknown(ask, api):
    api.post("virtual-keys", {"id": "x", "name": "Team"})
    for name, scope, scope_id in (("key", "virtual_key", "x"), ("same id", "user", "x"), ("user", "user", "u")):
        api.create(name, scope=scope, scope_id=scope_id)

    def shown():
        limits = ask("model-configs").get_json()["model_configs"]
        return {limit["model_name"]: limit["scope_name"] for limit in limits}

    assert shown() == {"key": "Team", "same id": None, "user": None}
    api.post("users", {"id": "u", "name": "Ada"})
    api.put("virtual-keys/x", {"name": "Crew"})
    assert shown() == {"key": "Crew", "same id": None, "user": "Ada"}
    api.delete("users/u")
    assert shown() == {"key": "Crew", "same id": None, "user": None}


def test_virtual_key_id_is_filled_for_the_budgets_of_a_virtual_keys_limit_alone(ask, api):
    api.post("virtual-keys", {"id": "vk", "name": "Team"})
    budgets = [{"max_limit": 1, "reset_duration": "1h"}, {"max_limit": 1, "reset_duration": "1d"}]
    api.create("of key", scope="virtual_key", scope_id="vk", budgets=budgets)
    api.create("of user", scope="user", scope_id="vk", budgets=budgets)
    for limit in ask("model-configs").get_json()["model_configs"]:
        expected = "vk" if limit["scope"] == "virtual_key" else None
        assert [budget["virtual_key_id"] for budget in limit["budgets"]] == [expected, expected]
        assert {budget["team_id"] or budget["provider_config_id"] for budget in limit["budgets"]} == {None}


def test_a_budget_says_whether_its_own_window_is_aligned(ask, api):
    windows = ["1h", "24h", "1d", "1.5d", "1w", "1M", "1Y"]
    api.create(
        calendar_aligned=True, budgets=[{"max_limit": 1, "reset_duration": text} for text in windows if text != "24h"]
    )
    shown = {item["reset_duration"]: item["calendar_aligned"] for item in ask("budgets").get_json()["budgets"]}
    assert shown == {"1h": False, "1d": True, "1.5d": False, "1w": True, "1M": True, "1Y": True}


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("0.00015", "0.00015"),
        ("50", "50"),
        ("50.000", "50"),
        ("5e1", "50"),
        ("1e-9", "0.000000001"),
        ("0.000000001", "0.000000001"),
        ("1000000000", "1000000000"),
        ("999999999.999999999", "999999999.999999999"),
        ("0.30", "0.3"),
        ("123456789.012345678", "123456789.012345678"),
    ],
)
def test_money_is_shown_exactly_and_without_an_exponent_everywhere(api, count, sent, shown):
    body = f'{{"model_name": "m", "budget": {{"max_limit": {sent}, "reset_duration": "1d"}}}}'
    made = api.post("model-configs", data=body.encode())
    assert f'"max_limit":{shown},' in made.text
    limit = made.get_json()["model_config"]
    nanos = int(Decimal(sent) * 10**9)
    count(limit["budget"]["id"], "cost", used=nanos, reserved=nanos)
    for path in (f"model-configs/{limit['id']}", "model-configs", "budgets"):
        for query in ("", "?from_memory=true") if limit["id"] not in path else ("",):
            text = api.get(path + query).text
            assert set(re.findall('"(?:max_limit|current_usage|reserved)":([^,}]+)', text)) == {shown}


@pytest.mark.parametrize(("path", "name"), KINDS.items())
def test_an_empty_flat_list_is_an_empty_list(ask, path, name):
    assert ask(path).get_json() == {name: [], "total_count": 0, "count": 0, "limit": 25, "offset": 0}


@pytest.mark.parametrize(("path", "name"), KINDS.items())
def test_a_flat_list_holds_exactly_what_the_limits_show_newest_first(ask, three, path, name):
    page = ask(path).get_json()
    assert list(page) == [name, "total_count", "count", "limit", "offset"]
    shown = [item for limit in ask("model-configs").get_json()["model_configs"] for item in limit[name]]
    assert sorted(page[name], key=str) == sorted(shown, key=str)
    created = [(item["created_at"], item["id"]) for item in page[name]]
    assert created == sorted(created, reverse=True)
    assert [page["total_count"], page["count"]] == [6, 6]


@pytest.mark.parametrize(("path", "name"), KINDS.items())
def test_a_flat_list_is_paged_like_the_list_of_limits(ask, three, path, name):
    everything = ask(path).get_json()[name]
    page = ask(path, "limit=2&offset=3")
    assert page.get_json() == {name: everything[3:5], "total_count": 6, "count": 2, "limit": 2, "offset": 3}
    assert re.findall(r'offset=([0-9]+)[^>]*>; rel="(\w+)"', page.headers["Link"]) == [("5", "next"), ("1", "prev")]
    assert ask(path, "limit=101").get_json()["limit"] == 100
    assert ask(path, "offset=6").get_json()[name] == []


@pytest.mark.parametrize("path", KINDS)
def test_a_flat_list_says_its_source_and_age_and_both_sources_give_the_same_bytes(api, three, path):
    stored, kept = api.get(path), api.get(f"{path}?from_memory=true")
    assert stored.headers["X-Governance-Source"] == "database"
    assert kept.headers["X-Governance-Source"] == "memory"
    assert kept.headers["Age"].isdigit()
    assert stored.headers["Cache-Control"] == kept.headers["Cache-Control"] == "private, no-cache"
    assert stored.data == kept.data
    assert stored.headers["ETag"] == kept.headers["ETag"]


@pytest.mark.parametrize("path", KINDS)
@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("offset=-1", "offset"), ("from_memory=2", "from_memory"), ("scope=user", "scope")],
)
def test_a_flat_list_refuses_a_bad_parameter_by_name(api, path, query, param):
    response = api.get(f"{path}?{query}")
    assert (response.status_code, response.get_json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(("path", "name"), KINDS.items())
def test_a_flat_list_loses_at_once_what_an_edit_or_a_delete_removed(ask, api, three, path, name):
    [_, edited, deleted] = ask("model-configs").get_json()["model_configs"]
    api.put(f"model-configs/{edited['id']}", {name: []})
    api.delete(f"model-configs/{deleted['id']}")
    page = ask(path).get_json()
    gone = {item["id"] for limit in (edited, deleted) for item in limit[name]}
    assert page["total_count"] == 2
    assert gone.isdisjoint(item["id"] for item in page[name])
