"""Users in files: names for the ids that limits have as their scope."""

import pytest

from governance.domain.config.plan_steps import DRIFTED, OVERWRITTEN, RETURNS
from tests.config.conftest import bifrost, budget, nested

ADA = {"id": "ada", "name": "Ada"}
MEANT = "there is no such field (did you mean name?)."
BOUND = {"model_name": "*", "scope": "user", "scope_id": "ada", "budgets": [budget()]}


def people(*entries, limits=()):
    return nested(*limits, users=list(entries))


def names(api):
    return {user["id"]: user["name"] for user in api.get("users").get_json()["users"]}


def test_a_user_of_a_file_is_planned_stored_and_kept(terminal, api):
    said = terminal.dry(people(ADA, limits=[BOUND]))
    assert (said.code, said.out.splitlines()[0]) == (2, "+ create user Ada [ada]")
    assert names(api) == {}
    terminal.sync(people(ADA, limits=[BOUND]))
    assert names(api) == {"ada": "Ada"}
    assert api.list(memory=True)["model_configs"][0]["scope_name"] == "Ada"
    revision = terminal.revision()
    assert terminal.sync(people(ADA, limits=[BOUND])).out == "Plan: 2 to keep.\n"
    assert terminal.revision() == revision


def test_users_may_stand_under_governance_as_all_sections_may(terminal, api):
    assert terminal.sync(bifrost(users=[ADA])).code == 0
    assert names(api) == {"ada": "Ada"}


def test_a_name_that_was_edited_by_api_stays_until_the_file_changes_it(terminal, api):
    terminal.sync(people(ADA))
    api.put("users/ada", {"name": "Ada L."})
    said = terminal.sync(people(ADA))
    assert said.out.splitlines()[:2] == [
        f"= keep user Ada L. [ada] ({DRIFTED})",
        "    name: kept Ada L., the file says Ada",
    ]
    assert names(api) == {"ada": "Ada L."}
    assert "    name: Ada L. → Lovelace" in terminal.sync(people({"id": "ada", "name": "Lovelace"})).out
    assert names(api) == {"ada": "Lovelace"}


def test_a_file_may_win_over_an_edit_by_api(terminal, api):
    terminal.sync(people(ADA))
    api.put("users/ada", {"name": "Ada L."})
    said = terminal.sync(people(ADA), "--overwrite")
    assert said.out.splitlines()[:2] == [f"~ change user Ada [ada] ({OVERWRITTEN})", "    name: Ada L. → Ada"]
    assert names(api) == {"ada": "Ada"}


def test_prune_removes_the_users_of_this_file_alone_and_leaves_the_limits_on_them(terminal, api):
    api.post("users", {"id": "eve", "name": "Eve"})
    terminal.sync(people({"id": "bob", "name": "Bob"}), name="other.json")
    terminal.sync(people(ADA, {"id": "eve", "name": "Eve"}))
    api.create("*", scope="user", scope_id="ada", budgets=[budget()])
    assert terminal.sync(people()).out.splitlines()[-1].startswith("Made by this file and no longer in it: 1.")
    assert terminal.sync(people(), "--prune").out.splitlines()[0] == "- remove user Ada [ada]"
    assert names(api) == {"eve": "Eve", "bob": "Bob"}
    assert len(terminal.stored().limits) == 1


def test_a_user_that_was_deleted_by_api_returns_and_the_plan_says_so(terminal, api):
    terminal.sync(people(ADA))
    api.delete("users/ada")
    assert terminal.sync(people(ADA)).out.splitlines()[0] == f"+ create user Ada [ada] ({RETURNS})"
    assert names(api) == {"ada": "Ada"}


@pytest.mark.parametrize(
    ("entry", "path", "said"),
    [
        ({"name": "Bob"}, "users[1].id", "Give id: it is required."),
        ({"id": "bob"}, "users[1].name", "Give name: it is required."),
        (
            {"id": "bob", "nmae": "Bob", "name": "B"},
            "users[1].nmae",
            "Leave out nmae: there is no such field (did you mean name?).",
        ),
        (ADA, "users[1].id", "Give each id once: 'ada' stands at users[0].id too."),
        ("bob", "users[1]", "Give users[1] as an object, with its fields in braces: {…}."),
    ],
)
def test_what_is_wrong_with_a_user_is_told_with_its_place(terminal, api, entry, path, said):
    told = terminal.sync(people(ADA, entry), "--json")
    assert (told.code, [(fault["path"], fault["message"]) for fault in told.json["faults"]]) == (1, [(path, said)])
    assert names(api) == {}


def test_a_section_that_is_nearly_users_is_a_fault(terminal):
    assert "did you mean users?" in terminal.check(nested(user=[ADA])).err


def test_check_counts_users(terminal):
    assert terminal.check(people(ADA)).out == "limits.json is right: limits 0, virtual keys 0, users 1, warnings 0.\n"
    assert terminal.check(people(ADA), "--json").json["users"] == 1


def test_an_export_has_the_users_and_a_sync_of_it_changes_nothing(terminal, api):
    terminal.sync(people(ADA))
    api.post("users", {"id": "eve", "name": 'Ève "x"'})
    exported = terminal.run("export").out
    assert terminal.dry(exported, name="export.json") == (0, "Plan: 2 to keep.\n", "")
    for each in ("ada", "eve"):
        api.delete(f"users/{each}")
    terminal.sync(exported, name="export.json")
    assert names(api) == {"ada": "Ada", "eve": 'Ève "x"'}
    assert terminal.run("export").out == exported


def test_the_audit_names_the_file(terminal):
    terminal.sync(people(ADA), name="config.json")
    assert terminal.run("audit", "--entity", "user", "--json").out.count('"actor":"file:config.json"') == 1
