"""The common parts of all responses: the error's form, the request id, compact JSON.

A refused request stores nothing.
"""

import dataclasses
import json
import sqlite3
from types import SimpleNamespace

import pytest
from sqlalchemy import select
from sqlalchemy.exc import ProgrammingError

from app import create_app
from governance.services.random_ids import RandomIds
from governance.storage.tables import metadata

MIB = 1024 * 1024
LIMIT = {"model_name": "gpt-4o", "budgets": [{"max_limit": 5, "reset_duration": "1d"}]}
INTERNALS = ("Traceback", ".py", "/srv", "/tmp", "SELECT", "sqlite", "Error", "hunter2")  # noqa: S108
UNFORESEEN = [
    RuntimeError("/srv/limits/governance/services/hunter2.py"),
    KeyError("hunter2"),
    ProgrammingError("SELECT hunter2 FROM users", {}, Exception("sqlite3.OperationalError: /tmp/governance.db")),
    RecursionError("hunter2"),
]

REFUSALS = {
    "a bad parameter": (
        lambda to: to.admin.get("virtual-keys?limit=0"),
        (400, "invalid_request", "invalid_parameter", "limit"),
    ),
    "an unknown parameter": (
        lambda to: to.admin.post("users?lmit=1", {"name": "Ada"}),
        (400, "invalid_request", "unknown_parameter", "lmit"),
    ),
    "a body that is no JSON": (
        lambda to: to.admin.post("users", data=b"{"),
        (400, "invalid_request", "invalid_body", None),
    ),
    "a bad field": (
        lambda to: to.admin.post("users", {"name": 5}),
        (400, "invalid_request", "invalid_field", "name"),
    ),
    "an unknown field": (
        lambda to: to.admin.post("users", {"name": "Ada", "nmae": 5}),
        (400, "invalid_request", "unknown_field", "nmae"),
    ),
    "a body that breaks off": (
        lambda to: to.admin.post("users", data=b'{"name"', environ_overrides={"CONTENT_LENGTH": "100"}),
        (400, "invalid_request", "malformed_request", None),
    ),
    "no key": (
        lambda to: to.nobody.post("users", {"name": "Ada"}),
        (401, "authentication", "api_key_required", None),
    ),
    "an unknown key": (
        lambda to: to.nobody.with_key("gov-unknown").post("users", {"name": "Ada"}),
        (401, "authentication", "invalid_api_key", None),
    ),
    "a scope too few": (
        lambda to: to.reader.post("users", {"name": "Ada"}),
        (403, "permission", "insufficient_scope", None),
    ),
    "an unknown path": (
        lambda to: to.admin.get("nothing-here"),
        (404, "not_found", "route_not_found", None),
    ),
    "an unknown path outside of /api": (
        lambda to: to.nobody.get("/nothing/here"),
        (404, "not_found", "route_not_found", None),
    ),
    "an unknown limit": (
        lambda to: to.admin.delete("model-configs/unknown"),
        (404, "not_found", "model_config_not_found", None),
    ),
    "an unknown virtual key": (
        lambda to: to.admin.delete("virtual-keys/unknown"),
        (404, "not_found", "virtual_key_not_found", None),
    ),
    "an unknown user": (
        lambda to: to.admin.delete("users/unknown"),
        (404, "not_found", "user_not_found", None),
    ),
    "an unknown API key": (
        lambda to: to.admin.delete("/api/api-keys/unknown"),
        (404, "not_found", "api_key_not_found", None),
    ),
    "a method that a path does not have": (
        lambda to: to.admin.request("PATCH", "users"),
        (405, "invalid_request", "method_not_allowed", None),
    ),
    "a second limit of one identity": (
        lambda to: to.admin.post("model-configs", LIMIT),
        (409, "conflict", "already_exists", "model_name"),
    ),
    "a second virtual key of one name": (
        lambda to: to.admin.post("virtual-keys", {"name": "Team A"}),
        (409, "conflict", "already_exists", "name"),
    ),
    "a stale version": (
        lambda to: to.admin.delete(f"model-configs/{to.limit_id}", headers={"If-Match": '"99.abc"'}),
        (412, "conflict", "stale_version", "If-Match"),
    ),
    "a body over 1 MiB": (
        lambda to: to.admin.post("users", data=b'{"name":"Ada"}'.ljust(MIB + 1)),
        (413, "invalid_request", "body_too_large", None),
    ),
    "a mistake of the service": (
        lambda to: to.nobody.get("/readyz"),
        (500, "internal", "internal_error", None),
    ),
}


