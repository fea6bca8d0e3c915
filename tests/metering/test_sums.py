"""No sum exceeds 2^62 (docs/contract.md §1). A larger one is 400. A counter near 2^62 is reported and can be reset."""

import json

import pytest
from sqlalchemy import insert, select, update

from governance.storage.tables import counters, ledger
from tests.metering.conftest import dollars, ok, tokens

MILLION = 1_000_000
NANOS = 10**15
"""A million dollars in nano-dollars: the largest cost of one call."""
LARGEST = 2**62
MOST_REPORTS = LARGEST // NANOS
OLD_REPORTS = 13_835
"""After this many reports, an earlier version could write no batch with this counter."""


@pytest.fixture
def limit(api, meter):
    made = api.create("gpt-4o", budget=dollars(100, "1M"))
    api.create("o3", budget=dollars(100, "1M"))
    meter.reported(cost=1)
    return made


@pytest.fixture
def reported_before(limit, database):
    """Add reports of a million dollars each to the counter, as this or an earlier version would have."""

    def put(reports, used, folded):
        with database.write() as connection:
            own = connection.execute(select(counters.c.id)).scalar_one()
            connection.execute(ledger.delete())
            connection.execute(
                insert(ledger),
                [{"seq": seq, "counter_id": own, "held": 0, "used": NANOS} for seq in range(10, 10 + reports)],
            )
            connection.execute(update(counters).values(used=used, folded=folded))

    return put


@pytest.fixture
def nearly_full(reported_before):
    reported_before(MOST_REPORTS, MOST_REPORTS * NANOS, 0)


@pytest.fixture
def poisoned(reported_before):
    """Return a limit as an earlier version left it.

    `used` is the largest sum, `folded` has the rest, and SQLite cannot add the ledger.
    """
    reported_before(OLD_REPORTS, LARGEST, LARGEST - OLD_REPORTS * NANOS)


def refusal(response):
    assert response.status_code == 400, response.text
    error = response.get_json()["error"]
    return error["param"], error["message"]


def verified(app, *arguments):
    return app.test_cli_runner().invoke(args=["governance", "verify", *arguments])


def test_an_amount_that_would_pass_the_largest_sum_is_400_and_changes_nothing(meter, limit, nearly_full):
    before = meter.dump()
    param, message = refusal(meter.report(cost=MILLION))
    assert param == "cost"
    assert message == (
        f"Give less, or PUT reset_usage: true on the limit of rule {limit['budget']['id']}: the sum of its cost in "
        "this window would pass 2^62."
    )
    assert meter.dump() == before
    meter.reported(cost=1)
    meter.proven()


def test_other_models_and_the_counters_own_denials_go_on(meter, full):
    for _ in range(3):
        assert meter.report(cost=MILLION).status_code == 400
        assert meter.denied(cost=1)["error"]["code"] == "budget_exceeded"
        meter.settled(meter.hold("o3", cost=1), cost=1)


@pytest.fixture(params=["nearly_full", "poisoned"])
def full(request, limit):
    """Return the limit. Its counter has almost no room."""
    request.getfixturevalue(request.param)
    return limit


def test_verify_names_a_counter_that_can_hardly_take_more(app, full):
    rule, start = full["budget"]["id"], full["budget"]["last_reset"]
    shown = verified(app)
    proved = "Usage history: 1 buckets, days and months. Each equals the calls that it sums.\n"
    assert (shown.exit_code, shown.stdout) == (1, "Counters: 1. Each equals its ledger.\n" + proved)
    assert shown.stderr == (
        f"cost of rule {rule} from {start}: PUT reset_usage: true on its limit, since its sum has come near 2^62 and "
        "more is refused.\n"
    )
    (found,) = json.loads(verified(app, "--json").stdout)["full"]
    assert found == {"rule_id": rule, "metric": "cost", "window_start": start}


def test_the_doctor_names_it_too(governance, full):
    (finding,) = (each for each in governance.doctor.look() if each.check == "verify")
    assert not finding.ok
    assert finding.message.startswith(f"PUT reset_usage: true on the limit of rule {full['budget']['id']}: ")


def test_a_reset_heals_it(app, api, meter, full):
    ok(api.put(f"model-configs/{full['id']}", {"reset_usage": True}))
    meter.settled(meter.hold(cost=1), cost=MILLION)
    assert meter.stands(full)["cost"] == (MILLION, 0)
    assert meter.proven() == 1
    assert verified(app).exit_code == 0


def test_holds_that_were_let_in_can_always_be_charged(api, meter, database):
    limit = api.create(rate_limit=tokens(2**53 - 1))
    for _ in range(2):
        meter.hold(tokens=2**39, ttl_seconds=60)
    with database.write() as connection:
        most = LARGEST - 2**40
        connection.execute(update(counters).values(used=most, folded=most))
    assert meter.report(tokens=1).status_code == 400
    meter.advance(60)
    assert meter.sweep() == 2
    assert meter.stands(limit)["tokens"] == (LARGEST, 0)
    meter.proven()


def test_what_many_resets_forgave_does_not_fill_the_ledgers_sum(api, meter, limit, reported_before):
    for _ in range(4):
        reported_before(MOST_REPORTS // 2 + 2, (MOST_REPORTS // 2 + 2) * NANOS, 0)
        ok(api.put(f"model-configs/{limit['id']}", {"reset_usage": True}))
        meter.reported(cost=1)
    meter.proven()


def test_a_report_of_what_was_held_before_a_reset_that_emptied_the_ledger_adds_up(api, meter, limit, poisoned):
    with_room = api.create("*", budget=dollars(1000, "1M"))
    held = meter.hold("o3", cost=1, ttl_seconds=60)
    meter.advance(60)
    meter.sweep()
    for each in (limit, with_room):
        ok(api.put(f"model-configs/{each['id']}", {"reset_usage": True}))
    assert meter.settled(held, cost=3)["late"]
    assert meter.stands(with_room)["cost"] == (2, 0)
    meter.proven()


def test_one_hold_that_cannot_be_expired_holds_up_no_other(api, meter, database):
    api.create("gpt-4o", budget=dollars(10))
    limit = api.create("o3", budget=dollars(10))
    meter.hold("gpt-4o", cost=1, ttl_seconds=60)
    good = [meter.hold("o3", cost=1, ttl_seconds=61) for _ in range(3)]
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE counters SET reserved = 0 WHERE id = 1")
    meter.advance(61)
    assert meter.sweep() == 3
    assert {meter.read(held)["status"] for held in good} == {"expired"}
    assert meter.stands(limit)["cost"] == (3, 0)
    assert meter.sweep() == 0
