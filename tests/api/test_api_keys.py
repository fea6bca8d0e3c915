"""API keys are created, listed and revoked. The first admin key of a service."""

import base64
import hashlib
import os
import stat
from pathlib import Path

import pytest
from sqlalchemy import select

from app import create_app
from governance.domain.errors import NotReady
from governance.domain.keys import KeyScope
from governance.domain.times import parse_rfc3339
from governance.greeting import greeting
from governance.settings import Settings
from governance.startup import prepare
from governance.storage.sqlite.files import migrations
from governance.storage.sqlite.files.restore import begin_anew
from governance.storage.tables import metadata
from tests.conftest import Api, governance_of

KEYS = "/api/api-keys"
SHOWN = ["id", "name", "key_prefix", "scopes", "expires_at", "last_used_at", "created_at"]
SCOPES = [scope.value for scope in KeyScope]
BAD_FIELDS = [
    ("name", "", "name", "1 to 255"),
    ("name", "a" * 256, "name", "1 to 255"),
    ("name", "a\u0000b", "name", "control characters"),
    ("name", 7, "name", "as text"),
    ("name", None, "name", "required"),
    ("scopes", None, "scopes", "one or more of read, write, meter, admin"),
    ("scopes", [], "scopes", "one or more"),
    ("scopes", "read", "scopes", "as a list"),
    ("scopes", {"read": True}, "scopes", "as a list"),
    ("scopes", ["reed"], "scopes[0]", "read, write, meter, admin"),
    ("scopes", ["READ"], "scopes[0]", "read, write, meter, admin"),
    ("scopes", ["read", 1], "scopes[1]", "read, write, meter, admin"),
    ("scopes", [None], "scopes[0]", "null"),
    ("expires_at", "soon", "expires_at", "RFC 3339"),
    ("expires_at", 1800000000, "expires_at", "RFC 3339"),
    ("expires_at", "2026-11-23T12:00:00Z", "expires_at", "future"),
    ("expires_at", "1999-12-31T23:59:59Z", "expires_at", "future"),
    ("key", "gov-my-own-key-of-at-least-32-characters", "key", "no such field"),
    ("scope", "read", "scope", "did you mean scopes?"),
]


def random_ids(api, **fields):
    """Create a key. Return the body of the response."""
    response = api.post(KEYS, {"name": "gateway", "scopes": ["meter"], **fields})
    assert response.status_code == 200, response.text
    return response.get_json()["api_key"]


def stored(database):
    """Return all rows of all tables."""
    with database.read() as connection:
        return {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}


@pytest.fixture
def unset(tmp_path, clock):
    """Return an app without GOVERNANCE_ADMIN_KEY on a file that does not exist yet, and its settings."""
    settings = Settings(instance=str(tmp_path / "new"), admin_key=None, busy_timeout=0.3)
    app = create_app(settings, clock=clock)
    yield app, settings
    app.extensions["governance"].model_limits._database.engine.dispose()


def key_file(settings):
    return Path(settings.instance) / "admin.key"


def test_a_create_answers_the_whole_key_in_this_order(api):
    response = api.post(KEYS, {"name": " gateway ", "scopes": ["meter"], "expires_at": "2027-01-31T00:00:00Z"})
    key = response.get_json()["api_key"]
    assert response.get_json()["message"] == "API key created successfully"
    assert list(key) == [*SHOWN, "key"]
    assert {name: key[name] for name in SHOWN if name not in {"id", "key_prefix"}} == {
        "name": "gateway",
        "scopes": ["meter"],
        "expires_at": "2027-01-31T00:00:00Z",
        "last_used_at": None,
        "created_at": "2026-11-23T12:00:00Z",
    }


@pytest.mark.parametrize("fields", [{}, {"expires_at": None}, {"expires_at": "2026-11-23T12:00:00.000001Z"}])
def test_an_expiry_may_be_left_out_null_or_any_instant_in_the_future(api, fields):
    assert random_ids(api, **fields)["expires_at"] == fields.get("expires_at")