class Broken:
    """A service object that raises an unexpected error at every use."""

    def __init__(self, error):
        self._error = error

    def __getattr__(self, _):
        raise self._error


@pytest.fixture
def to(api, app, governance):
    limit_id = api.create(**LIMIT)["id"]
    api.post("virtual-keys", {"id": "team-a", "name": "Team A"})
    api.post("users", {"id": "ada", "name": "Ada"})
    reader = api.post("/api/api-keys", {"name": "reader", "scopes": ["read"]}).get_json()["api_key"]["key"]
    app.extensions["governance"] = dataclasses.replace(governance, health=Broken(RuntimeError("hunter2")))
    return SimpleNamespace(admin=api, nobody=api.with_key(None), reader=api.with_key(reader), limit_id=limit_id)


def stored(database):
    """Return all rows of all tables."""
    with database.read() as connection:
        return {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}


@pytest.mark.parametrize("name", REFUSALS)
def test_every_refusal_has_the_one_shape_with_its_status_type_code_and_param(to, name):
    ask, (status, kind, code, param) = REFUSALS[name]
    response = ask(to)
    message = response.get_json()["error"]["message"]
    assert response.status_code == status
    assert response.content_type == "application/json"
    assert response.get_json() == {
        "is_bifrost_error": False,
        "status_code": status,
        "error": {"type": kind, "code": code, "message": message, "param": param},
        "extra_fields": {"existing_id": to.limit_id} if param == "model_name" else {},
    }
    assert message[0].isupper()
    assert "\n" not in message


def test_no_refused_request_stores_anything(to, database):
    before = stored(database)
    for name, (ask, (status, *_)) in REFUSALS.items():
        assert ask(to).status_code == status, name
        assert stored(database) == before, name


def test_a_request_that_fails_half_way_through_its_transaction_stores_nothing(app, api, settings, clock, database):
    def fail():
        raise RuntimeError("no randomness left")

    failing = create_app(settings, clock=clock, random_ids=RandomIds(new_id=fail))
    before = stored(database)
    response = type(api)(failing.test_client(), api.key).post("/api/api-keys", {"name": "a", "scopes": ["read"]})
    assert response.status_code == 500
    assert stored(database) == before


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_a_500_shows_no_stack_trace_no_path_and_no_sql(api, app, governance, error):
    app.extensions["governance"] = dataclasses.replace(governance, users=Broken(error))
    response = api.get("users")
    assert response.status_code == 500
    assert not [word for word in INTERNALS if word in response.text + str(response.headers)]
    assert "X-Request-Id" in response.get_json()["error"]["message"]


def test_a_mistake_while_the_caller_is_recognised_is_a_500_in_the_one_shape(api, governance, monkeypatch):
    def mistaken(_):
        raise KeyError("hunter2")

    monkeypatch.setattr(governance.authentication, "authenticate", mistaken)
    response = api.get("users")
    assert response.status_code == 500
    assert response.get_json()["error"]["code"] == "internal_error"
    assert "hunter2" not in response.text


