"""`flask governance keys …` and `virtual-keys …`: create, list, revoke.

A secret is printed once, without other text.
"""

import json
from dataclasses import replace

import pytest

CREATE = [["keys", "create", "a", "--scope", "read"], ["virtual-keys", "create", "a"]]


def test_a_new_key_is_alone_on_standard_output_and_works_at_once(run, api):
    made = run("keys", "create", "dashboard", "--scope", "read", "--scope", "meter")
    assert made.exit_code == 0
    (secret,) = made.stdout.splitlines()
    assert secret.startswith("gov-")
    assert made.stderr.startswith("API key dashboard (read, meter), id ")
    assert secret not in made.stderr
    other = api.with_key(secret)
    assert other.get("model-configs").status_code == 200
    assert other.post("model-configs", {"model_name": "gpt-4o"}).status_code == 403


def test_as_json_a_new_key_is_what_http_answers(done):
    made = json.loads(done("keys", "create", "ci", "--scope", "admin", "--json"))["api_key"]
    assert made["key"].startswith(made["key_prefix"])
    assert {name: made[name] for name in ("name", "scopes", "expires_at", "last_used_at", "created_at")} == {
        "name": "ci",
        "scopes": ["admin"],
        "expires_at": None,
        "last_used_at": None,
        "created_at": "2026-11-23T12:00:00Z",
    }


@pytest.mark.parametrize(
    ("given", "expires_at"),
    [
        ("90d", "2027-02-21T12:00:00Z"),
        ("1h30m", "2026-11-23T13:30:00Z"),
        ("2027-01-31T01:00:00+01:00", "2027-01-31T00:00:00Z"),
    ],
)
@pytest.mark.parametrize("words", CREATE, ids=" ".join)
def test_a_key_expires_at_a_time_or_after_a_while(words, given, expires_at, asked):
    (made,) = asked(*words, "--expires", given).values()
    assert made["expires_at"] == expires_at


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "Give expires_at as an RFC 3339 time, such as 2027-01-31T00:00:00Z."),
        ("tomorrow", "Give expires_at as an RFC 3339 time, such as 2027-01-31T00:00:00Z."),
        ("2020-01-01T00:00:00Z", "Give expires_at as a time in the future."),
    ],
)
@pytest.mark.parametrize("words", CREATE, ids=" ".join)
def test_an_expiry_that_cannot_be_is_refused_and_nothing_is_made(words, given, said, refused, asked):
    assert refused(*words, "--expires", given) == said
    assert asked(words[0], "list")["total_count"] == 0


def test_what_a_command_makes_is_in_the_audit_in_its_name_and_without_the_secret(run, api):
    secrets = [run("keys", "create", "ci", "--scope", "read").stdout, run("virtual-keys", "create", "team").stdout]
    told = api.get("audit")
    assert [entry["actor"] for entry in told.get_json()["audit"][:2]] == ["command:virtual-keys", "command:keys"]
    assert not any(secret.strip() in told.text for secret in secrets)


def test_names_are_read_as_over_http(refused, asked):
    assert refused("keys", "create", " ", "--scope", "read") == "Give name 1 to 255 characters."
    assert asked("keys", "create", " ci ", "--scope", "read", "--scope", "read")["api_key"]["scopes"] == ["read"]
    assert asked("keys", "list")["api_keys"][0]["name"] == "ci"


def test_keys_are_listed_newest_first_and_in_json_as_over_http(done, api, clock):
    for name in ("old", "new"):
        clock.advance(60)
        done("keys", "create", name, "--scope", "read", "--json")
    head, *rows = done("keys", "list").splitlines()
    assert head.split()[:3] == ["NAME", "SCOPES", "BEGINS"]
    assert [row.split()[:2] for row in rows] == [["new", "read"], ["old", "read"]]
    assert done("keys", "list", "--json", "--limit", "1") == api.get("/api/api-keys?limit=1").text + "\n"


def test_a_revoked_key_is_refused_once_the_worker_has_polled(run, api, governance):
    made = api.post("/api/api-keys", {"name": "ci", "scopes": ["read"]}).get_json()["api_key"]
    result = run("keys", "revoke", made["id"])
    assert (result.exit_code, result.stdout) == (0, "Revoked: workers refuse it within one poll.\n")
    governance.cache.refresh()
    assert api.with_key(made["key"]).get("model-configs").status_code == 401


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_last_admin_key_can_be_revoked_with_a_warning(run, api, app, form):
    config = app.extensions["governance"]
    app.extensions["governance"] = replace(config, settings=replace(config.settings, admin_key=None))
    first, second = (run("keys", "create", name, "--scope", "admin").stdout.strip() for name in ("first", "second"))
    assert first != second
    ids = {key["name"]: key["id"] for key in json.loads(run("keys", "list", "--json").stdout)["api_keys"]}
    assert run("keys", "revoke", ids["second"], *form).stderr == ""
    result = run("keys", "revoke", ids["first"], *form)
    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: no admin key is left that lives as long. Make one with flask governance")


def test_a_key_that_is_not_there_cannot_be_revoked(refused):
    said = "Give the id of a key that exists: 'ci' is none (flask governance keys list shows them)."
    assert refused("keys", "revoke", "ci") == said


def test_a_new_virtual_key_s_value_is_alone_on_standard_output_and_works(run, api):
    made = run("virtual-keys", "create", "team-red", "--id", "vk-red", "--description", "Search", "--calendar-aligned")
    assert made.exit_code == 0
    (value,) = made.stdout.splitlines()
    assert made.stderr == "Virtual key team-red, id vk-red, never expires. Its value is shown this once:\n"
    assert api.post("reservations", {"model": "gpt-4o", "virtual_key": value}).status_code == 200
    stored = api.get("virtual-keys/vk-red").get_json()["virtual_key"]
    assert (stored["description"], stored["calendar_aligned"], stored["is_active"]) == ("Search", True, True)


def test_virtual_keys_are_listed_and_searched_as_over_http(run, done, api):
    for name in ("team-red", "team-blue"):
        api.post("virtual-keys", {"name": name, "is_active": name == "team-red"})
    head, row = run("virtual-keys", "list", "--search", "BLUE").stdout.splitlines()
    assert head.startswith("NAME")
    assert row.split()[:2] == ["team-blue", "no"]
    assert done("virtual-keys", "list", "--json") == api.get("virtual-keys").text + "\n"


def test_a_second_virtual_key_of_a_name_is_refused(refused, api):
    api.post("virtual-keys", {"name": "team-red"})
    said = "Give another name: a virtual key with this name already exists."
    assert refused("virtual-keys", "create", "team-red") == said
