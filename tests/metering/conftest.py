"""Metering through HTTP: a client that reserves, settles and reports, a second worker, and access to the tables."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select
from werkzeug.test import TestResponse

from governance.container import Container
from governance.domain.times import rfc3339
from governance.settings import Settings
from governance.storage.sqlite.files import migrations
from governance.storage.tables import answers, counters, ledger, reservations
from tests.conftest import Api, FakeClock, database_of, governance_of

NANOS = 1_000_000_000
DAY = 24 * 3600
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
Amount = tuple[float, float]


def dollars(most: float, per: str = "1d") -> dict[str, Any]:
    """Return a budget."""
    return {"max_limit": most, "reset_duration": per}


def tokens(most: int, per: str = "1h") -> dict[str, Any]:
    """Return a rate limit on tokens."""
    return {"token_max_limit": most, "token_reset_duration": per}


def requests(most: int, per: str = "1m") -> dict[str, Any]:
    """Return a rate limit on requests."""
    return {"request_max_limit": most, "request_reset_duration": per}


class Meter:
    """Does what a gateway does: reserve, settle, report. A method with a name in the past tense requires success."""

    def __init__(self, api: Api, clock: FakeClock) -> None:
        self.api = api
        self.clock = clock

    @property
    def governance(self) -> Container:
        """The service of the worker that this gateway calls."""
        return governance_of(self.api.client.application)

    def reserve(self, model: str = "gpt-4o", *, headers: Any = None, **fields: Any) -> TestResponse:
        return self.api.post("reservations", {"model": model, **fields}, headers=headers or {})

    def reserved(self, model: str = "gpt-4o", **fields: Any) -> dict[str, Any]:
        """Reserve. Return the whole response."""
        return ok(self.reserve(model, **fields))

    def hold(self, model: str = "gpt-4o", **fields: Any) -> str:
        """Reserve. Return the id of the reservation."""
        return str(self.reserved(model, **fields)["reservation"]["id"])

    def denied(self, model: str = "gpt-4o", **fields: Any) -> dict[str, Any]:
        """Return the whole response to a denied call."""
        response = self.reserve(model, **fields)
        assert response.status_code in (402, 429), response.text
        return dict(response.get_json())

    def settle(self, held: str, body: Any = None) -> TestResponse:
        return self.api.post(f"reservations/{held}/settle", body)

    def settled(self, held: str, **body: Any) -> dict[str, Any]:
        return dict(ok(self.settle(held, body))["reservation"])

    def release(self, held: str) -> TestResponse:
        return self.api.post(f"reservations/{held}/release")

    def released(self, held: str) -> dict[str, Any]:
        return dict(ok(self.release(held))["reservation"])

    def extend(self, held: str, ttl_seconds: int) -> TestResponse:
        return self.api.post(f"reservations/{held}/extend", {"ttl_seconds": ttl_seconds})

    def extended(self, held: str, ttl_seconds: int) -> dict[str, Any]:
        return dict(ok(self.extend(held, ttl_seconds))["reservation"])

    def report(self, model: str = "gpt-4o", *, headers: Any = None, **fields: Any) -> TestResponse:
        return self.api.post("usage", {"model": model, **fields}, headers=headers or {})

    def reported(self, model: str = "gpt-4o", **fields: Any) -> dict[str, Any]:
        return ok(self.report(model, **fields))

    def checked(self, model: str = "gpt-4o", **fields: Any) -> dict[str, Any]:
        return ok(self.api.post("check", {"model": model, **fields}))

    def read(self, held: str) -> dict[str, Any]:
        """Return the current state of a reservation."""
        return dict(ok(self.api.get(f"reservations/{held}"))["reservation"])

    def stands(self, limit: dict[str, Any]) -> dict[str, Amount]:
        """Return (used, reserved) by metric in the current window of a limit's first budget and first rate limit."""
        now = ok(self.api.get(f"model-configs/{limit['id']}"))["model_config"]
        found = {}
        if now["budget"]:
            found["cost"] = (now["budget"]["current_usage"], now["budget"]["reserved"])
        for metric, word in (("tokens", "token"), ("requests", "request")):
            rate = next((rate for rate in now["rate_limits"] if rate[f"{word}_max_limit"]), None)
            if rate:
                found[metric] = (rate[f"{word}_current_usage"], rate[f"{word}_reserved"])
        return found

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def sweep(self) -> int:
        """Expire the overdue reservations. Return their number."""
        return self.governance.reservations.sweep()

    def poll(self) -> None:
        """Do once what the worker's poller does every few seconds, and prune."""
        self.governance.poller.poll()
        self.governance.pruner.poll()

    def proven(self) -> int:
        """Return the number of counters. Each of them must equal its ledger."""
        total, differences = self.governance.verification.verify()
        assert differences == []
        return total

    def dump(self) -> dict[str, list[Any]]:
        """Return every row that metering writes."""
        with self.governance.database.read() as connection:
            return {
                table.name: sorted(tuple(row) for row in connection.execute(select(table)))
                for table in (counters, reservations, ledger, answers)
            }

    def counted(self, item: dict[str, Any], metric: str = "cost") -> list[tuple[int, int, int]]:
        """Return (start, used, reserved) of every window with a counter of a rule, in microseconds and nano-dollars."""
        own = select(counters.c.window_start, counters.c.used, counters.c.reserved).where(
            counters.c.rule_id == item["id"], counters.c.metric == metric
        )
        with self.governance.database.read() as connection:
            rows = connection.execute(own.order_by(counters.c.window_start, counters.c.id))
            return [(start, used, reserved) for start, used, reserved in rows]

    def windows(self, item: dict[str, Any], metric: str = "cost") -> list[tuple[str, int, int]]:
        """Return the same values with readable times."""
        return [(rfc3339(start), *rest) for start, *rest in self.counted(item, metric)]


