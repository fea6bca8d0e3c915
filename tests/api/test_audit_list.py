"""`GET /audit`: newest first, filtered, with pages like every list. Only admins see entries of API keys."""

import pytest

from tests.api.trail import entries, key, ok


@pytest.fixture
def history(api, clock):
    """Store ten entries by two keys, an hour apart, from noon on."""
    caller = api.with_key(key(api, "admin")["key"])
    for turn in range(3):
        for path in ("users", "virtual-keys"):
            clock.advance(3600)
            ok(caller.post(path, {"id": f"x{turn}", "name": f"name {turn}"}))
        clock.advance(3600)
        ok(api.put(f"users/x{turn}", {"name": "changed"}))
    return entries(api)


def seqs(api, query):
    return [entry["seq"] for entry in entries(api, query)]


def test_the_newest_stands_first(history):
    assert [entry["seq"] for entry in history] == list(range(10, 0, -1))


def test_entries_of_the_same_instant_keep_their_order_also_where_the_clock_steps_back(api, clock):
    for turn in range(3):
        ok(api.post("users", {"id": f"u{turn}", "name": "Ada"}))
    clock.advance(-3600)
    ok(api.post("users", {"id": "u3", "name": "Ada"}))
    assert [entry["entity_id"] for entry in entries(api)] == ["u3", "u2", "u1", "u0"]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("entity=user", [10, 8, 7, 5, 4, 2]),
        ("entity=virtual_key", [9, 6, 3]),
        ("entity=api_key", [1]),
        ("entity=model_config", []),
        ("entity_id=x1", [7, 6, 5]),
        ("entity=user&entity_id=x1", [7, 5]),
        ("entity_id=X1", []),
        ("actor=key:settings", [10, 7, 4, 1]),
        ("actor=key", []),
        ("action=update", [10, 7, 4]),
        ("action=delete", []),
        ("since=2026-11-23T19:00:00Z", [10, 9, 8]),
        ("until=2026-11-23T14:00:00Z", [2, 1]),
        ("since=2026-11-23T14:00:00Z&until=2026-11-23T16:00:00Z", [4, 3]),
        ("since=2026-11-23T16:00:00%2B02:00&until=2026-11-23T16:00:00Z", [4, 3]),
        ("since=2026-11-23T16:00:00Z&until=2026-11-23T14:00:00Z", []),
        ("entity=user&actor=key:settings&action=update&since=2026-11-23T18:00:00Z", [10, 7]),
        ("entity=&entity_id=&actor=&action=&since=&until=&limit=&offset=", list(range(10, 0, -1))),
    ],
)
def test_filters_leave_what_passes_them_all(api, history, query, wanted):
    assert seqs(api, query) == wanted
    page = api.get(f"audit?{query}").get_json()
    assert page["total_count"] == page["count"] == len(wanted)


@pytest.mark.parametrize(
    ("query", "wanted", "page"),
    [
        ("limit=4", [10, 9, 8, 7], (4, 0)),
        ("limit=4&offset=8", [2, 1], (4, 8)),
        ("offset=10", [], (25, 10)),
        ("offset=1000000000", [], (25, 1_000_000_000)),
        ("limit=1000", list(range(10, 0, -1)), (100, 0)),
    ],
)
def test_it_is_paged_like_every_list(api, history, query, wanted, page):
    found = api.get(f"audit?{query}").get_json()
    assert list(found) == ["audit", "total_count", "count", "limit", "offset"]
    assert [entry["seq"] for entry in found["audit"]] == wanted
    assert (found["total_count"], found["count"], found["limit"], found["offset"]) == (10, len(wanted), *page)


def test_links_lead_to_the_pages_beside_it_and_keep_the_filters(api, history):
    assert api.get("audit?entity=user&limit=2&offset=2").headers["Link"] == (
        '<?limit=2&offset=4&entity=user>; rel="next", <?limit=2&offset=0&entity=user>; rel="prev"'
    )


def test_without_any_change_the_list_is_empty(api):
    assert ok(api.get("audit")) == {"audit": [], "total_count": 0, "count": 0, "limit": 25, "offset": 0}


@pytest.mark.parametrize(
    ("query", "param", "word"),
    [
        ("entity=limit", "entity", "one of model_config, virtual_key, user, api_key"),
        ("entity=model_limit", "entity", "one of"),
        ("action=edit", "action", "one of create, update, delete"),
        ("since=yesterday", "since", "RFC 3339"),
        ("until=2026-11-23", "until", "RFC 3339"),
        ("since=1764000000", "since", "RFC 3339"),
        ("from=2026-11-23T00:00:00Z", "from", "no such parameter"),
        ("search=x", "search", "no such parameter"),
        ("from_memory=true", "from_memory", "no such parameter"),
        ("actor=a&actor=b", "actor", "once"),
        ("actor=%ff", "actor", "UTF-8"),
        ("limit=0", "limit", "1 or more"),
        ("limit=x", "limit", "whole number"),
        ("offset=-1", "offset", "0 or more"),
        ("offset=1000000001", "offset", "or less"),
    ],
)
def test_a_question_that_is_none_is_refused(api, query, param, word):
    response = api.get(f"audit?{query}")
    error = response.get_json()["error"]
    assert (response.status_code, error["param"]) == (400, param)
    assert word in error["message"]


def test_all_faults_are_told_at_once(api):
    listed = api.get("audit?entity=x&since=y&limit=0&z=1").get_json()["extra_fields"]["errors"]
    assert {fault["param"] for fault in listed} == {"entity", "since", "limit", "z"}


@pytest.mark.parametrize("scopes", [["read"], ["write"], ["read", "meter"]], ids=str)
def test_what_was_done_to_api_keys_is_for_admins_alone(api, scopes):
    reader = api.with_key(key(api, *scopes)["key"])
    ok(api.post("users", {"id": "u", "name": "Ada"}))
    key(api, "write")
    page = reader.get("audit").get_json()
    assert ([entry["entity"] for entry in page["audit"]], page["total_count"]) == (["user"], 1)
    assert reader.get("audit?entity=api_key").get_json()["total_count"] == 0
    assert [entry["entity"] for entry in entries(api)] == ["api_key", "user", "api_key"]
    assert [entry["entity"] for entry in entries(api.with_key(key(api, "admin")["key"]), "entity=user")] == ["user"]


def test_a_key_that_only_meters_none_and_a_wrong_one_do_not_read_it(api):
    response = api.with_key(key(api, "meter")["key"]).get("audit")
    error = response.get_json()["error"]
    assert (response.status_code, error["code"]) == (403, "insufficient_scope")
    assert "scope read" in error["message"]
    assert api.with_key(None).get("audit?limit=x").status_code == 401
    assert api.with_key("gov-unknown").get("audit").status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nobody_writes_or_removes_an_entry_through_the_api(api, method):
    assert api.request(method, "audit").status_code == 405
    assert api.request(method, "audit/1").status_code == 404
