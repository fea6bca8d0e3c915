"""`POST /usage` (docs/contract.md §6): usage without a reservation is always accepted and charged. Excess is shown."""

import pytest
from sqlalchemy import update

from governance.storage.tables import counters
from tests.metering.conftest import DAY, NANOS, dollars, ok, requests, tokens


def over(answer):
    """Return the metrics that a response calls used up."""
    assert all(rule["over"] is (rule["remaining"] == 0) for rule in answer["limits"])
    return {rule["metric"] for rule in answer["limits"] if rule["over"]}


def test_a_report_is_charged_to_every_rule_that_applies(api, meter):
    limit = api.create(budget=dollars(10), rate_limit=tokens(100) | requests(5))
    everyone = api.create("*", budget=dollars(50))
    answer = meter.reported(cost=1.5, tokens=30, requests=2)
    assert list(answer) == ["message", "cost", "cost_source", "price", "limits"]
    assert answer["message"] == "Usage recorded successfully"
    assert meter.stands(limit) == {"cost": (1.5, 0), "tokens": (30, 0), "requests": (2, 0)}
    assert meter.stands(everyone) == {"cost": (1.5, 0)}
    assert meter.proven() == 4


def test_the_answer_shows_each_rule_as_it_stands_now(api, meter):
    limit = api.create(budget=dollars(10), rate_limit=tokens(100))
    meter.hold(cost=2, tokens=7)
    answer = meter.reported(cost=1.5, tokens=30)
    assert answer["limits"][0] == {
        "rule_id": limit["budget"]["id"],
        "model_config_id": limit["id"],
        "kind": "budget",
        "metric": "cost",
        "model_name": "gpt-4o",
        "provider": None,
        "scope": "global",
        "scope_id": None,
        "scope_name": None,
        "used": 1.5,
        "reserved": 2,
        "requested": 1.5,
        "limit": 10,
        "remaining": 6.5,
        "resets_at": "2026-11-24T12:00:00Z",
        "over": False,
    }
    tokens_now = answer["limits"][1]
    assert [tokens_now[name] for name in ("used", "reserved", "requested", "remaining")] == [30, 7, 30, 63]


@pytest.mark.parametrize(
    ("body", "charged"),
    [
        ({}, (0, 0, 1)),
        ({"requests": 0}, (0, 0, 0)),
        ({"requests": 3}, (0, 0, 3)),
        ({"requests": None, "tokens": None, "cost": None}, (0, 0, 1)),
        ({"tokens": 5}, (0, 5, 1)),
        ({"cost": 0.25, "requests": 0}, (0.25, 0, 0)),
        ({"cost": 0.0000000001}, (0.000000001, 0, 1)),
        ({"cost": 1_000_000, "tokens": 10**12, "requests": 10**6}, (1_000_000, 10**12, 10**6)),
    ],
)
def test_a_report_charges_one_request_unless_it_says_another_number(api, meter, body, charged):
    limit = api.create(budget=dollars(1), rate_limit=tokens(100) | requests(5))
    meter.reported(**body)
    assert meter.stands(limit) == dict(
        zip(("cost", "tokens", "requests"), ((used, 0) for used in charged), strict=True)
    )


@pytest.mark.parametrize(
    ("body", "metrics"),
    [
        ({"cost": 0.5, "tokens": 50, "requests": 2}, set()),
        ({"cost": 1, "requests": 0}, {"cost"}),
        ({"tokens": 100, "requests": 0}, {"tokens"}),
        ({"requests": 5}, {"requests"}),
        ({"cost": 77, "tokens": 10**6, "requests": 99}, {"cost", "tokens", "requests"}),
    ],
)
def test_the_answer_tells_which_rules_are_used_up_now(api, meter, body, metrics):
    api.create(budget=dollars(1), rate_limit=tokens(100) | requests(5))
    assert over(meter.reported(**body)) == metrics


def test_a_report_is_accepted_however_far_over_the_limit(api, meter):
    limit = api.create(budget=dollars(1), rate_limit=requests(1))
    for count in (1, 2, 3):
        answer = meter.reported(cost=5)
        assert over(answer) == {"cost", "requests"}
        assert meter.stands(limit) == {"cost": (5 * count, 0), "requests": (count, 0)}


