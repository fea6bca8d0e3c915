"""API keys are checked on every path under /api, before the rest of the request. Then their scopes are checked."""

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import event, select

from app import create_app
from governance.domain.times import SECOND
from governance.storage.tables import metadata

KEYS_ONLY = "management APIs take API keys only"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
EXPIRY = "2026-11-24T12:00:00Z"

ABSENT = {
    "no header": {},
    "an empty header": {"Authorization": ""},
    "a blank header": {"Authorization": " "},
    "the scheme alone": {"Authorization": "Bearer"},
    "the scheme and a blank": {"Authorization": "Bearer "},
    "the key alone": {"Authorization": "{key}"},
    "Basic": {"Authorization": "Basic {key}"},
    "Token": {"Authorization": "Token {key}"},
    "Bearer without a blank": {"Authorization": "Bearer{key}"},
    "Bearer with a colon": {"Authorization": "Bearer: {key}"},
    "x-api-key alone": {"x-api-key": "{key}"},
    "x-api-key beside another scheme": {"x-api-key": "{key}", "Authorization": "Basic {key}"},
    "x-bf-vk alone": {"x-bf-vk": "{key}"},
    "a cookie": {"Cookie": "token={key}"},
}
UNKNOWN = {
    "an unknown key": "Bearer gov-unknown",
    "a key of another kind": "Bearer nonsense",
    "a key cut short": "Bearer {short}",
    "a key with more behind it": "Bearer {key}x",
    "a key twice": "Bearer {key} {key}",
    "two headers in one": "Bearer {key}, Bearer {key}",
    "a key in another case": "Bearer {upper}",
    "a key in quotes": 'Bearer "{key}"',
    "a session token": f"Bearer {JWT}",
    "a key that is no ASCII": "Bearer gov-\xfc\xff",
    "a key of a million characters": "Bearer gov-" + "a" * 1_000_000,
}
BEFORE_ANYTHING_ELSE = [
    ("GET", "users", {}),
    ("GET", "users?limit=x&nonsense=1&search=%ff", {}),
    ("GET", "/api", {}),
    ("GET", "/api/", {}),
    ("GET", "/api/nothing/here", {}),
    ("GET", "/api/%ff", {}),
    ("GET", "users/unknown", {}),
    ("POST", "/api/api-keys", {"json": {"name": "mine", "scopes": ["admin"]}}),
    ("POST", "users", {"data": b"{"}),
    ("POST", "users", {"data": b" " * 1024 * 1025}),
    ("PUT", "users", {}),
    ("PATCH", "/api/nothing", {}),
    ("OPTIONS", "users", {}),
    ("HEAD", "users", {}),
]

READS = [
    ("GET", "audit"),
    ("GET", "model-configs"),
    ("GET", "model-configs?from_memory=true"),
    ("GET", "model-configs/unknown"),
    ("GET", "budgets"),
    ("GET", "rate-limits"),
    ("GET", "virtual-keys"),
    ("GET", "virtual-keys/unknown"),
    ("GET", "users"),
    ("GET", "users/unknown"),
    ("HEAD", "users"),
    ("GET", "reservations"),
    ("GET", "reservations/unknown"),
    ("POST", "check"),
]
METERS = [("POST", path) for path in ("reservations", "usage")] + [
    ("POST", f"reservations/unknown/{act}") for act in ("settle", "release", "extend")
]
WRITES = [("POST", path) for path in ("model-configs", "virtual-keys", "users")] + [
    (method, f"{path}/unknown") for method in ("PUT", "DELETE") for path in ("model-configs", "virtual-keys", "users")
]
KEYS = [("GET", "/api/api-keys"), ("POST", "/api/api-keys"), ("DELETE", "/api/api-keys/unknown")]
MAY = {
    "read": READS,
    "write": READS + WRITES,
    "meter": [*METERS, *READS[-3:]],
    "admin": READS + WRITES + METERS + KEYS,
}


@pytest.fixture
def elsewhere(app, api, settings, clock):
    """Return an app of another process on the same file. Its snapshot is loaded before the test begins."""
    other = create_app(settings, clock=clock)
    other.extensions["governance"].cache.refresh()
    yield type(api)(other.test_client(), None)
    other.extensions["governance"].model_limits._database.engine.dispose()


@pytest.fixture
def statements(database):
    """Return a list that gets every SQL statement from now on."""
    seen = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    return seen


def random_ids(api, *scopes, **fields):
    """Create an API key. Return the body of the response."""
    return api.post("/api/api-keys", {"name": "a key", "scopes": scopes, **fields}).get_json()["api_key"]


def refused(response, code):
    """Return whether a response is a 401 that says which key the API expects."""
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    if response.request.method == "HEAD":
        return True
    error = response.get_json()["error"]
    assert (error["type"], error["code"]) == ("authentication", code)
    return KEYS_ONLY in error["message"]


def stored(database):
    """Return all rows of all tables."""
    with database.read() as connection:
        return {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}


