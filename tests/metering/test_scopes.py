"""The API keys that may meter (docs/contract.md §2).

`meter` is needed for every effect. `read` is enough for calls without effect.
"""

import pytest

from tests.metering.conftest import ok

METERING = {"meter", "admin"}
LOOKING = {"read", "write", "meter", "admin"}
CALLS = [
    ("POST", "reservations", {"model": "m"}, METERING),
    ("POST", "reservations/{held}/settle", {}, METERING),
    ("POST", "reservations/{held}/release", None, METERING),
    ("POST", "reservations/{held}/extend", {"ttl_seconds": 5}, METERING),
    ("POST", "usage", {"model": "m"}, METERING),
    ("POST", "check", {"model": "m"}, LOOKING),
    ("GET", "reservations", None, LOOKING),
    ("GET", "reservations/{held}", None, LOOKING),
]
calls = pytest.mark.parametrize("call", CALLS, ids=[path for _, path, *_ in CALLS])


def send(api, call, held):
    method, path, body, _ = call
    return api.request(method, path.format(held=held), **({} if body is None else {"json": body}))


@calls
@pytest.mark.parametrize("scope", ["read", "write", "meter", "admin"])
def test_a_key_may_do_what_its_scope_says(api, meter, call, scope):
    held = meter.hold()
    key = ok(api.post("/api/api-keys", {"name": "k", "scopes": [scope]}))["api_key"]["key"]
    response = send(api.with_key(key), call, held)
    if scope in call[-1]:
        assert response.status_code == 200, response.text
    else:
        assert (response.status_code, response.get_json()["error"]["code"]) == (403, "insufficient_scope")


@calls
def test_without_a_key_nothing_is_answered(api, meter, call):
    held = meter.hold()
    response = send(api.with_key(None), call, held)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_virtual_key_is_no_api_key(api, meter):
    value = ok(api.post("virtual-keys", {"name": "team"}))["virtual_key"]["value"]
    assert api.with_key(value).post("reservations", {"model": "m"}).status_code == 401


def test_a_meter_key_may_neither_read_nor_write_limits(api):
    key = ok(api.post("/api/api-keys", {"name": "gateway", "scopes": ["meter"]}))["api_key"]["key"]
    assert api.with_key(key).get("model-configs").status_code == 403
    assert api.with_key(key).post("model-configs", {"model_name": "m"}).status_code == 403


def test_a_key_without_the_scope_learns_nothing_of_its_body(api):
    key = ok(api.post("/api/api-keys", {"name": "reader", "scopes": ["read"]}))["api_key"]["key"]
    assert api.with_key(key).post("reservations", {"modle": 1}).status_code == 403


def test_a_key_with_read_and_meter_may_do_both(api):
    key = ok(api.post("/api/api-keys", {"name": "both", "scopes": ["read", "meter"]}))["api_key"]["key"]
    assert api.with_key(key).post("reservations", {"model": "m"}).status_code == 200
    assert api.with_key(key).get("model-configs").status_code == 200


def test_a_key_that_another_worker_made_meters_at_once(api, other):
    key = ok(api.post("/api/api-keys", {"name": "gateway", "scopes": ["meter"]}))["api_key"]["key"]
    assert other.api.with_key(key).post("reservations", {"model": "m"}).status_code == 200
