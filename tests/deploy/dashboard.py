"""The queries of deploy/grafana/dashboard.json."""

import json
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.process.service import ROOT

FILE = ROOT / "deploy/grafana/dashboard.json"
VARIABLES = {"$instance": ".*", "$__rate_interval": "1m", "$__range": "1h"}


class Query(NamedTuple):
    """A query of a panel."""

    panel: str
    text: str
    legend: str

    @property
    def expression(self) -> str:
        """The query as Grafana sends it: with values in place of the variables."""
        text = self.text
        for name, value in VARIABLES.items():
            text = text.replace(name, value)
        return text

    @property
    def quoted(self) -> str:
        return quote(self.expression, safe="")


def dashboard() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text()))


def queries() -> list[Query]:
    """Return the queries of all panels."""
    return [
        Query(f"{panel['title']} {target['refId']}", target["expr"], target["legendFormat"])
        for panel in dashboard()["panels"]
        for target in panel["targets"]
    ]