@pytest.mark.parametrize("name", ABSENT)
def test_without_a_bearer_key_a_request_is_401(api, name):
    headers = {header: value.format(key=api.key) for header, value in ABSENT[name].items()}
    assert refused(api.with_key(None).get("users", headers=headers), "api_key_required")


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_key_that_is_not_ours_is_401(api, name):
    key = random_ids(api, "admin")["key"]
    header = UNKNOWN[name].format(key=key, short=key[:-1], upper=key.upper())
    assert refused(api.get("users", headers={"Authorization": header}), "invalid_api_key")


def test_a_key_in_the_query_or_in_the_body_does_not_count(api):
    nobody = api.with_key(None)
    assert refused(nobody.get(f"users?api_key={api.key}&access_token={api.key}"), "api_key_required")
    assert refused(nobody.post("users", {"name": "Ada", "api_key": api.key}), "api_key_required")


@pytest.mark.parametrize("fields", [{}, {"value": "sk-my-own-virtual-key"}, {"value": "gov-looks-like-ours"}])
def test_a_virtual_keys_value_is_401_whatever_it_looks_like(api, fields):
    value = api.post("virtual-keys", {"name": "Team A", **fields}).get_json()["virtual_key"]["value"]
    assert refused(api.with_key(value).get("users"), "invalid_api_key")
    assert refused(api.with_key(None).get("users", headers={"x-api-key": value}), "api_key_required")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(api, scheme):
    assert api.get("users", headers={"Authorization": f"{scheme} {api.key}"}).status_code == 200


def test_a_good_bearer_key_counts_beside_an_x_api_key(api):
    assert api.get("users", headers={"x-api-key": "sk-anything"}).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), BEFORE_ANYTHING_ELSE)
def test_authentication_comes_before_anything_else(api, database, method, path, body):
    before = stored(database)
    assert refused(api.with_key(None).request(method, path, **body), "api_key_required")
    assert refused(api.with_key("gov-unknown").request(method, path, **body), "invalid_api_key")
    assert stored(database) == before


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_paths_outside_of_api_take_no_key(api, path):
    assert api.with_key(None).get(path).status_code == 200
    assert api.with_key("gov-unknown").get(path).status_code == 200


def test_an_unknown_path_outside_of_api_is_404_without_a_key(api):
    assert [api.with_key(None).get(path).status_code for path in ("/apiary", "/API/api-keys")] == [404] * 2


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing"])
def test_an_unknown_path_under_api_is_404_with_any_good_key(api, path):
    meter = api.with_key(random_ids(api, "meter")["key"])
    assert meter.get(path).get_json()["error"]["code"] == "route_not_found"


@pytest.mark.parametrize("scope", MAY)
def test_a_scope_opens_its_endpoints(api, scope):
    holder = api.with_key(random_ids(api, scope)["key"])
    for method, path in MAY[scope]:
        assert holder.request(method, path).status_code in {200, 400, 404}, (method, path)


@pytest.mark.parametrize("scope", MAY)
def test_a_scope_opens_nothing_else_and_the_403_names_the_one_that_is_needed(api, database, scope):
    holder = api.with_key(random_ids(api, scope)["key"])
    before = stored(database)
    for needed, endpoints in (("read", READS), ("write", WRITES), ("meter", METERS), ("admin", KEYS)):
        for method, path in endpoints:
            if (method, path) in MAY[scope]:
                continue
            response = holder.request(method, path)
            assert response.status_code == 403, (method, path)
            if method != "HEAD":
                error = response.get_json()["error"]
                assert (error["type"], error["code"]) == ("permission", "insufficient_scope")
                assert f"scope {needed}" in error["message"]
                assert scope in error["message"].split(":")[1]
    assert stored(database) == before


def test_several_scopes_add_up(api):
    holder = api.with_key(random_ids(api, "meter", "write")["key"])
    assert holder.get("users").status_code == 200
    assert holder.post("users", {"name": "Ada"}).status_code == 200
    assert holder.get("/api/api-keys").status_code == 403


@pytest.mark.parametrize("body", [{"data": b"{"}, {"json": {"nonsense": 1}}, {"data": b" " * 1024 * 1025}])
def test_a_missing_scope_comes_before_a_bad_query_and_a_bad_body(api, body):
    reader = api.with_key(random_ids(api, "read")["key"])
    assert reader.request("POST", "users?nonsense=1", **body).status_code == 403


def test_a_key_made_in_another_process_works_at_once(api, elsewhere):
    assert elsewhere.with_key(random_ids(api, "read")["key"]).get("users").status_code == 200


def test_a_key_made_in_another_process_has_the_scopes_that_it_was_made_with(api, elsewhere):
    reader = elsewhere.with_key(random_ids(api, "read")["key"])
    assert reader.post("users", {"name": "Ada"}).status_code == 403


def test_an_unknown_key_is_looked_for_once_in_the_database(api, governance, statements):
    governance.cache.refresh()
    statements.clear()
    assert api.with_key("gov-unknown").get("model-configs?from_memory=true").status_code == 401
    assert len([statement for statement in statements if "SELECT" in statement]) == 1