def test_a_key_has_its_prefix_and_256_bits_of_randomness_and_never_comes_twice(api):
    first, second = random_ids(api), random_ids(api)
    assert first["key"] != second["key"]
    for key in (first, second):
        assert key["key"].startswith("gov-")
        assert len(base64.urlsafe_b64decode(key["key"].removeprefix("gov-") + "=")) == 32
        assert key["key"].startswith(key["key_prefix"])
        assert len(key["key_prefix"]) <= 12


def test_the_full_key_is_in_the_answer_to_its_create_alone(api):
    key = random_ids(api)
    listed = api.get(KEYS)
    assert key["key"] not in listed.text
    assert listed.get_json()["api_keys"] == [{name: key[name] for name in SHOWN}]


@pytest.mark.parametrize("bad", BAD_FIELDS, ids=lambda bad: f"{bad[0]}-{bad[1]}"[:40])
def test_a_bad_field_is_refused_by_name_and_nothing_is_stored(api, database, bad):
    field, value, param, words = bad
    before = stored(database)
    response = api.post(KEYS, {"name": "gateway", "scopes": ["read"], field: value})
    error = response.get_json()["error"]
    assert (response.status_code, error["param"]) == (400, param)
    assert error["code"] == ("unknown_field" if param in {"key", "scope"} else "invalid_field")
    assert words in error["message"]
    assert stored(database) == before


def test_what_a_listed_key_shows_and_nobody_can_set_is_accepted_and_ignored(api):
    random_ids(api)
    (shown,) = api.get(KEYS).get_json()["api_keys"]
    assert random_ids(api, **{**shown, "name": "another"})["id"] != shown["id"]


def test_scopes_are_a_set(api):
    assert random_ids(api, scopes=["read", "meter", "read"])["scopes"] == ["read", "meter"]
    assert sorted(random_ids(api, scopes=SCOPES)["scopes"]) == sorted(SCOPES)


def test_two_keys_may_have_one_name(api):
    assert random_ids(api)["id"] != random_ids(api)["id"]


def test_the_list_shows_the_newest_first_page_by_page(api, clock):
    for name in ("a", "b", "c"):
        random_ids(api, name=name)
        clock.advance(1)
    page = api.get(f"{KEYS}?limit=2&offset=1").get_json()
    assert list(page) == ["api_keys", "total_count", "count", "limit", "offset"]
    assert [key["name"] for key in page["api_keys"]] == ["b", "a"]
    assert [page[name] for name in ("total_count", "count", "limit", "offset")] == [3, 2, 2, 1]


def test_a_revoked_key_is_gone_from_the_list_and_revoking_it_again_is_404(api):
    key = random_ids(api)
    assert api.delete(f"{KEYS}/{key['id']}").get_json() == {"message": "API key revoked successfully"}
    assert api.get(KEYS).get_json()["api_keys"] == []
    again = api.delete(f"{KEYS}/{key['id']}")
    assert (again.status_code, again.get_json()["error"]["code"]) == (404, "api_key_not_found")
    assert again.get_json()["error"]["message"] == "API key not found"


LONG, SHORT = "2028-01-31T00:00:00Z", "2027-01-31T00:00:00Z"
OTHERS = [
    ([], None, False),
    ([], SHORT, False),
    ([None], None, True),
    ([None], SHORT, True),
    ([SHORT], SHORT, True),
    ([LONG], SHORT, True),
    ([SHORT], LONG, False),
    ([LONG], None, False),
]


def admin(app, expires_at=None):
    """Return another admin key, and a client that uses it."""
    body = {"name": "ops", "scopes": [KeyScope.ADMIN], "expires_at": expires_at and parse_rfc3339(expires_at)}
    new = app.extensions["governance"].api_keys.create(body)
    return new.key.id, Api(app.test_client(), new.secret)


