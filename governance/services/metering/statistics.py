"""Metrics of the service for Prometheus, and counts of the calls that each limit refused.

No label contains the name of a model, a key or a user. `operations/shared_counts.py` adds up the metrics of all
workers. The poller is a thread that runs every few seconds. It writes the counts of refused calls to the database.
"""

from collections.abc import Mapping
from functools import cache, partial
from threading import Lock
from time import time
from typing import TypeVar

from prometheus_client import Counter, Gauge, Histogram

from governance.domain.errors import Code, Unavailable
from governance.domain.history.usage import Series, UsageAmounts, bucket_of, series_of
from governance.domain.metering.decision import Decision
from governance.domain.names import spelled
from governance.domain.pricing.overrides import ModelKey
from governance.snapshot.cache import SnapshotCache
from governance.storage.metering import denial_counts
from governance.storage.pricing import unpriced_models
from governance.storage.pricing.unpriced_models import MOST_MODELS
from governance.storage.store import Database, MeteringStore, UnitOfWork

Key = TypeVar("Key")

REQUESTS = Counter("governance_requests", "Requests by endpoint and status.", ["endpoint", "status"])
DECISIONS = Counter("governance_decisions", "Decisions on reservations, by word.", ["decision"])
PRICE_UNKNOWN = Counter(
    "governance_price_unknown", "Calls whose price was needed and not known, by what became of them.", ["outcome"]
)
for _outcome in ("refused", "admitted", "reported", "settled"):
    PRICE_UNKNOWN.labels(_outcome)  # so the metric shows every outcome from the start, with the value 0
AUTHENTICATION_FAILURES = Counter(
    "governance_authentication_failures", "Requests without an API key that counts, by the error's code.", ["code"]
)
for _code in (Code.API_KEY_REQUIRED, Code.INVALID_API_KEY, Code.VIRTUAL_KEY_REQUIRED, Code.INVALID_VIRTUAL_KEY):
    AUTHENTICATION_FAILURES.labels(_code.value)  # sets 0 first: without it, Prometheus would miss the first failure
LATENCY = Histogram(
    "governance_decision_seconds",
    "How long a decision took, its commit included.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
EXPIRED = Counter("governance_reservations_expired", "Reservations that were never settled in time.")
LATE = Counter("governance_reservations_late", "Settles and releases that came after the reservation had expired.")

VERIFIED = "governance_snapshot_verified_timestamp_seconds"
SNAPSHOT = Gauge(VERIFIED, "When the memory last equalled the database.")
FAILURES = Counter("governance_snapshot_refresh_failures", "Refreshes of the memory that failed.")


@cache
def requests_counted(endpoint: str, status: int) -> Counter:
    """Return the counter for an endpoint and a status.

    There are few endpoints and statuses, so the cache stays small.
    """
    return REQUESTS.labels(endpoint, status)


def authentication_failed(code: str) -> None:
    """Count a request that was refused because it had no valid API key."""
    AUTHENTICATION_FAILURES.labels(code).inc()


@cache
def _decisions(word: str) -> Counter:
    return DECISIONS.labels(word)


class Statistics:
    """Counts decisions.

    The refused calls of each limit, and the calls to models without a price, are counted in memory first. Each poll
    adds these counts to the database. A crash loses the counts since the last poll.
    """

    def __init__(self, database: Database, store: MeteringStore, cache: SnapshotCache) -> None:
        self._database = database
        self._store = store
        self._cache = cache
        self._failures = 0
        self._denials: dict[str, tuple[int, int]] = {}
        self._unpriced: dict[ModelKey, tuple[int, int]] = {}
        self._denied_usage: dict[tuple[int, Series], tuple[int, int]] = {}
        self._lock = Lock()

    def decided(self, decision: Decision, seconds: float) -> None:
        """Count a decision about a reservation. If limits refused the call, count the refusal for each of these limits.

        If the request repeats an Idempotency-Key and gets the stored response, record only the latency.
        """
        LATENCY.observe(seconds)
        if decision.priced is not None and decision.priced.is_unknown:
            self._unknown(decision, "refused" if decision.is_unpriced else "admitted")
        if decision.is_unpriced:
            _decisions("price_unknown").inc()
        elif decision.violations:
            _decisions(decision.word).inc()
            key = bucket_of(decision.now), series_of(decision.call)
            with self._lock:
                count, _ = self._denied_usage.get(key, (0, 0))
                self._denied_usage[key] = (count + 1, decision.now)
                for limit_id in {status.matched.limit.id for status in decision.violations}:
                    count, _ = self._denials.get(limit_id, (0, 0))
                    self._denials[limit_id] = (count + 1, decision.now)
        elif not decision.replayed:
            _decisions("allow").inc()

    def reported(self, decision: Decision) -> None:
        """Count a usage report whose price was needed and is not known. Do nothing for other reports."""
        if decision.priced is not None and decision.priced.is_unknown:
            self._unknown(decision, "reported")

    def unpriced(self, model: str, provider: str | None, now: int, outcome: str = "settled") -> None:
        """Count a call that needed a price when no price was known."""
        PRICE_UNKNOWN.labels(outcome).inc()
        key = spelled(model, provider)
        with self._lock:
            if key in self._unpriced or len(self._unpriced) < MOST_MODELS:
                count, _ = self._unpriced.get(key, (0, 0))
                self._unpriced[key] = (count + 1, now)

    def _unknown(self, decision: Decision, outcome: str) -> None:
        self.unpriced(decision.call.model, decision.call.provider, decision.now, outcome)

    def note_memory(self) -> None:
        """Update the metrics of the snapshot, which is this worker's copy of the database in memory.

        The metrics show when the snapshot last equalled the database, and how many of its refreshes failed. The poller
        calls this.
        """
        known = self._cache.peek()
        if known is not None:
            SNAPSHOT.set(time() - self._cache.age(known))
        failures = self._cache.failures
        FAILURES.inc(failures - self._failures)
        self._failures = failures

    def flush(self) -> None:
        """Add the counts of refused calls and of models without a price to the database. Raises Unavailable.

        The poller calls this.
        """
        with self._lock:
            denied, self._denials = self._denials, {}
            unpriced, self._unpriced = self._unpriced, {}
            denied_usage, self._denied_usage = self._denied_usage, {}
        if not denied and not unpriced:
            return
        try:
            if denied_usage:
                self._store.submit(partial(_add_denials, denied_usage))
                denied_usage = {}
            with self._database.write() as connection:
                if denied:
                    denial_counts.add(connection, denied)
                if unpriced:
                    unpriced_models.add(connection, unpriced)
        except Unavailable:
            with self._lock:
                _restore(self._denials, denied)
                _restore(self._unpriced, unpriced)
                _restore(self._denied_usage, denied_usage)
            raise


def _add_denials(denied: Mapping[tuple[int, Series], tuple[int, int]], unit: UnitOfWork) -> None:
    """Add the refused calls to the usage history.

    The history has one row for each 15 minutes and each combination of provider, model, virtual key and user.
    """
    for (start, series), (count, _) in denied.items():
        unit.add_usage(start, series, UsageAmounts(denied=count))


def _restore(counts: dict[Key, tuple[int, int]], unwritten: dict[Key, tuple[int, int]]) -> None:
    """Put counts that could not be written back into memory. The next poll writes them."""
    for key, (count, at) in unwritten.items():
        more, later = counts.get(key, (0, at))
        counts[key] = (count + more, max(at, later))
