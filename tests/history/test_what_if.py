"""`POST /what-if`: what a limit would have done with the calls of the past."""

import pytest

from governance.services.history import what_if
from tests.metering.conftest import DAY, dollars, ok, requests

NOON = "2026-11-23T12:00:00Z"
NO_OTHERS = {"count": 0, "refused": {"at_least": 0, "at_most": 0}}


@pytest.fixture
def ask(api):
    """The answer to a question about a limit."""

    def ask(since=NOON, until=None, **limit):
        body = {"model_config": {"model_name": "*"} | limit, "since": since}
        return api.post("what-if", body | ({"until": until} if until else {}))

    return ask


@pytest.fixture
def answered(ask):
    def answered(since=NOON, until=None, **limit):
        return ok(ask(since, until, **limit))

    return answered


def later(meter, days):
    for _ in range(days):
        meter.advance(DAY)
        for _ in range(3):
            meter.poll()


def test_calls_are_replayed_one_by_one_while_they_are_kept(meter, answered):
    for cost in (3, 4, 5, 2):
        meter.settled(meter.hold(cost=cost), cost=cost)
        meter.advance(60)
    meter.released(meter.hold(cost=9))
    assert answered(budget=dollars(8)) == {
        "since": NOON,
        "until": "2026-11-23T12:04:01Z",
        "is_exact": True,
        "calls": 5,
        "refused": {"at_least": 3, "at_most": 3},
        "first_refused": {"earliest": "2026-11-23T12:02:00Z", "latest": "2026-11-23T12:02:00Z"},
        "refused_by": {
            group: {"top": [named | {"calls": 5, "refused": {"at_least": 3, "at_most": 3}}], "others": NO_OTHERS}
            for group, named in {
                "provider": {"provider": None},
                "model": {"model": "gpt-4o"},
                "virtual_key": {"virtual_key_id": None, "virtual_key_name": None},
                "user": {"user_id": None, "user_name": None},
            }.items()
        },
        "cost": {"all_calls": 14, "admitted_calls": {"at_least": 7, "at_most": 7}},
        "tokens": {"all_calls": 0, "admitted_calls": {"at_least": 0, "at_most": 0}},
    }


def test_the_time_the_scope_and_the_model_choose_the_calls(api, meter, answered):
    api.post("virtual-keys", {"id": "vk", "name": "Search"})
    meter.reported(cost=1)
    meter.advance(60)
    meter.reported("o3", cost=2, user_id="ann")
    meter.advance(60)
    meter.reported("openai/GPT-4o", cost=4, virtual_key_id="vk")
    meter.advance(60)
    small = {"budget": dollars(0.5)}
    assert answered(**small)["cost"]["all_calls"] == 7
    assert answered("2026-11-23T12:01:00Z", "2026-11-23T12:02:00Z", **small)["cost"]["all_calls"] == 2
    assert answered(model_name="gpt-4o", **small)["cost"]["all_calls"] == 5
    assert answered(model_name="*", provider="openai", **small)["cost"]["all_calls"] == 4
    assert answered(scope="virtual_key", scope_id="vk", **small)["cost"]["all_calls"] == 4
    assert answered(scope="user", scope_id="ann", **small)["refused"] == {"at_least": 1, "at_most": 1}


def test_it_begins_30_days_ago_and_takes_days_and_a_while_as_history_does(api, meter, answered):
    meter.reported(cost=1)
    body = {"model_config": {"model_name": "*", "budget": dollars(1)}}
    assert ok(api.post("what-if", body))["since"] == "2026-10-24T00:00:00Z"
    assert answered("2026-11-22", budget=dollars(1))["since"] == "2026-11-22T00:00:00Z"
    assert answered("2d", budget=dollars(1))["since"] == "2026-11-21T00:00:00Z"
    assert answered("90m", budget=dollars(1))["since"] == "2026-11-23T10:30:00Z"


def test_only_the_20_with_the_most_refused_calls_are_listed(api, meter, answered):
    for number in range(23):
        api.post("virtual-keys", {"id": f"vk-{number:02}", "name": f"Team {number}"})
        for _ in range(2 if number == 22 else 1):
            meter.reported(cost=2, virtual_key_id=f"vk-{number:02}")
    found = answered(budget=dollars(1))["refused_by"]["virtual_key"]
    assert found["top"][0] == {
        "virtual_key_id": "vk-22",
        "virtual_key_name": "Team 22",
        "calls": 2,
        "refused": {"at_least": 2, "at_most": 2},
    }
    assert [row["virtual_key_id"] for row in found["top"][1:]] == [f"vk-{number:02}" for number in range(19)]
    assert found["others"] == {"count": 3, "refused": {"at_least": 3, "at_most": 3}}
    later(meter, 9)
    bounded = answered(budget=dollars(1))["refused_by"]["virtual_key"]
    assert bounded["top"] == [row | {"refused": row["refused"] | {"at_least": 0}} for row in found["top"]]
    assert bounded["others"] == {"count": 3, "refused": {"at_least": 0, "at_most": 3}}


def test_nothing_is_stored_and_other_limits_do_not_matter(api, meter, answered):
    api.create("gpt-4o", budget=dollars(2))
    meter.reported(cost=1)
    before = meter.dump()
    assert answered(budget=dollars(9))["refused"]["at_most"] == 0
    assert (meter.dump(), api.list()["total_count"]) == (before, 1)


