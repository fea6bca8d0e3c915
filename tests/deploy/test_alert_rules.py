"""Each alert fires when it should, and is silent otherwise, as promtool says. Its metrics are those of the service."""

import re
from typing import Any, NamedTuple

import pytest
import yaml

from governance.settings import Settings
from tests.conftest import governance_of
from tests.deploy.containers import run
from tests.deploy.stack import SERVICES
from tests.docs.pages import ROOT, anchors
from tests.metering.test_metrics import OURS

pytestmark = pytest.mark.deploy

FOLDER = ROOT / "deploy/prometheus"
RULES = FOLDER / "rules.yml"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}
METRIC = re.compile(r"\b(?:governance_\w+|up)\b")
LABEL = re.compile(r"(\w+)=\"")
OF_PROMETHEUS = {"job", "instance"}
TARGET = {"job": "model-limits", "instance": "limits:8080"}
SCRAPED = "15s"
PAGE = "docs/operations.md"
VALUE = re.compile(r"{{ \$value.*?}}")
MIB, GB = 1024**2, 10**9
READY, AGE, FREE = "governance_ready", "governance_snapshot_age_seconds", "governance_disk_free_bytes"
FAILURES, LATE = "governance_snapshot_refresh_failures_total", "governance_reservations_late_total"
EXPIRED, ALLOWED = "governance_reservations_expired_total", 'governance_decisions_total{decision="allow"}'
REFUSED = 'governance_authentication_failures_total{code="invalid_api_key"}'
UNKNOWN, JOURNAL = 'governance_price_unknown_total{outcome="refused"}', 'governance_database_bytes{part="journal"}'
DIFFERENCES = "governance_verify_differences"


class Case(NamedTuple):
    """What Prometheus scrapes, in promtool's notation, one value each 15 s; and whether an alert fires at a minute."""

    alert: str
    minute: int
    series: dict[str, str]
    shown: str | None = None
    """The value in the summary of the alert that fires, or '' for none. None: it is silent."""


FIRES = [
    Case("ModelLimitsDown", 2, {"up": "0x20"}, ""),
    Case("ModelLimitsDown", 2, {}, ""),
    Case("ModelLimitsDown", 5, {"up": "1x8 stale"}, ""),
    Case("ModelLimitsNotReady", 2, {READY: "0x20"}, ""),
    Case("ModelLimitsNotReady", 5, {READY: "1x8 0x20"}, ""),
    Case("ModelLimitsNotReady", 5, {READY: "1 0 " * 12}, ""),  # one of two workers
    Case("ModelLimitsSnapshotOld", 4, {AGE: "1x4 16+15x20"}, "3m 1s"),
    Case("ModelLimitsRefreshFailures", 10, {FAILURES: "0x30 6x20"}, "6"),
    Case("ModelLimitsReservationsExpired", 15, {EXPIRED: "0x30 6x30"}, "6"),
    Case("ModelLimitsReservationsExpired", 15, {EXPIRED: "0+1x60", ALLOWED: "0+50x60"}, "60"),
    Case("ModelLimitsReservationsLate", 15, {LATE: "0x30 6x30"}, "6"),
    Case("ModelLimitsAuthenticationRefused", 5, {REFUSED: "0+3x20"}, "60"),
    Case("ModelLimitsPriceUnknown", 15, {UNKNOWN: "0x30 2x30"}, "2"),
    Case("ModelLimitsDiskFills", 420, {FREE: f"{5 * GB}-500000x1680"}, ""),
    Case("ModelLimitsDiskAlmostFull", 2, {FREE: f"{255 * MIB}x20"}, "255Mi"),
    Case("ModelLimitsJournalGrows", 16, {JOURNAL: f"{80 * MIB}x80"}, "80Mi"),
    Case("ModelLimitsVerifyDifferences", 1, {DIFFERENCES: "0 3x8"}, "3"),
]
SILENT = [
    Case("ModelLimitsDown", 5, {"up": "1x20"}),
    Case("ModelLimitsDown", 3, {"up": "1x8 0x2 1x20"}),  # a restart
    Case("ModelLimitsNotReady", 5, {READY: "1x20"}),
    Case("ModelLimitsNotReady", 3, {READY: "1x8 0x2 1x20"}),
    Case("ModelLimitsSnapshotOld", 5, {AGE: "5x20"}),
    Case("ModelLimitsSnapshotOld", 3, {AGE: "5x8 20 5x20"}),
    Case("ModelLimitsRefreshFailures", 10, {FAILURES: "0x20 2x20"}),
    Case("ModelLimitsRefreshFailures", 30, {FAILURES: "0x20 60x100"}),  # mended
    Case("ModelLimitsReservationsExpired", 15, {EXPIRED: "0x30 4x30"}),
    Case("ModelLimitsReservationsExpired", 15, {EXPIRED: "0+1x60", ALLOWED: "0+200x60"}),
    Case("ModelLimitsReservationsLate", 15, {LATE: "0x30 4x30"}),
    Case("ModelLimitsAuthenticationRefused", 5, {REFUSED: "0+2x20"}),
    Case("ModelLimitsPriceUnknown", 15, {UNKNOWN: "7x60"}),
    Case("ModelLimitsDiskFills", 420, {FREE: f"{50 * GB}-500000x1680"}),
    Case("ModelLimitsDiskFills", 30, {FREE: f"{5 * GB}-500000x1680"}),  # soon after a start
    Case("ModelLimitsDiskAlmostFull", 5, {FREE: f"{300 * MIB}x20"}),
    Case("ModelLimitsJournalGrows", 20, {JOURNAL: f"{80 * MIB}x40 {32 * MIB}x40"}),
    Case("ModelLimitsVerifyDifferences", 5, {DIFFERENCES: "0x20"}),
    Case("ModelLimitsVerifyDifferences", 5, {"up": "1x20"}),  # verify has never run
]
each_alert = pytest.mark.parametrize("name", ALERTS)