def ok(response: TestResponse) -> dict[str, Any]:
    """Return the body of a successful response."""
    assert response.status_code == 200, response.text
    return dict(response.get_json())


@contextmanager
def copied(template: Path) -> Iterator[str]:
    """Yield a folder with a migrated file.

    If the machine has a file system in memory, the folder is there, because tests/process test durability.
    """
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, ignore_cleanup_errors=True) as folder:
        shutil.copy(template, folder)
        yield folder


def stop(app: Flask) -> None:
    """Close the app's connections to the file."""
    governance_of(app).group.stop()
    database_of(app).engine.dispose()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated database file. It is made once."""
    made = tmp_path_factory.mktemp("metering") / "governance.db"
    migrations.upgrade(made, 1)
    return made


@pytest.fixture
def options() -> dict[str, Any]:
    """Return additional settings. A test sets them by parametrization."""
    return {}


@pytest.fixture
def settings(settings: Settings, options: dict[str, Any], template: Path) -> Iterator[Settings]:
    with copied(template) as folder:
        yield replace(settings, instance=folder, **options)


@pytest.fixture
def app(settings: Settings, clock: FakeClock, build: Any) -> Iterator[Flask]:
    """Return the app on a file that is already prepared."""
    made = build(settings, clock=clock)
    yield made
    stop(made)


@pytest.fixture
def meter(api: Api, clock: FakeClock) -> Meter:
    return Meter(api, clock)


@pytest.fixture
def other(settings: Settings, clock: FakeClock, app: Any, build: Any) -> Iterator[Meter]:
    """Return another worker on the same file. It has polled once, and polls no more by itself."""
    made = build(settings, clock=clock)
    governance_of(made).cache.refresh()
    yield Meter(Api(made.test_client()), clock)
    stop(made)


def samples(api):
    """Return the values of all metrics of the service by (name, labels). The times of creation are left out."""
    response = api.with_key(None).get("/metrics")
    assert response.status_code == 200
    found = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            if sample.name.startswith("governance_") and not sample.name.endswith("_created"):
                found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


@pytest.fixture
def moved(api):
    """Return a function that returns how much acts add to a metric.

    The counters are those of the whole process, so only differences have a meaning.
    """
    before = samples(api)

    def difference(name, **labels):
        key = f"governance_{name}", frozenset(labels.items())
        return samples(api).get(key, 0) - before.get(key, 0)

    return difference