def test_older_calls_are_bounded_by_their_buckets(api, meter, answered):
    api.post("virtual-keys", {"id": "vk", "name": "Search"})
    for cost in (3, 4, 5):
        meter.reported(cost=cost, virtual_key_id="vk")
        meter.advance(900)
    meter.reported("o3", cost=1)
    later(meter, 9)
    exact = {"calls": 4, "is_exact": False, "since": NOON}
    found = answered(budget=dollars(8))
    assert {name: found[name] for name in exact} == exact
    assert found["refused"] == {"at_least": 1, "at_most": 2}
    assert found["first_refused"] == {"earliest": "2026-11-23T12:30:00Z", "latest": "2026-11-23T12:45:00Z"}
    assert found["cost"] == {"all_calls": 13, "admitted_calls": {"at_least": 7, "at_most": 8}}
    both = {"at_least": 0, "at_most": 1}
    assert found["refused_by"]["model"]["top"] == [
        {"model": "gpt-4o", "calls": 3, "refused": both},
        {"model": "o3", "calls": 1, "refused": both},
    ]
    assert found["refused_by"]["virtual_key"]["top"] == [
        {"virtual_key_id": None, "virtual_key_name": None, "calls": 1, "refused": both},
        {"virtual_key_id": "vk", "virtual_key_name": "Search", "calls": 3, "refused": both},
    ]
    own = answered(model_name="gpt-4o", scope="virtual_key", scope_id="vk", budget=dollars(12))
    assert (own["calls"], own["cost"]["admitted_calls"]["at_least"], own["refused"]["at_most"]) == (3, 12, 0)
    assert answered(provider="none", budget=dollars(12))["calls"] == 0
    assert answered(model_name="o3", budget=dollars(12))["calls"] == 1


def test_windows_under_15_minutes_need_single_calls(meter, ask):
    meter.reported(cost=3)
    assert ok(ask(rate_limit=requests(1, "1m")))["is_exact"]
    later(meter, 9)
    answer = ask(rate_limit=requests(1, "1m"))
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "resolution_unavailable", "since")
    assert "15 minutes or longer" in error["message"]


def test_usage_older_than_its_buckets_is_refused(meter, ask):
    meter.reported(cost=3)
    later(meter, 40)
    answer = ask(budget=dollars(1))
    assert answer.get_json()["error"]["code"] == "resolution_unavailable"
    assert "older usage is not kept" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"since": NOON}, "model_config", "Give model_config"),
        ({"model_config": {"model_name": "*"}, "since": "soon"}, "since", "a while before now such as 30d"),
        ({"model_config": {"model_name": "*"}, "since": NOON, "until": NOON}, "until", "later than since"),
        ({"model_config": {"model_name": "*"}, "since": "2027-01-01T00:00:00Z"}, "since", "in the future"),
        ({"model_config": {"budget": dollars(1)}, "since": NOON}, "model_config.model_name", "required"),
        (
            {"model_config": {"model_name": "*", "budget": dollars(-1)}, "since": NOON},
            "model_config.budget.max_limit",
            "number",
        ),
        (
            {"model_config": {"model_name": "*", "scope": "virtual_key", "scope_id": "no"}, "since": NOON},
            "model_config.scope_id",
            "not found",
        ),
        (
            {"model_config": {"model_name": "*", "budget": dollars(1, "1h"), "calendar_aligned": True}, "since": NOON},
            "model_config.calendar_aligned",
            "aligned",
        ),
    ],
)
def test_a_wrong_question_is_refused_by_its_field(api, body, param, said):
    answer = api.post("what-if", body)
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, param)
    assert said in answer.get_json()["error"]["message"]


def test_the_name_of_a_virtual_key_is_told_its_id(api, ask):
    api.post("virtual-keys", {"id": "search", "name": "Search team"})
    error = ask(scope="virtual_key", scope_id="Search team", budget=dollars(1)).get_json()["error"]
    assert error["param"] == "model_config.scope_id"
    assert error["message"].endswith("give its id, 'search', in place of its name")


def test_it_ends_after_its_time_and_says_so(meter, ask, monkeypatch):
    meter.reported(cost=1)
    monkeypatch.setattr(what_if, "MOST_SECONDS", -1)
    answer = ask(budget=dollars(1))
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, "since")
    assert "within 10 seconds" in answer.get_json()["error"]["message"]


def test_all_parts_are_read_also_of_one_instant(meter, answered, monkeypatch):
    monkeypatch.setattr(what_if, "PART", 2)
    for _ in range(5):
        meter.reported(cost=1)
    meter.advance(1)
    meter.reported(cost=1)
    assert answered(budget=dollars(4))["refused"] == {"at_least": 2, "at_most": 2}


def test_a_read_key_may_ask(api, meter):
    reader = api.post("/api/api-keys", {"name": "reader", "scopes": ["read"]}).get_json()["api_key"]["key"]
    meter.reported(cost=1)
    body = {"model_config": {"model_name": "*", "budget": dollars(1)}, "since": NOON, "until": "2026-11-23T12:15:00Z"}
    assert api.with_key(reader).post("what-if", body).status_code == 200
