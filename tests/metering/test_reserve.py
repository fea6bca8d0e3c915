"""`POST /reservations` (docs/contract.md §6): the response and the reserved amounts, the room, and the virtual key."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Api
from tests.metering.conftest import DAY, dollars, requests, tokens

SHAPE = [
    "id",
    "status",
    "model",
    "provider",
    "virtual_key_id",
    "user_id",
    "requests",
    "tokens",
    "cost",
    "overrun",
    "created_at",
    "expires_at",
    "settled_at",
    "late",
    "cost_source",
    "price",
]


def test_an_allow_answers_the_decision_the_reservation_and_every_rule_that_applied(api, meter):
    limit = api.create(provider="OpenAI", budget=dollars(1), rate_limit=requests(3) | tokens(100))
    answer = meter.reserved("GPT-4o", provider="openai", user_id="ann", cost=0.4, tokens=10, ttl_seconds=60)
    held = answer["reservation"]
    assert list(answer) == ["decision", "reservation", "limits"]
    assert list(held) == SHAPE
    assert held == {
        "id": held["id"],
        "status": "open",
        "model": "GPT-4o",
        "provider": "openai",
        "virtual_key_id": None,
        "user_id": "ann",
        "requests": 1,
        "tokens": {"reserved": 10, "used": 0},
        "cost": {"reserved": 0.4, "used": 0},
        "overrun": {"tokens": 0, "cost": 0},
        "created_at": "2026-11-23T12:00:00Z",
        "expires_at": "2026-11-23T12:01:00Z",
        "settled_at": None,
        "late": False,
        "cost_source": "given",
        "price": None,
    }
    assert answer["decision"] == "allow"
    assert answer["limits"][0] == {
        "rule_id": limit["budget"]["id"],
        "model_config_id": limit["id"],
        "kind": "budget",
        "metric": "cost",
        "model_name": "gpt-4o",
        "provider": "OpenAI",
        "scope": "global",
        "scope_id": None,
        "scope_name": None,
        "used": 0,
        "reserved": 0.4,
        "requested": 0.4,
        "limit": 1,
        "remaining": 0.6,
        "resets_at": "2026-11-24T12:00:00Z",
    }
    figures = ("metric", "used", "reserved", "requested", "limit", "remaining", "resets_at")
    assert [tuple(rule[name] for name in figures) for rule in answer["limits"][1:]] == [
        ("requests", 0, 1, 1, 3, 2, "2026-11-23T12:01:00Z"),
        ("tokens", 0, 10, 10, 100, 90, "2026-11-23T13:00:00Z"),
    ]


def test_a_reservation_lasts_ten_minutes_where_nothing_else_is_said(meter):
    assert meter.reserved()["reservation"]["expires_at"] == "2026-11-23T12:10:00Z"


def test_a_reservation_holds_one_request_the_tokens_and_the_cost(api, meter):
    limit = api.create(budget=dollars(1), rate_limit=requests(3) | tokens(100))
    meter.hold(cost=0.4, tokens=10)
    assert meter.stands(limit) == {"cost": (0, 0.4), "tokens": (0, 10), "requests": (0, 1)}
    meter.hold(cost=0.1, input_tokens=20, output_tokens=5)
    assert meter.stands(limit) == {"cost": (0, 0.5), "tokens": (0, 35), "requests": (0, 2)}
    assert meter.proven() == 3


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ({"tokens": 7}, 7),
        ({"input_tokens": 3, "output_tokens": 4}, 7),
        ({"input_tokens": 3}, 3),
        ({"output_tokens": 4}, 4),
        ({"input_tokens": 0, "output_tokens": 0}, 0),
        ({"tokens": 0}, 0),
        ({"tokens": None, "input_tokens": 5}, 5),
        ({}, 0),
    ],
)
def test_tokens_are_held_whole_or_as_the_sum_of_input_and_output(api, meter, asked, held):
    limit = api.create(rate_limit=tokens(100))
    assert meter.reserved(**asked)["reservation"]["tokens"] == {"reserved": held, "used": 0}
    assert meter.stands(limit) == {"tokens": (0, held)}


ROOM = [
    ({"budget": dollars(1)}, {}, None, {"cost": 1}),
    ({"budget": dollars(1)}, {"cost": 0.9}, None, {"cost": 0.1}),
    ({"budget": dollars(1)}, {}, {"cost": 0.9}, {"cost": 0.1}),
    ({"budget": dollars(1)}, {"cost": 0.5}, {"cost": 0.4}, {"cost": 0.1}),
    ({"budget": dollars(1)}, {"cost": 0.999999999}, None, {}),
    ({"budget": dollars(1)}, {"tokens": 10**12}, None, {"tokens": 10**12}),
    ({"rate_limit": tokens(10)}, {"tokens": 4}, {"tokens": 5}, {"tokens": 1}),
    ({"rate_limit": tokens(10)}, {"tokens": 9}, None, {}),
    ({"rate_limit": tokens(10)}, {"cost": 99}, {"cost": 99}, {"cost": 99}),
    ({"rate_limit": requests(3)}, {"requests": 2}, None, {}),
    ({"rate_limit": requests(3)}, {"requests": 1}, {}, {}),
    ({"budget": dollars(1)}, {"cost": 1}, None, {"cost": 0}),
    ({"budget": dollars(1)}, {"cost": 5}, None, {"cost": 0}),
    ({"budget": dollars(1)}, {}, {"cost": 1}, {"cost": 0.0}),
    ({"rate_limit": tokens(10)}, {"tokens": 4}, {"tokens": 6}, {"tokens": 0}),
    ({"rate_limit": tokens(10)}, {"tokens": 10}, None, {"input_tokens": 0}),
    ({"rate_limit": tokens(10)}, {"tokens": 11}, None, {"input_tokens": 0, "output_tokens": 0}),
]
NO_ROOM = [
    ({"budget": dollars(1)}, {}, None, {"cost": 1.000000001}),
    ({"budget": dollars(1)}, {"cost": 0.9}, None, {"cost": 0.100000001}),
    ({"budget": dollars(1)}, {}, {"cost": 0.9}, {"cost": 0.100000001}),
    ({"budget": dollars(1)}, {"cost": 0.5}, {"cost": 0.4}, {"cost": 0.11}),
    ({"budget": dollars(1)}, {"cost": 1}, None, {}),
    ({"budget": dollars(1)}, {"cost": 1}, None, {"cost": None}),
    ({"budget": dollars(1)}, {"cost": 1}, None, {"tokens": 0}),
    ({"budget": dollars(1)}, {"cost": 1}, None, {"cost": 0.0000000001}),
    ({"budget": dollars(1)}, {}, {"cost": 1}, {}),
    ({"budget": dollars(1)}, {"cost": 5}, None, {}),
    ({"rate_limit": tokens(10)}, {"tokens": 4}, {"tokens": 5}, {"tokens": 2}),
    ({"rate_limit": tokens(10)}, {"tokens": 10}, None, {}),
    ({"rate_limit": tokens(10)}, {"tokens": 4}, {"tokens": 6}, {}),
    ({"rate_limit": tokens(10)}, {"tokens": 10}, None, {"tokens": None, "cost": 0}),
    ({"rate_limit": requests(3)}, {"requests": 3}, None, {}),
    ({"rate_limit": requests(3)}, {"requests": 3}, None, {"cost": 0, "tokens": 0}),
    ({"rate_limit": requests(3)}, {"requests": 2}, {}, {}),
]
states = ("rule", "used", "held", "asked")


def brought(meter, rule, used, held):
    """Create a limit with this usage, and with this reserved amount (of one call, if it is given)."""
    limit = meter.api.create(**rule)
    meter.reported(**({"requests": 0} | used))
    if held is not None:
        meter.hold(**held)
    return limit


@pytest.mark.parametrize(states, ROOM)
def test_a_rule_has_room_for_what_fits_for_an_amount_left_out_while_any_is_left_and_for_zero_always(
    meter, rule, used, held, asked
):
    brought(meter, rule, used, held)
    assert meter.checked(**asked)["decision"] == "allow"
    meter.hold(**asked)


@pytest.mark.parametrize(states, NO_ROOM)
def test_a_rule_has_no_room_where_it_is_used_up_or_what_is_asked_does_not_fit(meter, rule, used, held, asked):
    limit = brought(meter, rule, used, held)
    before = meter.stands(limit)
    assert meter.checked(**asked)["decision"] == "deny"
    meter.denied(**asked)
    assert meter.stands(limit) == before


def test_a_call_without_amounts_can_overrun_by_its_own_size_and_then_none_passes(api, meter):
    limit = api.create(budget=dollars(1))
    meter.reported(cost=0.999999999)
    first, second = meter.hold(), meter.hold()
    assert meter.stands(limit) == {"cost": (0.999999999, 0)}
    assert meter.settled(first, cost=3)["overrun"] == {"tokens": 0, "cost": 3}
    assert meter.stands(limit) == {"cost": (3.999999999, 0)}
    assert meter.denied()["error"]["code"] == "budget_exceeded"
    meter.settled(second, cost=0)
    assert meter.denied()["error"]["code"] == "budget_exceeded"


def test_a_free_call_passes_a_used_up_budget_holds_nothing_and_is_charged_what_it_settles(api, meter):
    limit = api.create(budget=dollars(1))
    meter.reported(cost=1)
    held = meter.reserved(cost=0)
    assert held["limits"][0]["requested"] == 0
    assert meter.stands(limit) == {"cost": (1, 0)}
    assert meter.settled(held["reservation"]["id"], cost=0.5)["overrun"] == {"tokens": 0, "cost": 0.5}
    assert meter.stands(limit) == {"cost": (1.5, 0)}
    assert meter.settled(meter.hold(cost=0))["cost"] == {"reserved": 0, "used": 0}
    assert meter.stands(limit) == {"cost": (1.5, 0)}


def test_a_denial_says_that_the_call_has_left_the_amount_out(api, meter):
    api.create(budget=dollars(1), rate_limit=tokens(5))
    meter.reported(cost=1, tokens=5)
    denial = meter.denied(cost=0)
    assert [rule["metric"] for rule in denial["extra_fields"]["violations"]] == ["tokens"]
    assert denial["error"]["message"].endswith(" has 0 tokens left, and this call leaves tokens out.")
    denial = meter.denied(tokens=0)
    assert denial["error"]["message"].endswith(" has $0 left, and this call leaves cost out.")


def test_ten_holds_of_a_tenth_fill_a_dollar_exactly(api, meter):
    limit = api.create(budget=dollars(1))
    for _ in range(10):
        meter.hold(cost=0.1)
    assert meter.stands(limit) == {"cost": (0, 1)}
    meter.denied(cost=0.000000001)


def test_what_is_held_is_shown_to_the_billionth(api, meter):
    api.create(budget=dollars(1))
    text = meter.reserve(cost=0.1).text
    assert '"reserved":0.1,"requested":0.1,"limit":1,"remaining":0.9,' in text
    text = meter.reserve(cost=0.200000001).text
    assert '"reserved":0.300000001,"requested":0.200000001,"limit":1,"remaining":0.699999999,' in text


def test_where_one_rule_has_no_room_nothing_is_held_on_any_other(api, meter):
    roomy = api.create("*", budget=dollars(100), rate_limit=requests(100) | tokens(10**6))
    narrow = api.create("gpt-4o", provider="openai", rate_limit=tokens(5))
    meter.hold(cost=1, tokens=1)
    before = meter.dump()
    denial = meter.denied(provider="openai", cost=1, tokens=6)
    assert [rule["model_config_id"] for rule in denial["extra_fields"]["violations"]] == [narrow["id"]]
    assert meter.dump() == before
    assert meter.stands(roomy) == {"cost": (0, 1), "tokens": (0, 1), "requests": (0, 1)}


def test_a_window_that_ended_gives_its_room_back_and_its_holds_do_not_count_in_the_next(api, meter, clock):
    limit = api.create(rate_limit=requests(1, "1m"))
    meter.hold(ttl_seconds=DAY)
    clock.advance(59.999999)
    assert meter.denied()["type"] == "request_limited"
    clock.advance(0.000001)
    assert meter.stands(limit) == {"requests": (0, 0)}
    meter.hold(ttl_seconds=DAY)
    assert meter.stands(limit) == {"requests": (0, 1)}
    meter.denied()
    assert meter.proven() == 2


def test_an_aligned_window_ends_with_its_day_in_the_zone_of_the_limit(api, meter, clock):
    api.create(budget=dollars(1, "1d"), calendar_aligned=True, timezone="America/New_York")
    assert meter.reserved(cost=1)["limits"][0]["resets_at"] == "2026-11-24T05:00:00Z"
    clock.set("2026-11-24T04:59:59.999999Z")
    meter.denied(cost=1)
    clock.set("2026-11-24T05:00:00Z")
    assert meter.reserved(cost=1)["limits"][0]["resets_at"] == "2026-11-25T05:00:00Z"


def test_of_many_threads_exactly_as_many_calls_pass_as_the_limit_says(api, meter, app):
    limit = api.create(budget=dollars(2.5), rate_limit=requests(100))
    clients = [Api(app.test_client()) for _ in range(8)]
    body = {"model": "gpt-4o", "cost": 0.1}
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda client: client.post("reservations", body).status_code, clients * 10))
    assert (statuses.count(200), statuses.count(402)) == (25, 55)
    assert meter.stands(limit) == {"cost": (0, 2.5), "requests": (0, 25)}
    meter.proven()


@pytest.fixture
def key(api):
    return api.post("virtual-keys", {"id": "vk", "name": "team", "value": "sk-the-value"}).get_json()["virtual_key"]


def refused(response):
    """Return the code of a 403."""
    body = response.get_json()
    assert (response.status_code, body["error"]["type"]) == (403, "permission"), response.text
    return body["error"]["code"]


BY_ID, BY_VALUE = {"virtual_key_id": "vk"}, {"virtual_key": "sk-the-value"}
forms = pytest.mark.parametrize("form", [BY_ID, BY_VALUE], ids=["by id", "by value"])


@pytest.mark.parametrize("form", [{"virtual_key_id": "nobody"}, {"virtual_key": "sk-nobody"}], ids=["id", "value"])
def test_an_unknown_virtual_key_is_refused_by_its_field_and_leaves_nothing_behind(meter, key, form):
    before = meter.dump()
    response = meter.reserve(**form)
    assert refused(response) == "virtual_key_unknown"
    assert [response.get_json()["error"]["param"]] == list(form)
    assert response.get_json()["error"]["message"] == "Use a virtual key that exists: this one is unknown."
    assert meter.dump() == before


def test_the_value_of_a_key_is_no_id_and_its_id_no_value(meter, key):
    assert refused(meter.reserve(virtual_key_id="sk-the-value")) == "virtual_key_unknown"
    assert refused(meter.reserve(virtual_key="vk")) == "virtual_key_unknown"


def test_an_id_in_place_of_a_value_is_told_and_nothing_else(meter, key):
    error = meter.reserve(virtual_key="vk").get_json()["error"]
    assert error["param"] == "virtual_key"
    assert error["message"] == (
        "Send this as virtual_key_id: it is the id of a virtual key, and virtual_key takes its value."
    )


def test_an_api_key_in_place_of_a_value_is_told(api, meter, key):
    secret = api.post("/api/api-keys", {"name": "gateway", "scopes": ["meter"]}).get_json()["api_key"]["key"]
    error = meter.reserve(virtual_key=secret).get_json()["error"]
    assert (error["code"], error["param"]) == ("virtual_key_unknown", "virtual_key")
    assert error["message"].startswith("Send a virtual key: this is an API key")


@forms
def test_an_inactive_virtual_key_is_refused_until_it_is_active_again(api, meter, key, form):
    api.put("virtual-keys/vk", {"is_active": False})
    before = meter.dump()
    assert refused(meter.reserve(**form)) == "virtual_key_inactive"
    assert meter.dump() == before
    api.put("virtual-keys/vk", {"is_active": True})
    meter.hold(**form)


@forms
def test_a_virtual_key_is_refused_from_the_instant_on_at_which_it_expires(api, meter, key, clock, form):
    api.put("virtual-keys/vk", {"expires_at": "2026-11-23T12:01:00Z"})
    clock.advance(59.999999)
    meter.hold(**form)
    clock.advance(0.000001)
    assert refused(meter.reserve(**form)) == "virtual_key_expired"


@forms
def test_a_virtual_key_that_was_deleted_is_unknown(api, meter, key, form):
    api.delete("virtual-keys/vk")
    assert refused(meter.reserve(**form)) == "virtual_key_unknown"


@forms
def test_a_virtual_key_made_by_another_worker_works_at_once(other, key, form):
    assert other.reserved(**form)["reservation"]["virtual_key_id"] == "vk"
