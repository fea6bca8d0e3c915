"""Virtual keys: create, list, read, change, delete. The value is shown once. The effects on limits and names."""

import base64

import pytest
from sqlalchemy import select

from app import create_app
from governance.storage.tables import metadata

NOON = "2026-11-23T12:00:00Z"
SHOWN = [
    "id",
    "name",
    "description",
    "value_prefix",
    "is_active",
    "calendar_aligned",
    "expires_at",
    "created_at",
    "updated_at",
]
BAD_FIELDS = [
    ("name", "", "1 to 255"),
    ("name", " \t ", "1 to 255"),
    ("name", "a" * 256, "1 to 255"),
    ("name", "a\nb", "control characters"),
    ("name", 7, "as text"),
    ("id", "", "1 to 255"),
    ("id", "a\u0000b", "control characters"),
    ("value", "", "1 to 255"),
    ("value", "a" * 256, "1 to 255"),
    ("value", ["sk"], "as text"),
    ("description", 7, "as text"),
    ("is_active", "true", "true or false"),
    ("is_active", 1, "true or false"),
    ("calendar_aligned", "no", "true or false"),
    ("expires_at", "tomorrow", "RFC 3339"),
    ("expires_at", "2027-01-31", "RFC 3339"),
    ("expires_at", "2027-02-30T00:00:00Z", "RFC 3339"),
    ("expires_at", "2027-01-31T00:00:00", "RFC 3339"),
    ("expires_at", 1800000000, "RFC 3339"),
    ("expires_at", NOON, "future"),
    ("expires_at", "2020-01-01T00:00:00Z", "future"),
    ("nonsense", 1, "no such field"),
    ("team_id", "t", "no teams"),
    ("customer_id", "c", "no teams"),
    ("team", {"id": "t"}, "no teams"),
    ("budgets", [{"max_limit": 1, "reset_duration": "1d"}], "scope virtual_key"),
    ("budget", {"max_limit": 1}, "scope virtual_key"),
    ("rate_limit", {"token_max_limit": 5, "token_reset_duration": "1h"}, "scope virtual_key"),
    ("rate_limits", [{}], "scope virtual_key"),
    ("provider_configs", [{"provider": "openai"}], "scope virtual_key"),
    ("mcp_configs", [{"mcp_client_name": "x"}], "the gateway's to say"),
    ("budgets", 5, "scope virtual_key"),
]


def make(api, **fields):
    """Create a key. Return the body of the response."""
    response = api.post("virtual-keys", {"name": "Team A", **fields})
    assert response.status_code == 200, response.text
    return response.get_json()["virtual_key"]


def read(api, key_id):
    """Return a stored key in the form of a response."""
    return api.get(f"virtual-keys/{key_id}").get_json()["virtual_key"]


def refusal(response, status, code, param):
    """Return the message of a refused request."""
    error = response.get_json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    return error["message"]


def stored(database):
    """Return all rows of all tables."""
    with database.read() as connection:
        return {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}


def test_a_create_with_a_name_alone_answers_the_whole_key_with_its_defaults(api):
    response = api.post("virtual-keys", {"name": "Team A"})
    key = response.get_json()["virtual_key"]
    assert response.get_json()["message"] == "Virtual key created successfully"
    assert list(key) == [*SHOWN, "value"]
    assert {name: key[name] for name in SHOWN if name not in {"id", "value_prefix"}} == {
        "name": "Team A",
        "description": None,
        "is_active": True,
        "calendar_aligned": False,
        "expires_at": None,
        "created_at": NOON,
        "updated_at": NOON,
    }


def test_a_create_takes_every_field_that_a_client_may_set(api):
    fields = {
        "id": "vk-1",
        "name": "Team A",
        "description": "The first team",
        "is_active": False,
        "calendar_aligned": True,
        "expires_at": "2027-01-31T00:00:00Z",
        "value": "sk-bf-0123456789abcdef0123456789abcdef0123456789abcdef",
    }
    key = make(api, **fields)
    assert {name: key[name] for name in fields} == fields