def test_a_database_that_another_process_has_locked_is_503_with_retry_after_and_without_a_path(api, settings, database):
    holder = sqlite3.connect(settings.database_path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    response = api.post("users", {"name": "Ada"})
    holder.close()
    error = response.get_json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (503, "unavailable", "database_unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert "lock" in error["message"]
    assert str(settings.instance) not in response.text
    assert api.get("users").get_json()["total_count"] == 0


def test_all_faults_of_a_body_are_reported_at_once(api):
    body = api.post("virtual-keys", {"name": "", "is_active": "yes", "nonsense": 1}).get_json()
    errors = body["extra_fields"]["errors"]
    assert {error["param"] for error in errors} == {"name", "is_active", "nonsense"}
    assert all(set(error) == {"param", "message"} and error["param"] in error["message"] for error in errors)
    assert {name: body["error"][name] for name in ("param", "message")} == errors[0]


def test_all_faults_of_a_query_are_reported_at_once(api):
    body = api.get("model-configs?limit=x&offset=-1&scope=team&order=up&nonsense=1").get_json()
    errors = body["extra_fields"]["errors"]
    assert {error["param"] for error in errors} == {"limit", "offset", "scope", "order", "nonsense"}
    assert {name: body["error"][name] for name in ("param", "message")} == errors[0]


def test_the_faults_of_a_query_and_of_a_body_are_reported_together(api):
    body = api.post("users?nonsense=1", {"name": 5}).get_json()
    assert {error["param"] for error in body["extra_fields"].get("errors", [])} == {"nonsense", "name"}


def test_one_fault_alone_has_no_list_of_errors(api):
    assert api.post("users", {"name": 5}).get_json()["extra_fields"] == {}


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/api/governance/users/", "/api/governance/a/b/c"])
def test_a_404_names_the_path_that_is_not_there_and_where_the_others_are(api, path):
    assert api.get(path).get_json()["error"]["message"] == f"Route not found: {path} (/docs shows every route)."


def test_a_path_that_is_no_utf8_is_404_in_the_one_shape(api):
    response = api.get("/api/%ff%ed%a0%80")
    assert (response.status_code, response.get_json()["error"]["code"]) == (404, "route_not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "users", {"GET", "POST"}),
        ("DELETE", "model-configs", {"GET", "POST"}),
        ("OPTIONS", "users", {"GET", "POST"}),
        ("POST", "users/ada", {"GET", "PUT", "DELETE"}),
        ("GET", "/api/api-keys/some-id", {"DELETE"}),
        ("POST", "budgets", {"GET"}),
        ("POST", "/healthz", {"GET"}),
        ("BREW", "/readyz", {"GET"}),
    ],
)
def test_a_405_says_which_methods_there_are_in_its_sentence_and_in_allow(api, method, path, allowed):
    response = api.request(method, path)
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) - {"HEAD"} == allowed
    assert all(word in response.get_json()["error"]["message"] for word in allowed)


@pytest.mark.parametrize("sane", ["1", "req-42", "2f1a6f6e-0c3b-4a6e-9f0f-3f8e8f0b7a11", "a" * 64])
def test_a_sane_request_id_of_the_caller_comes_back(api, sane):
    for path in ("users", "users/unknown", "/healthz", "/nothing"):
        assert api.get(path, headers={"X-Request-Id": sane}).headers["X-Request-Id"] == sane


@pytest.mark.parametrize("insane", ["", " ", "a b", "a" * 5000, "<script>", 'a"b', "tab\there", "\xfc", "a\x00b"])
def test_an_insane_request_id_is_replaced(api, insane):
    given = api.get("users", headers={"X-Request-Id": insane}).headers.getlist("X-Request-Id")
    assert len(given) == 1
    assert given[0] not in {"", insane}
    assert given[0].isascii()
    assert given[0].isprintable()


def test_every_answer_carries_one_request_id_and_each_another(to):
    etag = to.admin.get("model-configs").headers["ETag"]
    answers = [ask(to) for ask, _ in REFUSALS.values()]
    answers += [to.admin.get("users"), to.admin.get("model-configs", headers={"If-None-Match": etag})]
    assert answers[-1].status_code == 304
    assert all(len(answer.headers.getlist("X-Request-Id")) == 1 for answer in answers)
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(answers)


def test_answers_are_compact_json_in_utf8(api):
    response = api.post("users", {"id": "ü", "name": "Größe ☃ 😀"})
    assert response.content_type == "application/json"
    assert response.data == json.dumps(response.get_json(), separators=(",", ":"), ensure_ascii=False).encode()
    assert "Größe ☃ 😀".encode() in response.data


def test_every_success_of_a_create_a_change_and_a_delete_is_200(api):
    for path, body in (("model-configs", LIMIT), ("users", {"name": "Ada"}), ("virtual-keys", {"name": "Team A"})):
        created = api.post(path, body)
        found = next(value for value in created.get_json().values() if isinstance(value, dict))
        answers = [created, api.put(f"{path}/{found['id']}", {}), api.delete(f"{path}/{found['id']}")]
        assert [answer.status_code for answer in answers] == [200, 200, 200]


def test_a_head_request_is_answered_like_its_get_without_a_body(api):
    response = api.request("HEAD", "users")
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["X-Request-Id"]
