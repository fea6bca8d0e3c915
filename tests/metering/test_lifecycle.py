"""The whole state table of docs/contract.md §6: settle, release and extend of a reservation in each of its states."""

import pytest

from tests.metering.conftest import dollars, ok, requests, tokens

ASKED = {"cost": 0.5, "tokens": 10, "ttl_seconds": 60}
NOTHING = {"cost": (0, 0), "tokens": (0, 0), "requests": (0, 0)}
HELD = {"cost": (0, 0.5), "tokens": (0, 10), "requests": (0, 1)}
CHARGED = {"cost": (0.5, 0), "tokens": (10, 0), "requests": (1, 0)}
LESS = {"cost": (0.25, 0), "tokens": (4, 0), "requests": (1, 0)}
MORE = {"cost": (7, 0), "tokens": (90, 0), "requests": (1, 0)}
SETTLE, SETTLE_LESS, SETTLE_MORE, SETTLE_NONE, RELEASE = "as held", "less", "more", "at nothing", "release"
ACTS = {
    SETTLE: lambda meter, held: meter.settle(held),
    SETTLE_LESS: lambda meter, held: meter.settle(held, {"cost": 0.25, "tokens": 4}),
    SETTLE_MORE: lambda meter, held: meter.settle(held, {"cost": 7, "tokens": 90}),
    SETTLE_NONE: lambda meter, held: meter.settle(held, {"cost": 0, "tokens": 0}),
    RELEASE: lambda meter, held: meter.release(held),
    "extend": lambda meter, held: meter.extend(held, 3600),
}
UNUSED = {"cost": (0, 0), "tokens": (0, 0), "requests": (1, 0)}
ENDS = {
    SETTLE: ("settled", CHARGED),
    SETTLE_LESS: ("settled", LESS),
    SETTLE_MORE: ("settled", MORE),
    SETTLE_NONE: ("settled", UNUSED),
    RELEASE: ("released", NOTHING),
}
"""The state of a reservation and of its limit after each act that ends the reservation."""
CHARGE, GIVE_BACK = {}, {"expired_reservations": "release"}
policies = pytest.mark.parametrize("options", [CHARGE, GIVE_BACK], ids=["charge", "release"])


@pytest.fixture
def limit(api):
    return api.create(budget=dollars(1, "1M"), rate_limit=tokens(100, "1d") | requests(5, "1d"))


@pytest.fixture
def held(meter, limit):
    return meter.hold(**ASKED)


@pytest.fixture
def brought(meter, held, clock):
    """Bring the reservation into a state."""

    def bring(state):
        if state == "settled":
            meter.settled(held, cost=0.5, tokens=10)
        elif state == "released":
            meter.released(held)
        elif state in ("overdue", "expired"):
            clock.advance(60)
        if state == "expired":
            assert meter.sweep() == 1
        return held

    return bring


@pytest.mark.parametrize("act", ENDS)
def test_an_open_reservation_can_be_ended_at_any_amounts(meter, limit, brought, act):
    status, stands = ENDS[act]
    after = ok(ACTS[act](meter, brought("open")))["reservation"]
    assert (after["status"], after["late"], after["requests"]) == (status, False, stands["requests"][0])
    assert meter.stands(limit) == stands
    meter.proven()


@policies
@pytest.mark.parametrize("state", ["overdue", "expired"])
@pytest.mark.parametrize("act", ENDS)
def test_a_late_settle_or_release_corrects_the_books_swept_or_not(meter, limit, brought, state, act):
    status, stands = ENDS[act]
    held = brought(state)
    after = ok(ACTS[act](meter, held))["reservation"]
    assert (after["status"], after["late"], after["requests"]) == (status, True, stands["requests"][0])
    assert (after["cost"]["used"], after["tokens"]["used"]) == (stands["cost"][0], stands["tokens"][0])
    assert after["settled_at"] == ("2026-11-23T12:01:00Z" if status == "settled" else None)
    assert meter.stands(limit) == stands
    assert meter.read(held) == after
    meter.proven()


@policies
@pytest.mark.parametrize("act", [SETTLE_MORE, RELEASE])
def test_what_follows_a_late_settle_or_release_is_as_for_a_timely_one(meter, brought, clock, act):
    held = brought("expired")
    first = ACTS[act](meter, held)
    before = meter.dump()
    assert ACTS[act](meter, held).data == first.data
    clock.advance(3600)
    assert meter.sweep() == 0
    assert ACTS[RELEASE if act == SETTLE_MORE else SETTLE](meter, held).status_code == 409
    assert meter.dump() == before


@pytest.mark.parametrize(
    ("state", "act", "code"),
    [
        ("settled", SETTLE_LESS, "already_settled"),
        ("settled", RELEASE, "already_settled"),
        ("settled", "extend", "already_settled"),
        ("released", SETTLE, "already_released"),
        ("released", SETTLE_LESS, "already_released"),
        ("released", "extend", "already_released"),
        ("overdue", "extend", "reservation_expired"),
        ("expired", "extend", "reservation_expired"),
    ],
)
def test_an_act_against_what_has_ended_is_a_conflict_and_changes_nothing(meter, brought, state, act, code):
    held = brought(state)
    before = meter.dump()
    response = ACTS[act](meter, held)
    error = response.get_json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (409, "conflict", code)
    assert meter.dump() == before