def test_a_minted_value_has_the_prefix_and_256_bits_of_randomness_and_never_comes_twice(api):
    values = [make(api, name=name)["value"] for name in ("a", "b")]
    assert values[0] != values[1]
    for value in values:
        assert value.startswith("sk-gov-")
        assert len(base64.urlsafe_b64decode(value.removeprefix("sk-gov-") + "=")) == 32


def test_a_value_is_shown_once_and_later_only_its_prefix(api):
    key = make(api)
    later = [api.get("virtual-keys"), api.get(f"virtual-keys/{key['id']}"), api.put(f"virtual-keys/{key['id']}", {})]
    assert all(key["value"] not in response.text and '"value"' not in response.text for response in later)
    assert key["value"].startswith(read(api, key["id"])["value_prefix"])
    assert len(key["value_prefix"]) < len(key["value"]) / 2


def test_the_prefix_of_a_short_value_does_not_give_the_value_away(api):
    assert make(api, value="sk-a")["value_prefix"] in {"", "s"}


def test_names_and_ids_are_trimmed(api):
    key = make(api, id="  vk-1 ", name="\tTeam A  ")
    assert (key["id"], key["name"]) == ("vk-1", "Team A")


def test_an_expiry_in_another_zone_is_shown_in_utc(api):
    assert make(api, expires_at="2027-01-31T02:00:00.5+02:00")["expires_at"] == "2027-01-31T00:00:00.500000Z"


@pytest.mark.parametrize(("field", "value", "words"), BAD_FIELDS)
def test_a_bad_field_is_refused_by_name_on_create_and_nothing_is_stored(api, database, field, value, words):
    before = stored(database)
    response = api.post("virtual-keys", {"name": "Team A", field: value})
    code = "unknown_field" if words == "no such field" else "invalid_field"
    assert words in refusal(response, 400, code, field)
    assert stored(database) == before


@pytest.mark.parametrize(("field", "value", "words"), [bad for bad in BAD_FIELDS if bad[0] not in {"id", "value"}])
def test_a_bad_field_is_refused_by_name_on_update_and_nothing_is_stored(api, database, field, value, words):
    key_id = make(api)["id"]
    before = stored(database)
    response = api.put(f"virtual-keys/{key_id}", {field: value})
    code = "unknown_field" if words == "no such field" else "invalid_field"
    assert words in refusal(response, 400, code, field)
    assert stored(database) == before


NOTHING = {
    "team_id": None,
    "customer_id": "",
    "team": None,
    "customer": {},
    "budget": {"max_limit": None, "reset_duration": None},
    "budgets": [],
    "rate_limit": {},
    "rate_limits": [],
    "provider_configs": [],
    "mcp_configs": [],
}


def test_what_clients_send_as_nothing_is_as_good_as_left_out(api):
    key = make(api, **NOTHING)
    edited = api.put(f"virtual-keys/{key['id']}", NOTHING | {"is_active": False})
    assert edited.status_code == 200, edited.text
    assert edited.get_json()["virtual_key"]["is_active"] is False
    assert set(edited.get_json()["virtual_key"]).isdisjoint(NOTHING)


@pytest.mark.parametrize("body", [{}, {"name": None}])
def test_a_name_is_required(api, body):
    assert "required" in refusal(api.post("virtual-keys", body), 400, "invalid_field", "name")


@pytest.mark.parametrize("field", ["id", "name", "value"])
def test_a_second_key_with_the_same_id_name_or_value_is_409_and_nothing_is_stored(api, database, field):
    first = make(api, id="vk-1", value="sk-the-value-of-the-first")
    before = stored(database)
    response = api.post("virtual-keys", {"id": "vk-2", "name": "Team B", "value": "sk-b", field: first[field]})
    assert field in refusal(response, 409, "already_exists", field)
    assert stored(database) == before


