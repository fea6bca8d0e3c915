"""A Bifrost store that a test fills, and the command that imports it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.bifrost.stores import BifrostStore
from tests.conftest import Api, FakeClock
from tests.metering.conftest import Meter, app, ok, options, settings, template  # noqa: F401 - fixtures, by their names

Run = Callable[..., Any]


class Report:
    """The report that `--json` prints."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said
        self.counts = {kind: list(counts.values()) for kind, counts in said["counts"].items()}
        self.rows = {row["id"]: row for row in reversed(said["rows"])}

    def outcome(self, row_id: str) -> str:
        return str(self.rows[row_id]["outcome"])

    def remarks(self, row_id: str) -> list[str]:
        return list(self.rows[row_id]["remarks"])

    def reason(self, row_id: str) -> str:
        """Return why a row was left out."""
        assert self.outcome(row_id) == "left_out", self.rows[row_id]
        return " ".join(self.remarks(row_id))


def read(api: Api, limit_id: str) -> dict[str, Any]:
    """Return the current state of a limit."""
    return dict(ok(api.get(f"model-configs/{limit_id}"))["model_config"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "bifrost"
    folder.mkdir()
    return folder / "config.db"


@pytest.fixture
def store(path: Path) -> BifrostStore:
    return BifrostStore(path)


@pytest.fixture
def run(app: Flask, path: Path) -> Run:  # noqa: F811 - pytest passes the fixture
    """Return a function that runs the command on the store."""

    def invoke(*arguments: str, file: Path = path) -> Any:
        return app.test_cli_runner().invoke(args=["governance", "import-bifrost", str(file), *arguments])

    return invoke


@pytest.fixture
def imported(run: Run) -> Callable[..., Report]:
    """Return a function that imports the store and returns the report. The import must succeed."""

    def invoke(*arguments: str) -> Report:
        result = run("--json", *arguments)
        assert result.exit_code == 0, result.output
        return Report(json.loads(result.stdout))

    return invoke


@pytest.fixture
def meter(api: Api, clock: FakeClock) -> Meter:
    return Meter(api, clock)