@pytest.mark.parametrize(
    ("state", "act"), [("settled", SETTLE), ("released", RELEASE)], ids=["settle a settled", "release a released"]
)
def test_a_repeated_act_gives_the_first_answer_and_changes_nothing(meter, brought, clock, state, act):
    held = brought(state)
    first = meter.api.get(f"reservations/{held}").data
    before = meter.dump()
    clock.advance(7200)
    again = ACTS[act](meter, held)
    assert (again.status_code, again.data) == (200, first)
    assert meter.dump() == before


def test_a_release_gives_back_the_hold_and_the_request_for_the_next_call(api, meter):
    api.create(budget=dollars(1), rate_limit=requests(1) | tokens(5))
    held = meter.hold(cost=1, tokens=5)
    assert meter.denied(cost=1, tokens=5)["type"] == "budget_exceeded"
    after = meter.released(held)
    assert after == meter.read(held)
    assert (after["status"], after["requests"], after["late"], after["settled_at"]) == ("released", 0, False, None)
    assert after["tokens"] == {"reserved": 5, "used": 0}
    assert after["cost"] == {"reserved": 1, "used": 0}
    assert after["overrun"] == {"tokens": 0, "cost": 0}
    meter.hold(cost=1, tokens=5)
    meter.proven()


def test_a_release_is_of_the_window_of_admission_even_after_it_has_ended(meter, api, clock):
    limit = api.create("o3", budget=dollars(1, "1m"))
    held = meter.hold("o3", cost=1)
    clock.advance(60)
    meter.hold("o3", cost=1)
    meter.released(held)
    assert meter.stands(limit) == {"cost": (0, 1)}
    meter.proven()


@pytest.mark.parametrize("ending", ["policy", "rule", "limit"])
def test_a_release_goes_through_whatever_became_of_the_limit(api, meter, limit, held, ending):
    if ending == "limit":
        api.delete(f"model-configs/{limit['id']}")
    elif ending == "rule":
        ok(api.put(f"model-configs/{limit['id']}", {"budgets": []}))
        assert "cost" not in meter.stands(limit)
    else:
        ok(api.put(f"model-configs/{limit['id']}", {"budget": dollars(0.000000001, "1M")}))
    assert meter.released(held)["status"] == "released"
    if ending != "limit":
        assert set(meter.stands(limit).values()) == {(0, 0)}
    meter.proven()


@pytest.mark.parametrize(
    ("after", "ttl", "expires_at"),
    [
        (0, 600, "2026-11-23T12:10:00Z"),
        (30, 60, "2026-11-23T12:01:30Z"),
        (59.999999, 86400, "2026-11-24T12:00:59.999999Z"),
        (0, 30, "2026-11-23T12:01:00Z"),
        (30, 30, "2026-11-23T12:01:00Z"),
        (30, 1, "2026-11-23T12:01:00Z"),
    ],
)
def test_an_extension_counts_from_now_and_never_shortens(meter, held, after, ttl, expires_at):
    meter.advance(after)
    before = meter.read(held)
    assert meter.extended(held, ttl) == before | {"expires_at": expires_at}
    assert meter.read(held)["expires_at"] == expires_at


def test_an_extended_reservation_is_open_until_its_new_end_and_late_from_there_on(meter, limit, held, clock):
    clock.advance(59)
    meter.extended(held, 61)
    assert meter.stands(limit) == HELD
    clock.advance(60.999999)
    assert meter.sweep() == 0
    assert meter.read(held)["status"] == "open"
    assert meter.stands(limit) == HELD
    clock.advance(0.000001)
    assert meter.sweep() == 1
    assert meter.stands(limit) == CHARGED


def test_a_reservation_can_be_extended_again_and_again(meter, held, clock):
    for _ in range(50):
        clock.advance(50)
        meter.extended(held, 60)
    assert meter.read(held)["expires_at"] == "2026-11-23T12:42:40Z"
    assert meter.settled(held)["late"] is False


@pytest.mark.parametrize("ttl", [0, -1, 86401, 1.5, "60", None, True, 1e300])
def test_an_extension_is_of_one_second_to_a_day(api, meter, held, ttl):
    before = meter.dump()
    response = api.post(f"reservations/{held}/extend", {"ttl_seconds": ttl})
    assert (response.status_code, response.get_json()["error"]["param"]) == (400, "ttl_seconds")
    assert meter.dump() == before


@pytest.mark.parametrize("body", ["", "{}", '{"ttl_seconds": 60, "tokens": 1}'])
def test_an_extension_needs_its_seconds_and_takes_nothing_else(api, meter, held, body):
    before = meter.dump()
    assert api.post(f"reservations/{held}/extend", data=body).status_code == 400
    assert meter.dump() == before


@pytest.mark.parametrize("body", ["", "{}"])
def test_an_extension_without_seconds_is_told_to_give_them(api, held, body):
    error = api.post(f"reservations/{held}/extend", data=body).get_json()["error"]
    assert (error["param"], error["message"]) == ("ttl_seconds", "Give ttl_seconds: it is required.")