def test_a_key_that_memory_knows_is_recognised_without_any_sql(api, statements):
    reader = api.with_key(random_ids(api, "read")["key"])
    api.list(memory=True)
    statements.clear()
    assert reader.get("model-configs?from_memory=true").status_code == 200
    assert statements == []


def test_a_revoked_key_is_401_at_once_in_the_worker_that_revoked_it(api):
    key = random_ids(api, "read")
    reader = api.with_key(key["key"])
    assert reader.get("users").status_code == 200
    api.delete(f"/api/api-keys/{key['id']}")
    assert refused(reader.get("users"), "invalid_api_key")
    assert refused(reader.get("model-configs?from_memory=true"), "invalid_api_key")


def test_a_revoked_key_is_401_at_once_even_where_the_memory_cannot_be_refreshed(api, governance):
    key = random_ids(api, "admin")

    def fail(_):
        raise OSError("disk I/O error")

    governance.cache._loader = fail
    assert api.delete(f"/api/api-keys/{key['id']}").status_code == 200
    assert api.with_key(key["key"]).get("users").status_code == 401


def test_a_revoked_key_is_401_in_another_process_after_its_next_refresh(api, elsewhere):
    key = random_ids(api, "read")
    other = elsewhere.client.application.extensions["governance"]
    other.cache.refresh()
    reader = elsewhere.with_key(key["key"])
    assert reader.get("users").status_code == 200
    api.delete(f"/api/api-keys/{key['id']}")
    other.cache.refresh()
    assert refused(reader.get("users"), "invalid_api_key")


def test_a_revoked_key_that_another_process_never_saw_is_401_there_at_once(api, elsewhere):
    key = random_ids(api, "read")
    api.delete(f"/api/api-keys/{key['id']}")
    assert refused(elsewhere.with_key(key["key"]).get("users"), "invalid_api_key")


def test_a_key_may_revoke_itself(api):
    key = random_ids(api, "admin")
    own = api.with_key(key["key"])
    assert own.delete(f"/api/api-keys/{key['id']}").status_code == 200
    assert refused(own.get("users"), "invalid_api_key")


def test_a_key_expires_by_the_clock_in_memory_and_in_the_database_alike(api, elsewhere, clock):
    key = random_ids(api, "read", expires_at=EXPIRY)["key"]
    clock.set(EXPIRY)
    clock.now -= 1
    assert [where.with_key(key).get("users").status_code for where in (api, elsewhere)] == [200, 200]
    clock.now += 1
    assert all(refused(where.with_key(key).get("users"), "invalid_api_key") for where in (api, elsewhere))


@pytest.mark.parametrize("minted", ["API key", "virtual key", "virtual key's own value"])
def test_only_a_digest_of_a_secret_is_stored(api, settings, database, minted):
    own = {"value": "sk-the-gateways-own-value-0123456789"} if minted.endswith("value") else {}
    made = random_ids(api, "read") if minted == "API key" else None
    secret = made["key"] if made else api.post("virtual-keys", {"name": "A", **own}).get_json()["virtual_key"]["value"]
    api.with_key(secret).get("users")
    files = [path.read_bytes() for path in Path(settings.instance).iterdir()]
    rows = stored(database)
    kept = rows["api_keys"] if made else rows["virtual_keys"]
    assert [row.digest for row in kept] == [hashlib.sha256(secret.encode()).hexdigest()]
    assert not any(secret.encode() in content for content in files)


def test_last_used_at_appears_after_the_next_poll(api, governance, clock):
    key = random_ids(api, "read")
    clock.advance(90)
    api.with_key(key["key"]).get("users")
    governance.poller.poll()
    clock.advance(60)
    governance.poller.poll()
    (shown,) = api.get("/api/api-keys").get_json()["api_keys"]
    assert shown["last_used_at"] == "2026-11-23T12:01:30Z"


def test_last_used_at_is_null_for_a_key_that_was_never_used(api, governance):
    random_ids(api, "read")
    governance.poller.poll()
    assert api.get("/api/api-keys").get_json()["api_keys"][0]["last_used_at"] is None


def test_last_used_at_is_the_latest_use_in_any_process(api, elsewhere, governance, clock):
    key = random_ids(api, "read")["key"]
    elsewhere.with_key(key).get("users")
    clock.now += 5 * SECOND
    api.with_key(key).get("users")
    governance.poller.poll()
    elsewhere.client.application.extensions["governance"].poller.poll()
    assert api.get("/api/api-keys").get_json()["api_keys"][0]["last_used_at"] == "2026-11-23T12:00:05Z"


def test_a_use_that_was_refused_for_its_expiry_is_not_a_use(api, governance, clock):
    key = random_ids(api, "read", expires_at=EXPIRY)["key"]
    clock.set(EXPIRY)
    api.with_key(key).get("users")
    governance.poller.poll()
    assert api.get("/api/api-keys").get_json()["api_keys"][0]["last_used_at"] is None
