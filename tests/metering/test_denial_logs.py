"""The log line of a denial has the ids of its key and user (docs/contract.md §8), never a key's value or a body."""

import json
import logging

import pytest

from governance.web.http.logs import JsonLine
from tests.metering.conftest import requests


@pytest.fixture
def lines(app):
    """Return the list of the lines of the refusal log from now on, as objects."""
    heard = []

    class Listener(logging.Handler):
        def emit(self, record):
            heard.append(json.loads(self.format(record)))

    listener = Listener()
    listener.setFormatter(JsonLine())
    logger = logging.getLogger("governance.requests")
    logger.addHandler(listener)
    yield heard
    logger.removeHandler(listener)


def test_a_denial_is_logged_with_its_key_model_owner_and_rule(api, meter, lines):
    api.post("virtual-keys", {"id": "vk-1", "name": "team", "value": "sk-hunter2"})
    rule = api.create(scope="virtual_key", scope_id="vk-1", rate_limit=requests(1, "1h"))["rate_limit"]["id"]
    api.create(rate_limit=requests(1, "1d"))
    meter.hold(virtual_key="sk-hunter2", user_id="ann")
    gateway = api.post("/api/api-keys", {"name": "gateway", "scopes": ["meter"]}).get_json()["api_key"]
    body = {"model": "gpt-4o", "provider": "openai", "virtual_key": "sk-hunter2", "user_id": "ann"}
    response = api.with_key(gateway["key"]).post("reservations", body)
    assert response.status_code == 429
    (line,) = lines
    assert {name: line[name] for name in ("status", "code", "api_key_id", "model", "virtual_key_id", "user_id")} == {
        "status": 429,
        "code": "request_limited",
        "api_key_id": gateway["id"],
        "model": "gpt-4o",
        "virtual_key_id": "vk-1",
        "user_id": "ann",
    }
    assert line["rule_id"] == rule == response.get_json()["extra_fields"]["violations"][0]["rule_id"]
    assert "hunter2" not in json.dumps(line)
    assert gateway["key"] not in json.dumps(line)


def test_a_denial_that_concerns_nobody_in_particular_names_nobody(api, meter, lines):
    api.create(rate_limit=requests(1, "1h"))
    meter.hold()
    meter.denied()
    (line,) = lines
    assert {"model", "rule_id", "api_key_id"} < set(line)
    assert set(line).isdisjoint({"virtual_key_id", "user_id"})


def test_another_refusal_names_the_api_key_and_no_model(api, lines):
    key = api.post("/api/api-keys", {"name": "gateway", "scopes": ["meter"]}).get_json()["api_key"]
    assert api.with_key(key["key"]).get("reservations/none").status_code == 404
    (line,) = lines
    assert line["api_key_id"] == key["id"]
    assert set(line).isdisjoint({"model", "rule_id"})
