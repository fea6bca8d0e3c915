"""The dashboard of Grafana asks for metrics and labels that the service has, in valid PromQL."""

import re
from itertools import combinations

import pytest
import yaml

from tests.conftest import governance_of
from tests.deploy.containers import run
from tests.deploy.dashboard import dashboard, queries
from tests.docs.pages import table
from tests.metering.test_metrics import OURS

pytestmark = pytest.mark.deploy

METRIC = re.compile(r"\bgovernance_\w+")
BY = re.compile(r"by \((.*?)\)")
MATCHER = re.compile(r"(\w+)(?:=~|!=|=)\"")
LEGEND = re.compile(r"{{(\w+)}}")
OF_PROMETHEUS = {"instance", "le"}
each_query = pytest.mark.parametrize("query", queries(), ids=lambda query: query.panel)


@each_query
def test_query_asks_for_metrics_and_labels_that_the_service_has(query):
    asked = set(METRIC.findall(query.text))
    assert asked
    assert asked <= OURS.keys()
    grouped = {label for labels in BY.findall(query.text) for label in labels.split(", ")}
    labels = grouped | set(MATCHER.findall(query.text))
    assert labels - OF_PROMETHEUS <= set.union(*(OURS[metric] for metric in asked))
    assert set(LEGEND.findall(query.legend)) <= grouped


def test_every_metric_of_the_dashboard_is_served(api):
    service = governance_of(api.client.application)
    service.verification.verify()
    service.poller.poll()
    lines = re.findall(r"^# TYPE (governance_\w+) (\w+)", api.get("/metrics").text, re.MULTILINE)
    served = {f"{name}{part}" for name, _ in lines for part in ("", "_bucket", "_sum", "_count")}
    assert {name for query in queries() for name in METRIC.findall(query.text)} <= served


def test_dashboard_shows_every_metric_that_is_described():
    described = {METRIC.search(row)[0] for row in table("docs/operations.md", "Metrics")}  # type: ignore[index]
    asked = {metric for query in queries() for metric in METRIC.findall(query.text)}
    assert {re.sub("_(bucket|sum|count)$", "", metric) for metric in asked} == described


def test_promtool_reads_every_query(tmp_path):
    rules = [{"record": f"query:{number}", "expr": query.expression} for number, query in enumerate(queries())]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in run("promtool", "check", "rules", str(file)).stdout


def test_each_panel_has_a_place_of_its_own_and_says_what_it_shows():
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert all(panel["description"].endswith(".") for panel in dashboard()["panels"])


def test_panels_and_variables_use_the_chosen_data_source():
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert all(panel["datasource"] == chosen for panel in dashboard()["panels"])
    assert all(target["datasource"] == chosen for panel in dashboard()["panels"] for target in panel["targets"])
    assert [each["name"] for each in dashboard()["templating"]["list"]] == ["datasource", "instance"]
