"""Pruning in slices: it is fast enough, holds the writer lock for milliseconds, and returns free space to the disk."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import func, select, text, update

from governance.domain.history.calendar import Calendar
from governance.domain.times import SECOND
from governance.services.operations.retention import EVERY, Retention
from governance.storage.sqlite.locks.writer_lock import only_one
from governance.storage.sqlite.retention.pruning import MOST_PAGES, FreePages
from governance.storage.sqlite.retention.slices import LARGEST, REST, SMALLEST, WANTED, Slices, SliceSize
from governance.storage.tables import answers, counters, idempotency, ledger, reservations
from tests.metering.conftest import DAY, dollars, tokens

HIGHEST_RATE = 2000
"""The most calls a second that the service admits, on the machine of bench/RESULTS.md."""
COPIES = 8000
PAGE = 4096


@pytest.fixture
def path(settings):
    return settings.database_path


@pytest.fixture
def rows(database):
    def count(*tables):
        with database.read() as connection:
            return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]

    return count


@pytest.fixture
def many(api, meter, database):
    """Store 8,001 settled reservations of one limit, with ledger rows and responses.

    One of them is real, and the others are copies.
    """
    api.create(budget=dollars(10**6, "1M"), rate_limit=tokens(10**9, "1M"))
    response = meter.reserve(cost=1, tokens=10, headers={"Idempotency-Key": "first"})
    meter.settled(response.get_json()["reservation"]["id"], cost=0.5, tokens=5)
    with database.write() as connection:
        for table, unique in ((reservations, "id"), (ledger, None), (answers, "digest")):
            names = [column.name for column in table.columns]
            new = {"seq": "seq + n", unique: f"{unique} || '-' || n"}
            columns = ", ".join(new.get(name, name) for name in names)
            connection.execute(
                text(
                    f"WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < {COPIES}) "
                    f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {columns} FROM {table.name}, many"
                )
            )
        connection.execute(update(counters).values(used=counters.c.used * (COPIES + 1)))
        connection.execute(text("UPDATE sqlite_sequence SET seq = seq + :n WHERE name = 'reservations'"), {"n": COPIES})
    meter.proven()


class Rest:
    """Records the seconds of each rest, and does not sleep."""

    def __init__(self):
        self.seconds = []

    def __call__(self, seconds):
        self.seconds.append(seconds)


def pruner(slices, clock):
    """Return a pruner that keeps reservations for a day, and sums for 400 days."""
    return Retention(slices, clock, retention=DAY * SECOND, history=400 * DAY * SECOND, calendar=Calendar("UTC"))


@pytest.fixture
def rest():
    return Rest()


@pytest.fixture
def retention(path, clock, rest):
    return pruner(Slices(path, 1, rest=rest), clock)


@pytest.mark.usefixtures("many")
def test_one_round_prunes_all_in_less_time_than_as_many_take_to_come(meter, clock, retention, rest, rows):
    """At the highest rate, 8,001 calls come in 4 s. The pruning of these calls, with its rests, must take less time."""
    clock.advance(2 * DAY)
    retention.due()
    assert rows(reservations, ledger, answers) == [0, 0, 0]
    held = sum(rest.seconds) / REST
    assert held * (1 + REST) < (COPIES + 1) / HIGHEST_RATE
    meter.proven()


@pytest.mark.usefixtures("many")
def test_slices_hold_the_turn_for_milliseconds(clock, retention, rest):
    clock.advance(2 * DAY)
    retention.due()
    held = sorted(seconds / REST for seconds in rest.seconds)
    assert len(held) > 10
    assert held[len(held) // 2] < 2 * WANTED


@pytest.mark.parametrize("cost", [1e-6, 2e-5, 5e-4])
def test_a_slice_becomes_as_large_as_fits_into_the_wanted_time(cost):
    """The size of a slice is computed from the cost of a row, without a clock."""
    size = SliceSize()
    taken = []
    for _ in range(30):
        taken.append(size.rows * cost)
        size.adapt(taken[-1])
    assert SMALLEST <= size.rows <= LARGEST
    assert size.rows == LARGEST or taken[-1] <= 1.1 * WANTED
    pace = size.rows / (size.rows * cost * (1 + REST))
    assert pace > HIGHEST_RATE or cost * (1 + REST) * HIGHEST_RATE > 1


def test_a_slice_that_took_too_long_is_halved_at_once():
    size = SliceSize()
    size.rows = 1000
    size.adapt(5.0)
    assert size.rows == 500


@pytest.mark.usefixtures("many")
def test_two_workers_do_not_prune_at_the_same_time(clock, retention, rows, path):
    clock.advance(2 * DAY)
    with only_one(path) as mine:
        assert mine
        retention.due()
    assert rows(reservations) == [COPIES + 1]
    clock.advance(EVERY // SECOND)
    retention.due()
    assert rows(reservations) == [0]


@pytest.mark.usefixtures("many")
def test_a_worker_that_stops_ends_after_its_slice(path, clock, rows):
    retention = pruner(Slices(path, 1, rest=lambda _: retention.stop()), clock)
    clock.advance(2 * DAY)
    retention.due()
    assert 0 < rows(reservations)[0] < COPIES


def test_reservations_that_stay_open_at_the_front_do_not_stop_the_walk(meter, clock, retention, rows, database):
    meter.api.create(budget=dollars(10**6, "1M"))
    for _ in range(150):
        meter.hold(cost=1, ttl_seconds=DAY)
    with database.write() as connection:
        connection.execute(update(reservations).values(expires_at=clock.now + 9 * DAY * SECOND))
    meter.reported(cost=1)
    clock.advance(2 * DAY)
    retention.due()
    assert rows(reservations) == [150]
    meter.proven()


def test_answers_of_an_earlier_version_leave_too(clock, retention, rows, database):
    row = {"api_key_id": "a", "path": "/", "fingerprint": "00", "answer": b"{}"}
    with database.write() as connection:
        connection.execute(
            idempotency.insert(), [row | {"key": str(n), "created_at": clock.now + n * SECOND} for n in range(500)]
        )
    clock.advance(DAY + 100)
    retention.due()
    assert rows(idempotency) == [400]


def pages(path):
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")]


@pytest.mark.usefixtures("many")
def test_the_file_shrinks_when_much_has_left(clock, retention, path, monkeypatch):
    monkeypatch.setattr("governance.storage.sqlite.retention.pruning.FREE_PAGES_KEPT", 16)
    before, _ = pages(path)
    clock.advance(2 * DAY)
    retention.due()
    after, free = pages(path)
    assert after < before / 4
    assert free <= before / 8
    assert path.stat().st_size == after * PAGE, "the journal is not folded in"


@pytest.mark.usefixtures("many")
def test_a_slice_gives_back_few_pages(clock, retention, path, monkeypatch):
    """A page with content that must move costs six times as much as a free page. So earlier pages do not predict it."""
    clock.advance(2 * DAY)
    retention.due()
    monkeypatch.setattr("governance.storage.sqlite.retention.pruning.FREE_PAGES_KEPT", 16)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        before = connection.execute("PRAGMA page_count").fetchone()[0]
        pages = FreePages()
        pages.look(connection)
        assert pages.step(connection, LARGEST)
        pointer_maps = 1
        assert before - MOST_PAGES - pointer_maps <= connection.execute("PRAGMA page_count").fetchone()[0] < before


def test_a_journal_that_has_grown_is_cut_back(app, path, database, api):
    """A reader that does not end prevents checkpoints, so the journal grows. Later, the journal is truncated."""
    wal = path.with_name(f"{path.name}-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM counters").fetchone()
        with database.write() as connection:
            connection.execute(text("CREATE TABLE ballast (x)"))
        for _ in range(5):
            with database.write() as connection:
                connection.execute(text("INSERT INTO ballast VALUES (randomblob(9000000))"))
        assert wal.stat().st_size > 40 * 2**20
    for number in range(3):
        api.create(f"model-{number}")
    assert wal.stat().st_size <= 32 * 2**20