def test_what_was_reported_counts_against_the_calls_that_come_after(api, meter):
    api.create(budget=dollars(1))
    meter.reported(cost=0.75)
    meter.denied(cost=0.26)
    held = meter.hold(cost=0.25)
    assert over(meter.reported(requests=0)) == {"cost"}
    meter.released(held)
    assert over(meter.reported(requests=0)) == set()


def test_a_report_is_charged_in_the_window_of_now(api, meter, clock):
    limit = api.create(budget=dollars(1, "1h"))
    meter.reported(cost=0.5)
    clock.advance(3600)
    assert meter.reported(cost=2)["limits"][0]["used"] == 2
    assert meter.windows(limit["budget"]) == [
        ("2026-11-23T12:00:00Z", NANOS // 2, 0),
        ("2026-11-23T13:00:00Z", 2 * NANOS, 0),
    ]


@pytest.mark.parametrize("state", ["inactive", "expired", "unknown"])
def test_a_report_is_accepted_whatever_the_virtual_key_has_become(api, meter, clock, state):
    api.post("virtual-keys", {"id": "vk", "name": "team", "expires_at": "2026-11-23T12:00:30Z"})
    bound = api.create("*", scope="virtual_key", scope_id="vk", budget=dollars(1))
    everyone = api.create("*", budget=dollars(1))
    if state == "inactive":
        api.put("virtual-keys/vk", {"is_active": False})
    elif state == "expired":
        clock.advance(DAY / 2)
    meter.reported(virtual_key_id="nobody" if state == "unknown" else "vk", cost=0.5)
    assert meter.stands(everyone) == {"cost": (0.5, 0)}
    assert meter.stands(bound) == {"cost": (0 if state == "unknown" else 0.5, 0)}


def test_a_report_that_no_limit_concerns_is_accepted(meter):
    assert meter.reported("unheard of", cost=3) == {
        "message": "Usage recorded successfully",
        "cost": 3,
        "cost_source": "given",
        "price": None,
        "limits": [],
    }


def test_a_total_of_tokens_without_a_cost_is_charged_0_with_a_warning(api, meter):
    api.post("prices", {"model": "gpt-4o", "input": 2, "output": 10})
    answer = meter.reported("gpt-4o", tokens=100)
    assert (answer["cost"], answer["cost_source"]) == (0, "none")
    (warning,) = answer["warnings"]
    assert warning.startswith("Send input_tokens and output_tokens, or usage, or cost: a total of tokens alone has no")


def test_a_report_that_needs_no_price_has_no_warning(meter):
    assert "warnings" not in meter.reported(tokens=100, cost=0)
    assert "warnings" not in meter.reported(tokens=0)
    assert "warnings" not in meter.reported(requests=3)
    assert meter.reported(tokens=100, cost=0)["cost_source"] == "given"
    assert meter.reported(requests=3)["cost_source"] == "none"


def test_a_report_is_no_reservation(api, meter):
    api.create(budget=dollars(1))
    meter.reported(cost=0.5)
    [row] = meter.dump()["reservations"]
    assert ok(api.get("reservations"))["reservations"] == []
    assert api.get(f"reservations/{row[1]}").status_code == 404
    assert api.post(f"reservations/{row[1]}/release").status_code == 404
    assert api.post(f"reservations/{row[1]}/settle", {"cost": 0}).status_code == 404


def test_a_report_that_its_counter_cannot_hold_is_refused(api, meter, database):
    limit = api.create("*", rate_limit=tokens(2**53 - 1))
    meter.reported("o3")
    with database.write() as connection:
        connection.execute(update(counters).values(used=2**62 - 1, folded=2**62 - 1))
    refused = meter.report("gpt-4o", tokens=1000)
    assert (refused.status_code, refused.get_json()["error"]["param"]) == (400, "tokens")
    assert meter.reported("gpt-4o", tokens=1)
    assert meter.stands(limit)["tokens"] == (2**62, 0)
    meter.proven()
