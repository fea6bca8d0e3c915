"""Days and months are summed once they are over; no answer shows whether they are, and late corrections reach them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from app import create_app
from governance.domain.errors import NotReady
from governance.domain.history.calendar import Calendar, Period
from governance.domain.times import from_datetime, parse_rfc3339
from governance.startup import prepare
from governance.storage.tables import usage_buckets, usage_days, usage_months, usage_series, usage_sums
from tests.conftest import FakeClock
from tests.metering.conftest import DAY

SOUTH = "Australia/Lord_Howe"
"""Its clock changes by half an hour, and its days do not begin at whole hours of UTC."""


@pytest.fixture
def clock():
    """A clock that begins before all that happens here, so that it never steps back."""
    return FakeClock(parse_rfc3339("2025-01-01T00:00:00Z"))


@pytest.fixture
def round_of(governance, clock):
    """Sum and prune as the upkeep does, until nothing more is to do."""

    def work():
        for _ in range(12):
            governance.retention.prune(clock())

    return work


@pytest.fixture
def stored(database):
    """The rows of a table of usage."""

    def stored(table):
        with database.read() as connection:
            return connection.execute(select(table)).all()

    return stored


@pytest.fixture
def a_month(meter, clock):
    """Calls of two models on each of 34 days, at several times of it."""
    for day in range(34):
        for hour in (0, 5, 11, 23):
            clock.set(f"2026-{10 + (day + 19) // 31:02d}-{(day + 19) % 31 + 1:02d}T{hour:02d}:50:00Z")
            meter.reported("gpt-4o", cost=1, tokens=day)
            meter.reported("o3", cost=hour, user_id="ann")


def an_expired_call(meter, clock):
    """The id of a reservation of 5 dollars in September that nobody settled in time."""
    clock.set("2026-09-15T10:00:00Z")
    held = meter.hold("gpt-4o", cost=5, ttl_seconds=60)
    for _ in range(30):  # the clock has jumped, and must run steadily before anything expires
        meter.poll()
        meter.advance(5)
    assert meter.read(held)["status"] == "expired"
    return held


@pytest.mark.parametrize("options", [{"timezone": "UTC"}, {"timezone": "Europe/Berlin"}, {"timezone": SOUTH}])
@pytest.mark.usefixtures("a_month")
def test_sums_answer_what_buckets_do(clock, asked, round_of, stored, options):
    clock.set("2026-11-23T12:00:00Z")
    zone = options["timezone"]
    calendar = Calendar(zone)
    begins = calendar.day_of(from_datetime(datetime(2026, 10, 21, 12, tzinfo=UTC)))
    since = datetime.fromtimestamp(begins / 10**6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    questions = [
        f"bucket={period}&group_by={groups}&since={since}&limit=100&timezone={ask}"
        for period in ("total", "day", "week", "month")
        for groups in ("model", "user", "provider,model,user")
        for ask in (zone, "America/New_York")
        if ask == zone or period == "total"
    ]
    before = [asked(question) for question in questions]
    assert stored(usage_days) == []
    round_of()
    assert len({row.start for row in stored(usage_days)}) >= 33
    assert {row.timezone for row in stored(usage_sums)} == {zone}
    assert [asked(question) for question in questions] == before
    closed = [row.cost for row in stored(usage_buckets) if row.start < calendar.day_of(clock())]
    assert sum(row.cost for row in stored(usage_days)) == sum(closed)


@pytest.mark.parametrize("options", [{"retention_days": 90}])
def test_a_late_correction_reaches_the_sums_of_its_day_and_month(meter, clock, asked, round_of, stored):
    held = an_expired_call(meter, clock)
    clock.set("2026-10-02T12:00:00Z")
    round_of()
    question = "bucket=month&since=2026-09-01T00:00:00Z"
    assert [row.cost for row in stored(usage_months)] == [5 * 10**9]
    assert asked(question)["sum"]["cost"] == 5
    meter.settled(held, cost=7)
    assert asked(question)["sum"]["cost"] == 7
    assert asked("bucket=day&since=2026-09-01T00:00:00Z&until=2026-10-01T00:00:00Z")["sum"]["cost"] == 7
    round_of()
    assert [row.cost for row in stored(usage_months)] == [7 * 10**9]
    assert asked(question)["sum"]["cost"] == 7


@pytest.mark.parametrize("options", [{"retention_days": 90}])
def test_a_correction_after_the_buckets_have_gone_is_added_to_the_sums(meter, clock, asked, round_of, stored):
    held = an_expired_call(meter, clock)
    clock.set("2026-11-23T12:00:00Z")
    meter.reported("o3", cost=1)
    round_of()
    assert len(stored(usage_buckets)) == 1
    meter.released(held)
    for _ in range(2):
        assert asked("bucket=month&since=2026-09-01T00:00:00Z")["sum"] == asked("since=2026-11-01T00:00:00Z")["sum"]
        round_of()


def test_what_is_finer_than_what_is_kept_is_refused_with_what_can_be_had(api, meter, clock, round_of):
    clock.set("2026-09-15T10:00:00Z")
    meter.reported(cost=5)
    clock.set("2026-11-23T12:00:00Z")
    round_of()
    for query in (
        "bucket=hour&since=2026-09-15T00:00:00Z&until=2026-09-16T00:00:00Z",
        "since=2026-09-15T10:00:00Z",
        "since=2026-09-15T00:00:00Z&until=2026-09-15T12:00:00Z",
        "bucket=day&since=2026-09-15T00:00:00Z&timezone=Asia/Tokyo",
    ):
        response = api.get(f"usage/history?{query}")
        assert response.status_code == 400, query
        assert response.get_json()["error"]["code"] == "resolution_unavailable"
        assert response.get_json()["error"]["message"] == (
            "Ask for bucket=day, week, month or total in the time zone UTC, from midnight to midnight: of usage before "
            "2026-10-19T00:00:00Z only the sums of its days are kept."
        )


def test_sums_go_after_their_time_and_series_with_them(meter, clock, round_of, stored):
    clock.set("2025-01-15T10:00:00Z")
    meter.reported("old", cost=5)
    clock.set("2025-03-01T12:00:00Z")
    round_of()
    assert (len(stored(usage_days)), len(stored(usage_months)), len(stored(usage_buckets))) == (1, 1, 0)
    clock.set("2026-11-23T12:00:00Z")
    meter.reported("new", cost=1)
    round_of()
    assert (stored(usage_days), stored(usage_months)) == ([], [])
    assert [row.model for row in stored(usage_series)] == ["new"]


def test_a_month_waits_for_its_days_while_those_before_are_still_summed(asked, meter, clock, governance):
    for day in ("09-20", "09-21", "09-22", "09-23", "09-24", "10-05", "10-06"):
        clock.set(f"2026-{day}T10:00:00Z")
        meter.reported(cost=1)
    clock.set("2026-11-02T12:00:00Z")
    for _ in range(12):
        governance.retention.prune(clock())
        found = asked("bucket=month&since=2026-09-01T00:00:00Z&until=2026-11-01T00:00:00Z")
        assert [row["cost"] for row in found["usage"]] == [5, 2]


def test_a_start_with_another_time_zone_is_refused_once_a_day_is_summed(meter, clock, round_of, settings, app):
    clock.set("2026-11-22T12:00:00Z")
    meter.reported(cost=5)
    clock.set("2026-11-23T12:00:00Z")
    other = replace(settings, timezone="Europe/Berlin")
    prepare(create_app(other, clock=clock))
    round_of()
    prepare(create_app(settings, clock=clock))
    with pytest.raises(NotReady, match="Set GOVERNANCE_TIMEZONE to UTC"):
        prepare(create_app(other, clock=clock))


def test_a_day_is_summed_an_hour_after_its_end(meter, clock, round_of, stored):
    clock.set("2026-11-22T23:50:00Z")
    meter.reported(cost=5)
    clock.set("2026-11-23T00:59:59Z")
    round_of()
    assert stored(usage_days) == []
    clock.set("2026-11-23T01:00:00Z")
    round_of()
    assert [row.cost for row in stored(usage_days)] == [5 * 10**9]


@pytest.mark.parametrize(
    ("zone", "since", "until", "hours"),
    [
        ("Europe/Berlin", "2026-10-24T22:00", "2026-10-26T23:00", [25, 24]),
        ("Europe/Berlin", "2026-03-28T23:00", "2026-03-30T22:00", [23, 24]),
        ("UTC", "2026-10-25T00:00", "2026-10-27T00:00", [24, 24]),
        (SOUTH, "2026-10-02T13:30", "2026-10-04T13:00", [24, 23.5]),
    ],
)
def test_a_day_is_as_long_as_its_zone_has_it(zone, since, until, hours):
    begins, ends = (from_datetime(datetime.fromisoformat(f"{text}+00:00")) for text in (since, until))
    spans = list(Calendar(zone).spans(Period.DAY, begins, ends))
    assert [(span.end - span.start) / (3600 * 10**6) for span in spans] == hours


def test_weeks_begin_on_monday_and_the_first_and_last_are_cut_off():
    begins, ends = (from_datetime(datetime(2026, 11, day, tzinfo=UTC)) for day in (4, 18))
    spans = list(Calendar("UTC").spans(Period.WEEK, begins, ends))
    days = [
        (datetime.fromtimestamp(span.start / 10**6, UTC).day, datetime.fromtimestamp(span.end / 10**6, UTC).day)
        for span in spans
    ]
    assert days == [(4, 9), (9, 16), (16, 18)]


def test_hours_are_those_of_the_zone():
    begins = from_datetime(datetime(2026, 11, 4, 0, 15, tzinfo=UTC))
    spans = list(Calendar("Asia/Kolkata").spans(Period.HOUR, begins, begins + DAY * 10**6 // 24))
    assert [(span.end - span.start) // 60_000_000 for span in spans] == [15, 45]
