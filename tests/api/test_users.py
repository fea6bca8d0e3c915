"""Users: names for user ids; create, list, read, change, delete."""

import pytest
from sqlalchemy import select

from governance.storage.tables import metadata

NOON = "2026-11-23T12:00:00Z"
BAD_FIELDS = [
    ("name", "", "1 to 255"),
    ("name", "   ", "1 to 255"),
    ("name", "ä" * 256, "1 to 255"),
    ("name", "a\u0085b", "control characters"),
    ("name", 7, "as text"),
    ("name", {}, "as text"),
    ("id", "", "1 to 255"),
    ("id", "a" * 256, "1 to 255"),
    ("id", "a\tb", "control characters"),
    ("id", 7, "as text"),
    ("email", "ada@example.org", "no such field"),
]


def make(api, **fields):
    """Create a user. Return the body of the response."""
    response = api.post("users", {"name": "Ada", **fields})
    assert response.status_code == 200, response.text
    return response.get_json()["user"]


def refusal(response, status, code, param):
    """Return the message of a refused request."""
    error = response.get_json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    return error["message"]


def stored(database):
    """Return all rows of all tables."""
    with database.read() as connection:
        return {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}


def test_a_create_answers_the_user_with_the_id_that_was_given(api):
    response = api.post("users", {"id": "ada", "name": "Ada"})
    assert response.get_json() == {
        "message": "User created successfully",
        "user": {"id": "ada", "name": "Ada", "created_at": NOON, "updated_at": NOON},
    }


def test_a_user_without_an_id_gets_one_of_its_own(api):
    first, second = make(api)["id"], make(api)["id"]
    assert first
    assert first != second


def test_a_user_is_read_by_its_id(api):
    user = make(api)
    assert api.get(f"users/{user['id']}").get_json() == {"user": user}


def test_two_users_may_have_one_name(api):
    make(api, id="ada-1")
    make(api, id="ada-2")
    assert api.get("users").get_json()["total_count"] == 2


@pytest.mark.parametrize(("field", "value", "words"), BAD_FIELDS)
def test_a_bad_field_is_refused_by_name_on_create_and_nothing_is_stored(api, database, field, value, words):
    before = stored(database)
    response = api.post("users", {"name": "Ada", field: value})
    code = "unknown_field" if words == "no such field" else "invalid_field"
    assert words in refusal(response, 400, code, field)
    assert stored(database) == before


@pytest.mark.parametrize(("field", "value", "words"), [bad for bad in BAD_FIELDS if bad[0] != "id"])
def test_a_bad_field_is_refused_by_name_on_update_and_nothing_is_stored(api, database, field, value, words):
    user_id = make(api)["id"]
    before = stored(database)
    code = "unknown_field" if words == "no such field" else "invalid_field"
    assert words in refusal(api.put(f"users/{user_id}", {field: value}), 400, code, field)
    assert stored(database) == before


def test_a_name_is_required(api):
    assert "required" in refusal(api.post("users", {"id": "ada"}), 400, "invalid_field", "name")


def test_a_second_user_with_the_same_id_is_409_and_the_first_stays(api, database):
    make(api, id="ada")
    before = stored(database)
    assert "id" in refusal(api.post("users", {"id": "ada", "name": "Eve"}), 409, "already_exists", "id")
    assert stored(database) == before


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_id_is_404(api, method):
    body = {"json": {"name": "Ada"}} if method == "PUT" else {}
    response = api.request(method, "users/unknown", **body)
    assert refusal(response, 404, "user_not_found", None) == "User not found"


def test_an_id_that_begins_with_a_slash_can_be_read(api):
    make(api, id="/ada")
    assert api.get("users/%2Fada").status_code == 200


def test_an_update_changes_the_name_and_moves_updated_at(api, clock):
    user = make(api, id="ada")
    clock.advance(0.25)
    changed = {**user, "name": "Ada L.", "updated_at": "2026-11-23T12:00:00.250000Z"}
    assert api.put("users/ada", {"name": " Ada L. "}).get_json() == {
        "message": "User updated successfully",
        "user": changed,
    }
    assert api.get("users/ada").get_json() == {"user": changed}


@pytest.mark.parametrize("body", [{}, {"name": None}, {"name": "Ada"}])
def test_an_update_that_changes_nothing_does_not_move_updated_at(api, clock, body):
    user = make(api, id="ada")
    clock.advance(60)
    assert api.put("users/ada", body).get_json()["user"] == user


def test_the_name_on_a_users_limits_follows_the_user_at_once_in_both_sources(api):
    api.create(scope="user", scope_id="ada")
    names = []
    for act in (
        lambda: None,
        lambda: make(api, id="ada"),
        lambda: api.put("users/ada", {"name": "Ada L."}),
        lambda: api.delete("users/ada"),
    ):
        act()
        shown = {api.list(memory=memory)["model_configs"][0]["scope_name"] for memory in (False, True)}
        names.append(shown)
    assert names == [{None}, {"Ada"}, {"Ada L."}, {None}]


def test_deleting_a_user_deletes_the_name_and_its_limits_stay(api, database):
    make(api, id="ada")
    limit = api.create(scope="user", scope_id="ada", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
    assert api.delete("users/ada").get_json() == {"message": "User deleted successfully"}
    assert api.get(f"model-configs/{limit['id']}").get_json()["model_config"] == {**limit, "scope_name": None}
    assert stored(database)["users"] == []


def test_deleting_a_user_again_is_404_and_the_id_is_free(api):
    make(api, id="ada")
    api.delete("users/ada")
    assert api.delete("users/ada").status_code == 404
    assert make(api, id="ada", name="Eve")["name"] == "Eve"


def test_the_list_shows_the_newest_first_page_by_page_with_links(api, clock):
    for name in ("a", "b", "c"):
        make(api, id=name, name=name)
        clock.advance(1)
    first, second = api.get("users?limit=2"), api.get("users?limit=2&offset=2")
    assert [user["id"] for user in first.get_json()["users"]] == ["c", "b"]
    assert second.get_json() == {
        "users": [api.get("users/a").get_json()["user"]],
        "total_count": 3,
        "count": 1,
        "limit": 2,
        "offset": 2,
    }
    assert '<?limit=2&offset=2>; rel="next"' in first.headers["Link"]
    assert '<?limit=2&offset=0>; rel="prev"' in second.headers["Link"]


@pytest.mark.parametrize(("search", "found"), [("ada", ["1"]), ("ADA L", ["1"]), ("_", ["2"]), ("%25", []), ("q", [])])
def test_the_list_is_searched_by_a_substring_of_the_name_ignoring_case(api, search, found):
    make(api, id="1", name="Ada Lovelace")
    make(api, id="2", name="al_an")
    page = api.get(f"users?search={search}").get_json()
    assert [user["id"] for user in page["users"]] == found
    assert page["total_count"] == len(found)
