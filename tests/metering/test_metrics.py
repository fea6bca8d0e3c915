"""`/metrics` and the denials by limit (docs/contract.md §8): names and values. No label names a model or a key."""

import logging
from shutil import disk_usage

import pytest
from sqlalchemy import select, update

from governance.domain.times import rfc3339
from governance.storage.tables import counters, denials
from governance.web.http.errors import STATUS
from tests.metering.conftest import dollars, ok, requests, samples, tokens

OURS = {
    "governance_requests_total": {"endpoint", "status"},
    "governance_decisions_total": {"decision"},
    "governance_price_unknown_total": {"outcome"},
    "governance_decision_seconds_bucket": {"le"},
    "governance_decision_seconds_count": set(),
    "governance_decision_seconds_sum": set(),
    "governance_authentication_failures_total": {"code"},
    "governance_reservations_expired_total": set(),
    "governance_reservations_late_total": set(),
    "governance_snapshot_refresh_failures_total": set(),
    "governance_snapshot_age_seconds": set(),
    "governance_reservations_open": set(),
    "governance_verify_differences": set(),
    "governance_database_bytes": {"part"},
    "governance_stored_rows": {"table"},
    "governance_ready": set(),
    "governance_disk_free_bytes": set(),
}
READY = "governance_ready", frozenset()


GROWTH = ("governance_database_bytes", "governance_stored_rows")


def test_metrics_tell_how_the_database_grows(api, meter, settings):
    for number in range(3):
        meter.reserve(headers={"Idempotency-Key": str(number)})
    meter.reserve()
    found = {next(iter(labels))[1]: value for (name, labels), value in samples(api).items() if name in GROWTH}
    assert (found["reservations"], found["answers"]) == (4, 3)
    assert found["file"] > 100_000
    assert found["free"] < found["file"]
    assert found["journal"] == settings.database_path.with_name("governance.db-wal").stat().st_size


@pytest.fixture
def limit(api):
    return api.create(budget=dollars(1), rate_limit=tokens(100) | requests(5))


def test_every_metric_has_its_name_and_its_labels(api, meter, limit, governance):
    meter.hold()
    api.with_key("wrong").get("users")
    governance.verification.verify()
    meter.poll()
    assert {name: {label for label, _ in labels} for name, labels in samples(api)} == OURS


def test_it_is_prometheus_own_text_and_needs_no_key(api):
    response = api.with_key(None).get("/metrics")
    assert response.content_type.startswith("text/plain; version=")
    assert "# TYPE governance_decisions_total counter\n" in response.text
    assert "# HELP governance_decision_seconds How long a decision took" in response.text


def test_no_label_and_no_line_names_a_model_a_key_or_a_user(api, meter):
    names = ["a-model-of-mine", "a-provider-of-mine", "a-key-of-mine", "a-user-of-mine", "a-name-of-mine"]
    model, provider, key, user, name = names
    api.post("virtual-keys", {"id": key, "name": name})
    limit = api.create(model, provider=provider, scope="virtual_key", scope_id=key, budget=dollars(1))
    meter.hold(model, provider=provider, virtual_key_id=key, user_id=user, cost=1)
    meter.denied(model, provider=provider, virtual_key_id=key, user_id=user, cost=1)
    api.get(f"/{model}")
    api.get(f"reservations/{user}")
    meter.poll()
    text = api.get("/metrics").text
    assert [word for word in [*names, limit["id"], limit["budget"]["id"]] if word in text] == []


@pytest.mark.parametrize(
    ("used", "word"),
    [
        ({"cost": 1}, "budget_exceeded"),
        ({"tokens": 100}, "token_limited"),
        ({"requests": 5}, "request_limited"),
        ({"requests": 5, "tokens": 100}, "rate_limited"),
    ],
)
def test_decisions_are_counted_by_their_word(meter, limit, moved, used, word):
    meter.hold("o3")
    meter.reported(**({"requests": 0} | used))
    meter.denied()
    meter.denied()
    assert moved("decisions_total", decision="allow") == 1
    assert moved("decisions_total", decision=word) == 2
    assert moved("decision_seconds_count") == 3


def test_what_decides_nothing_is_no_decision(api, meter, limit, moved):
    meter.checked(cost=5)
    meter.reported(cost=5)
    meter.reserve(virtual_key_id="nobody")
    meter.reserve(cost=-1)
    assert moved("decisions_total", decision="allow") == 0
    assert moved("decisions_total", decision="budget_exceeded") == 0


def test_a_replay_is_no_decision(meter, moved):
    for _ in range(3):
        meter.reserve(headers={"Idempotency-Key": "one"})
    assert moved("decisions_total", decision="allow") == 1


def test_requests_are_counted_by_endpoint_and_status(api, meter, limit, moved):
    meter.hold(cost=1)
    meter.denied(cost=1)
    api.get("reservations/nope")
    api.get("/nowhere")
    endpoint = "reservations.create_reservation"
    assert moved("requests_total", endpoint=endpoint, status="200") == 1
    assert moved("requests_total", endpoint=endpoint, status="402") == 1
    assert moved("requests_total", endpoint="reservations.get_reservation", status="404") == 1
    assert moved("requests_total", endpoint="none", status="404") == 1


def test_open_reservations_are_those_that_hold_now(api, meter, clock):
    def opened():
        return samples(api)["governance_reservations_open", frozenset()]

    assert opened() == 0
    held = [meter.hold(ttl_seconds=60) for _ in range(4)]
    meter.reported()
    assert opened() == 4
    meter.settled(held[0])
    meter.released(held[1])
    assert opened() == 2
    clock.advance(60)
    meter.poll()
    assert opened() == 0


