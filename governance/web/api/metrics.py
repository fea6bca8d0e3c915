"""`/metrics` for Prometheus, summed over all worker processes. No label contains the name of a model, key or user."""

import time
from collections.abc import Iterable, Iterator, Mapping

from flask import Blueprint, current_app
from flask.blueprints import BlueprintSetupState
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from governance.container import EXTENSION as SERVICE
from governance.container import Container
from governance.domain.errors import GovernanceError
from governance.services.metering.statistics import VERIFIED
from governance.services.operations.throttle import Throttle
from governance.web.http.flask_app import HttpResponse
from governance.web.http.operation import operation

blueprint = Blueprint("metrics", __name__)

EXTENSION = "governance.metrics"
MOST_TEXTS = 5
"""The text is computed at most this many times per second."""


@blueprint.get("/metrics")
@operation("Metrics for Prometheus", scope=None)
def metrics() -> HttpResponse:
    """Return the metrics in Prometheus' text format, less than a second old."""
    found: Throttle[bytes] = current_app.extensions[EXTENSION]
    return HttpResponse(found.get(), content_type=CONTENT_TYPE_LATEST)


@blueprint.record
def throttle(state: BlueprintSetupState) -> None:
    """Let each Flask app compute the text at most `MOST_TEXTS` times per second, even if many clients ask for it."""
    service: Container = state.app.extensions[SERVICE]
    state.app.extensions[EXTENSION] = Throttle(lambda: _text(service), MOST_TEXTS)


def _text(service: Container) -> bytes:
    registry = CollectorRegistry()
    registry.register(Current(service))
    return generate_latest(registry)


class Current(Collector):
    """The Prometheus counters of all workers, and current values from the database and the clock."""

    def __init__(self, service: Container) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """Return the current metrics. If the database does not answer, leave out its metrics."""
        for metric in self._service.counts.collect():
            yield from _age(metric) if metric.name == VERIFIED else (metric,)
        ready = not self._service.health.get().reasons
        yield GaugeMetricFamily("governance_ready", "1 if calls can be decided: /readyz is 200. Otherwise 0.", ready)
        try:
            opened, differing = self._service.reservations.open_count(), self._service.verification.last()
            sizes = self._service.growth.look()
        except (GovernanceError, OSError):
            return
        yield GaugeMetricFamily("governance_reservations_open", "Reservations that hold something now.", opened)
        yield _by_label(
            "governance_database_bytes", "Bytes of the file, of its free pages, its journal.", "part", sizes.bytes
        )
        yield GaugeMetricFamily("governance_disk_free_bytes", "Free bytes of the database's disk.", sizes.disk_free)
        yield _by_label("governance_stored_rows", "At most so many rows are stored.", "table", sizes.rows)
        if differing is not None:
            help_text = "Counters that differed from their ledger when last verified; anything but 0 is a fault."
            yield GaugeMetricFamily("governance_verify_differences", help_text, differing)


def _by_label(name: str, documentation: str, label: str, values: Mapping[str, int]) -> Metric:
    metric = GaugeMetricFamily(name, documentation, labels=[label])
    for word, value in values.items():
        metric.add_metric([word], value)
    return metric


def _age(verified: Metric) -> Iterator[Metric]:
    """Yield the age in seconds of the oldest snapshot, which is a worker's copy of the limits in memory.

    A worker without a snapshot reports 0, and is left out.
    """
    oldest = min((sample.value for sample in verified.samples if sample.value), default=None)
    if oldest is not None:
        age = max(0.0, time.time() - oldest)
        yield GaugeMetricFamily("governance_snapshot_age_seconds", "Age of the oldest worker's memory.", age)
