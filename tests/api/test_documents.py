"""Public documents are rendered once and compressed, and are safe to open in a browser."""

import gzip
import re
from base64 import b64encode
from hashlib import sha256

import pytest

from governance.web.docs import openapi

PATHS = ["/docs", "/openapi.json"]


@pytest.fixture
def nobody(api):
    return api.with_key(None)


@pytest.mark.parametrize("path", PATHS)
def test_a_document_is_rendered_once(nobody, path, monkeypatch):
    first = nobody.get(path)
    monkeypatch.setattr(openapi, "document", lambda _: pytest.fail("rendered again"))
    assert nobody.get(path).data == first.data


@pytest.mark.parametrize("path", PATHS)
def test_a_document_comes_compressed_to_who_can_read_that(nobody, path):
    plain = nobody.get(path)
    packed = nobody.get(path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < 64 * 1024
    assert {plain.headers["Vary"], packed.headers["Vary"]} == {"Accept-Encoding"}
    assert plain.headers["ETag"] != packed.headers["ETag"]


@pytest.mark.parametrize("path", PATHS)
def test_a_document_that_a_client_has_is_not_sent_again(nobody, path):
    etag = nobody.get(path).headers["ETag"]
    again = nobody.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")


def test_a_browser_may_show_the_page_with_its_own_styles_and_do_nothing_else(nobody):
    answer = nobody.get("/docs")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert rules["frame-ancestors"] == "'none'"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r'\sstyle="|<script', answer.text)


@pytest.mark.parametrize("path", [*PATHS, "/healthz", "/api/governance/model-configs", "/nowhere"])
def test_no_answer_is_taken_for_another_type_than_it_says(api, path):
    for answer in (api.get(path), api.get(path), api.get(path, headers={"If-None-Match": '"x"'})):
        assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]


def test_an_answer_from_memory_that_is_given_again_says_so_too(api):
    api.create()
    answers = [api.get("model-configs?from_memory=true") for _ in range(3)]
    assert [answer.headers.getlist("X-Content-Type-Options") for answer in answers] == [["nosniff"]] * 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/api-keys", {"name": "ci", "scopes": ["read"]}),
        ("virtual-keys", {"name": "Team A"}),
    ],
)
def test_an_answer_with_a_secret_is_stored_by_nobody(api, path, body):
    assert api.post(path, body).headers["Cache-Control"] == "no-store"