@pytest.mark.parametrize(("others", "expires_at", "goes"), OTHERS)
def test_the_admin_key_that_lives_longest_cannot_be_revoked_over_http(unset, others, expires_at, goes):
    app, _ = unset
    migrations.upgrade(app.extensions["governance"].settings.database_path, 1)
    for other in others:
        admin(app, other)
    key_id, api = admin(app, expires_at)
    for scope in ("read", "write", "meter"):
        random_ids(api, scopes=[scope])
    response = api.delete(f"{KEYS}/{key_id}")
    if goes:
        assert response.status_code == 200, response.text
        return
    assert (response.status_code, response.get_json()["error"]["code"]) == (409, "last_admin_key")
    assert "flask governance keys revoke" in response.get_json()["error"]["message"]
    assert key_id in {key["id"] for key in api.get(KEYS).get_json()["api_keys"]}
    app.extensions["governance"].api_keys.revoke(key_id)
    assert api.get(KEYS).status_code == 401


def test_with_an_admin_key_in_the_settings_every_stored_one_can_be_revoked(api):
    key = random_ids(api, scopes=["admin"])
    assert api.delete(f"{KEYS}/{key['id']}").status_code == 200


def test_the_admin_key_of_the_settings_may_do_everything_and_is_compared_not_stored(api, settings, database):
    assert [api.get(path).status_code for path in (KEYS, "users")] == [200, 200]
    assert api.post("users", {"name": "Ada"}).status_code == 200
    assert api.get(KEYS).get_json()["total_count"] == 0
    digest = hashlib.sha256(settings.admin_key.encode()).hexdigest()
    files = [path.read_bytes() for path in Path(settings.instance).iterdir()]
    assert not any(secret.encode() in content for content in files for secret in (settings.admin_key, digest))


def test_the_admin_key_of_the_settings_ends_with_them(api, settings, clock):
    changed = Settings(instance=settings.instance, admin_key="another-admin-key-of-32-characters")
    later = type(api)(create_app(changed, clock=clock).test_client(), api.key)
    assert later.get("users").status_code == 401
    assert later.with_key(changed.admin_key).get("users").status_code == 200


@pytest.mark.parametrize("key", ["hunter2", "a" * 31, "größer" * 8, "a b" * 20, " " * 10 + "a" * 31 + " " * 10])
def test_a_short_admin_key_stops_the_start_with_one_line_that_does_not_show_it(key):
    with pytest.raises(NotReady) as refusal:
        Settings.from_environ({"GOVERNANCE_ADMIN_KEY": key})
    assert "GOVERNANCE_ADMIN_KEY" in refusal.value.message
    assert "32" in refusal.value.message
    assert key.strip() not in refusal.value.message
    assert "\n" not in refusal.value.message


def test_an_admin_key_of_32_characters_is_enough_and_does_not_print():
    key = "0f3d5b0c9d1ec77a2ca0180590"[:26] + "8a4d1e"
    settings = Settings.from_environ({"GOVERNANCE_ADMIN_KEY": key})
    assert settings.admin_key == key
    assert key not in repr(settings)


@pytest.mark.parametrize("key", ["a" * 32, "ab" * 20, "changeme" * 4, "0123456789" * 4, "abcdefg" * 3 + "a" * 20])
def test_an_admin_key_that_can_be_guessed_is_refused(key):
    with pytest.raises(NotReady) as refusal:
        Settings.from_environ({"GOVERNANCE_ADMIN_KEY": key})
    assert "Set GOVERNANCE_ADMIN_KEY to characters that nobody can guess" in refusal.value.message
    assert key not in refusal.value.message