def named(series: str) -> str:
    """Return a series with the labels that Prometheus adds to it."""
    name, _, labels = series.rstrip("}").partition("{")
    added = [f'{label}="{value}"' for label, value in TARGET.items()]
    return f"{name}{{{','.join(([labels] if labels else []) + added)}}}"


def expected(case: Case) -> list[dict[str, Any]]:
    """Return the alert that promtool should see, with its summary as Prometheus writes it."""
    if case.shown is None:
        return []
    labels, notes = ALERTS[case.alert]["labels"], ALERTS[case.alert]["annotations"]
    is_gone = case.alert == "ModelLimitsDown" and not case.series.get("up", "").startswith("0")
    summary = VALUE.sub(case.shown, notes["summary"].replace("{{ $labels.instance }}", TARGET["instance"]))
    given = {"job": TARGET["job"]} if is_gone else TARGET
    return [{"exp_labels": given | labels, "exp_annotations": notes | {"summary": summary}}]


@pytest.mark.parametrize("case", FIRES + SILENT, ids=lambda case: case.alert)
def test_alert_fires_when_it_should_and_only_then(case, tmp_path):
    file = tmp_path / "case.yml"
    series = [{"series": named(name), "values": values.strip()} for name, values in case.series.items()]
    asked = {"eval_time": f"{case.minute}m", "alertname": case.alert, "exp_alerts": expected(case)}
    test = {"interval": SCRAPED, "input_series": series, "alert_rule_test": [asked]}
    document = {"rule_files": [str(RULES)], "evaluation_interval": SCRAPED, "tests": [test]}
    file.write_text(yaml.safe_dump(document))
    assert "SUCCESS" in run("promtool", "test", "rules", str(file)).stdout


def test_every_alert_has_a_case_that_fires_and_one_that_is_silent():
    assert {case.alert for case in FIRES} == {case.alert for case in SILENT} == ALERTS.keys()


@each_alert
def test_alert_says_what_is_wrong_what_to_do_and_where_to_read(name):
    rule = ALERTS[name]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert rule["annotations"]["description"].count(".") >= 2  # what it means, and what to do
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert (page, anchor) == (PAGE, name.lower())
    assert anchor in anchors(ROOT / PAGE)


@each_alert
def test_alert_asks_for_metrics_and_labels_of_the_job(name):
    expression = ALERTS[name]["expr"]
    asked = set(METRIC.findall(expression))
    labels = set.union(*(OURS[metric] for metric in asked - {"up"}), set())
    assert set(LABEL.findall(expression)) <= labels | OF_PROMETHEUS
    assert expression.count('job="model-limits"') == len(METRIC.findall(expression))


def test_every_metric_of_the_alerts_is_served(api):
    service = governance_of(api.client.application)
    service.verification.verify()
    service.poller.poll()
    lines = re.findall(r"^# TYPE (governance_\w+)", api.get("/metrics").text, re.MULTILINE)
    asked = {metric for rule in ALERTS.values() for metric in METRIC.findall(rule["expr"])}
    assert asked - {"up"} <= set(lines)


def test_every_section_about_alerts_is_of_an_alert():
    assert re.findall(r"^### (ModelLimits\w+)$", (ROOT / PAGE).read_text(), re.MULTILINE) == list(ALERTS)


def test_snapshot_alert_waits_as_long_as_the_default_of_the_settings():
    assert ALERTS["ModelLimitsSnapshotOld"]["expr"].endswith(f"> {Settings().memory_lifetime:g}")


def test_promtool_finds_the_files_valid():
    assert f"{len(ALERTS)} rules found" in run("promtool", "check", "rules", str(RULES)).stdout
    assert "1 rule files found" in run("promtool", "check", "config", str(FOLDER / "prometheus.yml")).stdout


def test_scraped_job_is_the_one_of_the_rules():
    for file in ("prometheus.yml", "kubernetes.yml"):
        config = yaml.safe_load((FOLDER / file).read_text())
        assert [job["job_name"] for job in config["scrape_configs"]] == [TARGET["job"]]
        assert config["global"] == {"scrape_interval": SCRAPED, "evaluation_interval": SCRAPED}
        assert (FOLDER / config["rule_files"][0]) == RULES


def test_target_of_compose_is_its_service():
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    host, _, port = job["static_configs"][0]["targets"][0].partition(":")
    assert SERVICES[host]["ports"][0].endswith(f":{port}")


def test_promtool_finds_the_relabelling_of_kubernetes_valid(tmp_path):
    """Debian's Prometheus is built without the discovery in Kubernetes, so a fixed target takes its place."""
    config = yaml.safe_load((FOLDER / "kubernetes.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(config | {"rule_files": []} | {"scrape_configs": [job | {"static_configs": []}]}))
    assert "valid prometheus config" in run("promtool", "check", "config", str(file)).stdout
