"""The fields of deploy/loki, and of the questions in docs/deploy/watching.md, are those of lines of the service."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import time_ns
from typing import Any

import pytest

from tests.docs.pages import ROOT, sections
from tests.process.service import Service

pytestmark = pytest.mark.deploy

PIPELINE = (ROOT / "deploy/loki/pipeline.alloy").read_text()
SOURCES = [ROOT / "deploy/loki" / name for name in ("journald.alloy", "kubernetes.alloy")]
PAGE = ROOT / "docs/deploy/watching.md"
COMMENT = re.compile(r"^ *//.*$", re.MULTILINE)
NAME = re.compile(r"^ +(\w+) += \"\",$", re.MULTILINE)
FIELD = re.compile(r"\.(\w+)")
LABEL = re.compile(r"(\w+)(?:=~|!=|=)\"")
BY = re.compile(r"by \((.*?)\)")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
REMOTE = "/lib/systemd/systemd-journal-remote"
EXAMPLE = "67f06d843951ff70"
BOOT = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    """Yield lines of a service in JSON: a start, a denial, a key that does not count, and a warning."""
    service = Service(tmp_path_factory.mktemp("logs"), GOVERNANCE_LOG_FORMAT="json", HOST="0.0.0.0")  # noqa: S104 - warns
    try:
        service.start().create("gpt-4o", rate_limit={"request_max_limit": 1, "request_reset_duration": "1d"})
        key = service.call("POST", "/api/governance/virtual-keys", {"name": "a"}).body["virtual_key"]["id"]
        for _ in range(2):
            call = {"model": "gpt-4o", "virtual_key_id": key, "user_id": "u"}
            service.call("POST", "/api/governance/reservations", call)
        service.call("GET", "/api/governance/model-configs", key="wrong")
        yield [json.loads(line) for line in service.stderr.read_text().splitlines()]
    finally:
        service.end()


def stage(name: str) -> list[str]:
    """Return the names in the map of a stage."""
    block = PIPELINE.partition(f"stage.{name} {{")[2]
    return NAME.findall(block[: block.index("\n  }\n")])


def examples(language: str, heading: str) -> list[str]:
    """Return the examples in the blocks of a section. A blank line is between two of them."""
    (blocks,) = [section.blocks for section in sections(PAGE) if section.heading == heading]
    texts = [block.text for block in blocks if block.language == language]
    return [re.sub(r"^#.*\n", "", part.strip()) for text in texts for part in text.split("\n\n")]


def test_pipeline_reads_fields_that_the_service_writes(lines):
    written = set.union(*(set(line) for line in lines))
    assert len(stage("json")) == 12
    assert set(stage("json")) <= written


def test_pipeline_keeps_what_it_reads():
    read, kept = stage("json"), stage("labels") + stage("structured_metadata")
    assert sorted([*kept, "time"]) == sorted(read)
    assert stage("labels") == ["level", "logger"]


def test_denial_has_every_field_of_the_metadata(lines):
    (denial,) = [line for line in lines if line.get("status") == 429]
    assert set(stage("structured_metadata")) <= set(denial)


def test_time_has_the_format_of_the_pipeline(lines):
    assert 'source = "time"\n    format = "RFC3339Nano"' in PIPELINE
    assert all(RFC3339.fullmatch(line["time"]) for line in lines)


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
def test_source_leads_to_the_pipeline_with_the_label_of_the_questions(file):
    text = COMMENT.sub("", file.read_text())
    assert 'loki.process "model_limits" {' in PIPELINE
    assert "forward_to = [loki.process.model_limits.receiver]" in text
    assert re.search(r'job = "model-limits"|target_label = "job"\n +replacement +=  ?"model-limits"', text)
    assert text.count("{") == text.count("}")


def test_journal_source_reads_the_unit():
    assert '"_SYSTEMD_UNIT=model-limits.service"' in SOURCES[0].read_text()
    assert (ROOT / "deploy/model-limits.service").exists()


def test_questions_to_loki_name_labels_and_metadata():
    known = {"job", *stage("labels"), *stage("structured_metadata")}
    questions = examples("logql", "Loki")
    assert len(questions) == 5
    for question in questions:
        asked = set(LABEL.findall(question)) | {name for found in BY.findall(question) for name in found.split(", ")}
        assert "job" in asked
        assert asked <= known


@pytest.fixture(scope="module")
def journal(lines, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a journal file with the lines, as journald would store them."""
    folder, now = tmp_path_factory.mktemp("journal"), time_ns() // 1000
    entries = []
    for number, line in enumerate(lines):
        if "request_id" in line:
            line["request_id"] = EXAMPLE
        fields = {
            "__REALTIME_TIMESTAMP": now + number,
            "__MONOTONIC_TIMESTAMP": 1_000_000 + number,
            "_BOOT_ID": BOOT,
            "PRIORITY": 6,
            "_SYSTEMD_UNIT": "model-limits.service",
            "MESSAGE": json.dumps(line),
        }
        entries.append("".join(f"{name}={value}\n" for name, value in fields.items()) + "\n")
    file = folder / "model-limits.journal"
    subprocess.run([REMOTE, f"--output={file}", "-"], input="".join(entries), text=True, check=True)
    return file


@pytest.mark.parametrize("command", examples("sh", "The journal"), ids=range(5))
def test_command_finds_lines_in_the_journal(command, journal):
    script = f'set -euo pipefail; journalctl() {{ command journalctl --file="$JOURNAL" "$@"; }}; {command}'
    environ = os.environ | {"JOURNAL": str(journal)}
    told = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True, env=environ)
    assert told.stdout.strip()
    assert told.stderr == ""


def test_commands_of_the_journal_name_fields_that_are_written(lines):
    written = set.union(*(set(line) for line in lines))
    asked = {field for command in examples("sh", "The journal") for field in FIELD.findall(command)}
    assert asked <= written