def test_with_an_admin_key_set_no_key_is_minted(api, app, settings):
    assert not key_file(settings).exists()
    assert "GOVERNANCE_ADMIN_KEY" in greeting(app)
    assert settings.admin_key not in greeting(app)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_first_start_mints_one_admin_key_into_a_file_for_its_owner_alone(unset, api, mask):
    app, settings = unset
    before = os.umask(mask)
    try:
        prepare(app)
    finally:
        os.umask(before)
    secret = key_file(settings).read_text().strip()
    first = type(api)(app.test_client(), secret)
    (shown,) = first.get(KEYS).get_json()["api_keys"]
    assert secret.startswith("gov-")
    assert shown["scopes"] == ["admin"]
    files = {key_file(settings), settings.database_path}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def started_anew(app, settings):
    """Start on a new database, as after `flask governance init`, in a folder that may have a key file."""
    begin_anew(settings.database_path, 0, 1)
    return prepare(app)


def test_a_key_file_that_was_there_is_taken_by_a_new_database_and_becomes_its_owners(unset, api):
    app, settings = unset
    key_file(settings).parent.mkdir()
    secret = "gov-" + "k" * 43
    key_file(settings).write_text(f"{secret}\n")
    key_file(settings).chmod(0o644)
    started_anew(app, settings)
    assert stat.S_IMODE(key_file(settings).stat().st_mode) == 0o600
    assert key_file(settings).read_text() == f"{secret}\n"
    assert type(api)(app.test_client(), secret).get(KEYS).status_code == 200


@pytest.mark.parametrize("content", [b"", b"an old note: " + b"x" * 100, b"\xff\xfe", b"sk-gov-" + b"k" * 43])
def test_a_key_file_that_holds_no_key_is_told_and_kept(unset, content):
    app, settings = unset
    key_file(settings).parent.mkdir()
    key_file(settings).write_bytes(content)
    with pytest.raises(NotReady, match=r"admin\.key or give it another name"):
        started_anew(app, settings)
    assert key_file(settings).read_bytes() == content


def test_a_key_that_was_revoked_does_not_come_back_from_its_file(unset):
    app, settings = unset
    prepare(app)
    secret = key_file(settings).read_text()
    with governance_of(app).database.write() as connection:
        connection.exec_driver_sql("DELETE FROM api_keys")
    with pytest.raises(NotReady, match=r"admin\.key or give it another name"):
        prepare(app)
    assert key_file(settings).read_text() == secret
    key_file(settings).unlink()
    prepare(app)
    assert key_file(settings).read_text() != secret


def test_a_link_in_the_key_files_place_is_not_followed(unset, tmp_path):
    app, settings = unset
    (tmp_path / "precious").write_text("precious")
    key_file(settings).parent.mkdir()
    key_file(settings).symlink_to(tmp_path / "precious")
    with pytest.raises(NotReady, match="cannot be written"):
        started_anew(app, settings)
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_second_start_mints_no_second_key(unset, clock, api):
    app, settings = unset
    prepare(app)
    secret = key_file(settings).read_text()
    again = create_app(settings, clock=clock)
    prepare(again)
    assert key_file(settings).read_text() == secret
    assert type(api)(again.test_client(), secret.strip()).get(KEYS).get_json()["total_count"] == 1


def test_a_start_after_the_key_file_was_taken_away_mints_none(unset):
    app, settings = unset
    prepare(app)
    key_file(settings).unlink()
    prepare(app)
    assert not key_file(settings).exists()
    assert "made earlier" in greeting(app)


def test_the_start_up_message_says_where_the_first_key_is_and_shows_it_nowhere(unset, capfd):
    app, settings = unset
    prepare(app)
    secret = key_file(settings).read_text().strip()
    printed = capfd.readouterr()
    assert str(key_file(settings)) in greeting(app)
    assert secret not in greeting(app) + printed.out + printed.err


def test_the_first_key_is_stored_as_a_digest_alone(unset):
    app, settings = unset
    prepare(app)
    secret = key_file(settings).read_text().strip().encode()
    others = [path.read_bytes() for path in Path(settings.instance).iterdir() if path != key_file(settings)]
    assert not any(secret in content for content in others)
    assert any(hashlib.sha256(secret).hexdigest().encode() in content for content in others)
