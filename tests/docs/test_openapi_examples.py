"""The OpenAPI document has the examples of docs/api.md, and every operation has an example.

`WRITE_EXAMPLES=1 pytest tests/docs/test_openapi_examples.py` writes the examples anew.
"""

import json
import os
import shutil

import pytest

from tests.api.test_openapi import body_schema, faults, operations
from tests.conftest import governance_of
from tests.docs.examples import differences, steps
from tests.docs.pages import ROOT, sections
from tests.docs.recording import Recorder
from tests.docs.sessions import Session

FILE = ROOT / "governance/web/docs/examples.json"
WITHOUT_JSON = {"metrics", "openapi_json", "docs", "authorize", "authorize_path"}


@pytest.fixture
def recorded(app, clock, serve, session):
    """Return the calls of the page."""
    recorder = Recorder(app)
    recording = Session(app, serve(recorder), session.environ)
    for section in sections(ROOT / "docs/api.md"):
        for step in steps(section.blocks):
            clock.advance(1)
            governance_of(app).poller.poll()
            recording.run(step)
    return recorder.calls


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_examples_are_those_of_the_page(recorded):
    if os.environ.get("WRITE_EXAMPLES"):
        FILE.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")
    assert differences(json.loads(FILE.read_text()), recorded) == []


def test_every_operation_has_an_example_that_its_schema_allows(api):
    document = api.get("/openapi.json").get_json()
    for path, method, operation in operations(document):
        if operation["operationId"] in WITHOUT_JSON:
            continue
        content = operation["responses"]["200"]["content"]["application/json"]
        assert "example" in content, (method, path)
        found = list(faults(document, content["schema"], content["example"])) if "schema" in content else []
        if method in ("post", "put") and "requestBody" in operation:
            example = operation["requestBody"]["content"]["application/json"]["example"]
            found += faults(document, body_schema(operation), example)
        assert found == [], (method, path)


def test_the_page_shows_an_example_of_every_operation_that_has_one(api):
    document, page = api.get("/openapi.json").get_json(), api.get("/docs").text
    shown = [operation for *_, operation in operations(document) if operation["operationId"] not in WITHOUT_JSON]
    assert page.count("<summary>Example</summary>") == len(shown)