def test_taking_another_keys_name_is_409_and_changes_nothing(api, database):
    make(api, name="Team A")
    key_id = make(api, name="Team B")["id"]
    before = stored(database)
    response = api.put(f"virtual-keys/{key_id}", {"name": "Team A", "is_active": False})
    refusal(response, 409, "already_exists", "name")
    assert stored(database) == before


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_id_is_404(api, method):
    body = {"json": {}} if method == "PUT" else {}
    response = api.request(method, "virtual-keys/unknown", **body)
    assert refusal(response, 404, "virtual_key_not_found", None) == "Virtual key not found"


@pytest.mark.parametrize("key_id", ["a b", "a/b", "a%2Fb", "ü", "a?b#c", "x/", "a//b", "😀", "a+b", "a;b", "\\", "'--"])
def test_an_id_of_any_characters_can_be_read_changed_and_deleted(api, key_id):
    make(api, id=key_id)
    path = "virtual-keys/" + "".join(f"%{byte:02x}" for byte in key_id.encode())
    assert api.get(path).get_json()["virtual_key"]["id"] == key_id
    assert api.put(path, {"description": "x"}).get_json()["virtual_key"]["description"] == "x"
    assert api.delete(path).status_code == 200
    assert api.get("virtual-keys").get_json()["total_count"] == 0


@pytest.mark.parametrize("key_id", ["/x", "/", "//a"])
def test_an_id_that_begins_with_a_slash_can_be_read_changed_and_deleted(api, key_id):
    make(api, id=key_id)
    path = "virtual-keys/" + key_id.replace("/", "%2F")
    assert api.get(path).status_code == 200
    assert api.put(path, {"description": "x"}).status_code == 200
    assert api.delete(path).status_code == 200


def test_an_update_changes_what_it_names_and_leaves_the_rest(api, clock):
    key = make(api, description="old", calendar_aligned=True)
    clock.advance(60)
    response = api.put(f"virtual-keys/{key['id']}", {"description": "new", "is_active": False})
    assert response.get_json()["message"] == "Virtual key updated successfully"
    wanted = {**key, "description": "new", "is_active": False, "updated_at": "2026-11-23T12:01:00Z"}
    del wanted["value"]
    assert response.get_json()["virtual_key"] == wanted == read(api, key["id"])


def test_what_is_null_stays_as_it_is(api):
    key = make(api, calendar_aligned=True)
    api.put(f"virtual-keys/{key['id']}", {"name": None, "is_active": None, "calendar_aligned": None})
    assert read(api, key["id"]).items() <= key.items()


def test_a_null_expiry_clears_it(api):
    key = make(api, expires_at="2027-01-31T00:00:00Z")
    changed = api.put(f"virtual-keys/{key['id']}", {"expires_at": None}).get_json()["virtual_key"]
    assert changed["expires_at"] is None


def test_an_update_that_changes_nothing_does_not_move_updated_at(api, clock):
    key = make(api, description="same")
    clock.advance(60)
    for body in ({}, {"description": "same"}, read(api, key["id"])):
        changed = api.put(f"virtual-keys/{key['id']}", body).get_json()["virtual_key"]
        assert changed["updated_at"] == NOON


def test_a_key_that_has_expired_can_still_be_edited_and_its_expiry_sent_back(api, clock):
    key = make(api, expires_at="2026-11-24T00:00:00.123456Z")
    clock.set("2026-12-01T00:00:00Z")
    shown = read(api, key["id"])
    response = api.put(f"virtual-keys/{key['id']}", {**shown, "description": "late"})
    assert response.status_code == 200
    assert response.get_json()["virtual_key"]["expires_at"] == "2026-11-24T00:00:00.123456Z"


def test_a_key_may_keep_its_own_name_in_an_update(api):
    key = make(api)
    assert api.put(f"virtual-keys/{key['id']}", {"name": key["name"], "is_active": False}).status_code == 200