def test_expired_reservations_are_counted_once_and_late_acts_too(meter, clock, moved):
    held = [meter.hold(ttl_seconds=60) for _ in range(3)]
    clock.advance(60)
    meter.poll()
    meter.poll()
    assert moved("reservations_expired_total") == 3
    assert moved("reservations_late_total") == 0
    meter.settled(held[0], cost=1)
    meter.settled(held[0], cost=1)
    meter.released(held[1])
    assert moved("reservations_late_total") == 2
    meter.settled(meter.hold())
    assert moved("reservations_late_total") == 2


def test_an_overdue_reservation_that_is_settled_before_the_sweep_was_late_and_did_not_expire(meter, clock, moved):
    held = meter.hold(ttl_seconds=60)
    clock.advance(60)
    meter.settled(held)
    meter.poll()
    assert (moved("reservations_late_total"), moved("reservations_expired_total")) == (1, 0)


def test_the_result_of_the_last_verify_is_shown_once_there_is_one(api, meter, limit, governance, database):
    key = "governance_verify_differences", frozenset()
    meter.hold(cost=0.5)
    assert key not in samples(api)
    governance.verification.verify()
    assert samples(api)[key] == 0
    with database.write() as connection:
        connection.execute(update(counters).values(used=1))
    governance.verification.verify()
    assert samples(api)[key] == 3


def test_the_age_of_the_memory_is_a_number_of_seconds(api, meter):
    meter.poll()
    assert 0 <= samples(api)["governance_snapshot_age_seconds", frozenset()] < 60


def test_a_refresh_that_fails_is_counted(api, meter, settings, moved, caplog):
    meter.poll()
    settings.database_path.rename(settings.database_path.with_suffix(".away"))
    with caplog.at_level(logging.CRITICAL):
        meter.poll()
    settings.database_path.with_suffix(".away").rename(settings.database_path)
    assert moved("snapshot_refresh_failures_total") == 1


def test_ready_is_1_where_readyz_is_200(api, meter):
    meter.poll()
    assert (samples(api)[READY], api.get("/readyz").status_code) == (1, 200)


def test_ready_is_0_where_readyz_is_503(api, settings):
    settings.database_path.rename(settings.database_path.with_suffix(".away"))
    found, status = samples(api)[READY], api.get("/readyz").status_code
    settings.database_path.with_suffix(".away").rename(settings.database_path)
    assert (found, status) == (0, 503)


def test_the_free_bytes_of_the_disk_are_those_of_the_folder(api, settings):
    free = samples(api)["governance_disk_free_bytes", frozenset()]
    assert free == pytest.approx(disk_usage(settings.database_path.parent).free, rel=0.05)


def test_refused_keys_are_counted_from_0(api):
    codes = {dict(labels)["code"] for name, labels in samples(api) if name.endswith("authentication_failures_total")}
    assert codes == {code for code, status in STATUS.items() if status == 401}


def test_metrics_are_answered_without_a_database(api, settings):
    settings.database_path.rename(settings.database_path.with_suffix(".away"))
    found = {name for name, _ in samples(api)}
    settings.database_path.with_suffix(".away").rename(settings.database_path)
    assert "governance_decision_seconds_count" in found
    assert "governance_reservations_open" not in found


@pytest.fixture
def denied(database):
    """Return (count, time of the last) of the denials by limit."""

    def read():
        with database.read() as connection:
            rows = connection.execute(select(denials.c.model_limit_id, denials.c.count, denials.c.last_at))
            return {limit_id: (count, rfc3339(last_at)) for limit_id, count, last_at in rows}

    return read


def test_denials_are_counted_by_limit_and_written_with_the_poll(api, meter, limit, clock, denied):
    everyone = api.create("*", rate_limit=requests(1, "1d"))
    meter.reported(cost=1, tokens=100)
    clock.advance(1)
    meter.denied()
    meter.denied("o3")
    clock.advance(1)
    meter.denied("o3")
    assert denied() == {}
    meter.poll()
    assert denied() == {limit["id"]: (1, "2026-11-23T12:00:01Z"), everyone["id"]: (3, "2026-11-23T12:00:02Z")}
    clock.advance(1)
    meter.denied()
    meter.poll()
    meter.poll()
    assert denied() == {limit["id"]: (2, "2026-11-23T12:00:03Z"), everyone["id"]: (4, "2026-11-23T12:00:03Z")}


def test_two_rules_of_one_limit_that_deny_are_one_denial(meter, limit, denied):
    meter.reported(cost=1, tokens=100, requests=5)
    assert len(meter.denied()["extra_fields"]["violations"]) == 3
    meter.poll()
    assert denied() == {limit["id"]: (1, "2026-11-23T12:00:00Z")}


def test_allows_checks_reports_and_replays_are_no_denials(meter, limit, denied):
    meter.hold(cost=0.5)
    meter.checked(cost=5)
    meter.reported(cost=5)
    meter.poll()
    assert denied() == {}


def test_denials_of_two_workers_add_up(meter, other, limit, denied):
    other.governance.cache.refresh()
    for each in (meter, other, other):
        each.denied(cost=2)
    meter.poll()
    other.poll()
    assert denied() == {limit["id"]: (3, "2026-11-23T12:00:00Z")}


@pytest.mark.parametrize("when", ["before the poll", "after the poll"])
def test_denials_leave_with_their_limit(meter, limit, denied, caplog, when):
    meter.denied(cost=2)
    if when == "after the poll":
        meter.poll()
    ok(meter.api.delete(f"model-configs/{limit['id']}"))
    meter.poll()
    assert denied() == {}
    assert "a task of the poller failed" not in caplog.text