def test_deleting_a_key_deletes_its_limits_with_their_rules_and_nothing_else(api, database):
    make(api, id="vk-1")
    make(api, id="vk-2", name="Team B")
    rules = {"budgets": [{"max_limit": 1, "reset_duration": "1d"}]}
    for scope, scope_id in (("virtual_key", "vk-1"), ("virtual_key", "vk-2"), ("user", "vk-1"), ("global", None)):
        api.create(scope=scope, scope_id=scope_id, **rules)
    response = api.delete("virtual-keys/vk-1")
    assert response.get_json() == {"message": "Virtual key deleted successfully"}
    left = {("virtual_key", "vk-2"), ("user", "vk-1"), ("global", None)}
    for memory in (False, True):
        limits = api.list(memory=memory)["model_configs"]
        assert {(limit["scope"], limit["scope_id"]) for limit in limits} == left
    assert len(stored(database)["rules"]) == 3


def test_deleting_a_key_again_is_404_and_its_id_and_name_are_free(api):
    make(api, id="vk-1", value="sk-same")
    api.delete("virtual-keys/vk-1")
    assert api.delete("virtual-keys/vk-1").status_code == 404
    assert make(api, id="vk-1", value="sk-same")["id"] == "vk-1"
    assert api.list()["total_count"] == 0


def test_the_name_on_a_keys_limits_follows_the_key_at_once_in_both_sources(api):
    make(api, id="vk-1")
    limit = api.create(scope="virtual_key", scope_id="vk-1")
    assert limit["scope_name"] == "Team A"
    api.put("virtual-keys/vk-1", {"name": "Team One"})
    for memory in (False, True):
        assert api.list(memory=memory)["model_configs"][0]["scope_name"] == "Team One"


def test_a_limit_can_be_bound_at_once_to_a_key_that_was_made_in_another_process(api, settings, clock):
    other = create_app(settings, clock=clock)
    other.extensions["governance"].cache.refresh()
    make(api, id="vk-1")
    limit = type(api)(other.test_client(), api.key).create(scope="virtual_key", scope_id="vk-1")
    other.extensions["governance"].model_limits._database.engine.dispose()
    assert limit["scope_name"] == "Team A"


def test_the_list_shows_the_newest_first_page_by_page_with_links(api, clock):
    for name in ("a", "b", "c"):
        make(api, name=name)
        clock.advance(1)
    first, second = api.get("virtual-keys?limit=2"), api.get("virtual-keys?limit=2&offset=2")
    assert [key["name"] for key in first.get_json()["virtual_keys"]] == ["c", "b"]
    assert [key["name"] for key in second.get_json()["virtual_keys"]] == ["a"]
    assert {name: first.get_json()[name] for name in ("total_count", "count", "limit", "offset")} == {
        "total_count": 3,
        "count": 2,
        "limit": 2,
        "offset": 0,
    }
    assert '<?limit=2&offset=2>; rel="next"' in first.headers["Link"]
    assert '<?limit=2&offset=0>; rel="prev"' in second.headers["Link"]


@pytest.mark.parametrize(
    ("search", "found"),
    [("team", 2), ("TEAM", 2), ("gr%C3%B6sse", 1), ("Gro%CC%88SSE", 1), ("%25", 1), ("_", 0), ("*", 0), ("", 3)],
)
def test_the_list_is_searched_by_a_substring_of_the_name_ignoring_case(api, search, found):
    for name in ("Team A", "team Größe", "100%"):
        make(api, name=name)
    page = api.get(f"virtual-keys?search={search}").get_json()
    assert (page["total_count"], page["count"]) == (found, found)


def test_an_empty_list_is_a_list(api):
    assert api.get("virtual-keys").get_json() == {
        "virtual_keys": [],
        "total_count": 0,
        "count": 0,
        "limit": 25,
        "offset": 0,
    }
