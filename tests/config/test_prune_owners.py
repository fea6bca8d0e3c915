"""The rows of a file belong to its owner. Without an owner, they belong to a file of the same base name and folder."""

import json

import pytest
from sqlalchemy import update

from governance.domain.config.ownership import OF_AN_OWNER, UNKNOWN
from governance.domain.records.stored import Source
from governance.storage.tables import model_limits, users, virtual_keys
from tests.config.conftest import budget, nested

A, B = {"model_name": "a", "budgets": [budget()]}, {"model_name": "b", "budgets": [budget()]}
KEY, ADA = {"id": "vk", "name": "Team"}, {"id": "ada", "name": "Ada"}


@pytest.fixture
def at(terminal):
    """Return a function that syncs a file of one base name in a folder."""

    def synced(folder, content, *options):
        path = terminal.folder / folder / "limits.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
        return terminal.run("sync", str(path), "--yes", *options)

    return synced


def models(terminal):
    return {held.limit.model_name for held in terminal.stored().limits.values()}


def sources(terminal):
    return {row.source for row in terminal.stored().rows}


def test_rows_remember_the_place_of_their_file(terminal, at):
    at("one", nested(A, virtual_keys=[KEY], users=[ADA]))
    assert sources(terminal) == {Source("limits.json", str(terminal.folder / "one" / "limits.json"))}


def test_prune_refuses_where_a_file_of_the_same_name_elsewhere_made_rows(terminal, at):
    at("one", nested(A))
    at("two", nested(B))
    revision = terminal.revision()
    said = at("two", nested(), "--prune")
    assert (said.code, terminal.revision(), models(terminal)) == (1, revision, {"a", "b"})
    place = terminal.folder / "one" / "limits.json"
    assert 'owner: Name an owner, with --owner or as "owner" at the top of the file' in said.err
    assert f"rows of limits.json came from {place}" in said.err
    assert at("one", nested(), "--prune").code == 1
    assert at("one", nested(A)).code == 0
    assert models(terminal) == {"a", "b"}


@pytest.mark.parametrize("rows", [{"virtual_keys": [KEY]}, {"users": [ADA]}])
def test_the_guard_knows_rows_of_every_kind(terminal, at, rows):
    at("one", nested(**rows))
    assert at("two", nested(), "--prune").code == 1
    assert len(terminal.stored().rows) == 1


def test_a_sync_does_not_count_the_rows_of_a_file_elsewhere_as_its_own(terminal, at):
    at("one", nested(A))
    assert at("two", nested(B)).out.splitlines()[-2:] == ["Plan: 1 to create.", "Applied."]


def test_a_file_in_its_own_place_prunes_as_ever_however_its_path_is_written(terminal, at):
    at("one", nested(A, B))
    path = terminal.folder / "one" / ".." / "one" / "limits.json"
    path.write_text(json.dumps(nested(A)))
    assert terminal.run("sync", str(path), "--yes", "--prune").code == 0
    assert models(terminal) == {"a"}


def test_an_owner_named_on_the_command_line_goes_before_the_file_s_and_that_before_the_base_name(terminal, at):
    at("one", nested(A) | {"owner": "team-a"})
    assert sources(terminal) == {Source("team-a", "")}
    at("two", nested(B) | {"owner": "team-a"}, "--owner", "team-b")
    assert sources(terminal) == {Source("team-a", ""), Source("team-b", "")}


def test_an_owner_prunes_its_rows_from_wherever_its_file_lies_and_no_others(terminal, at):
    at("one", nested(A) | {"owner": "team-a"})
    at("one", nested(B))
    said = at("two", nested(), "--prune", "--owner", "team-a")
    assert said.out.startswith("- remove a [")
    assert models(terminal) == {"b"}


def test_an_owner_may_take_all_rows_of_a_base_name(terminal, at):
    at("one", nested(A))
    at("two", nested(B))
    assert at("three", nested(), "--prune", "--owner", "limits.json").code == 0
    assert models(terminal) == set()


def test_a_base_name_that_is_somebody_s_owner_too_prunes_nothing(terminal, at):
    at("one", nested(A), "--owner", "limits.json")
    said = at("two", nested(), "--prune")
    assert (said.code, OF_AN_OWNER in said.err, models(terminal)) == (1, True, {"a"})


def test_the_audit_names_the_owner(terminal, at):
    at("one", nested(A), "--owner", "team-a")
    assert '"actor":"file:team-a"' in terminal.run("audit", "--json").out


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ({"owner": 5}, (), "limits.json:1: owner: Give owner as text."),
        ({"owner": ""}, (), "limits.json:1: owner: Give owner 1 to 255 characters."),
        (
            {"governance": {"owner": "x"}},
            (),
            "governance.owner: Write owner at the top of the file, beside governance.",
        ),
        ({"ownr": "x"}, (), "Leave out ownr: there is no such section (did you mean owner?)."),
        ({}, ("--owner", " "), "Give owner 1 to 255 characters."),
    ],
)
def test_an_owner_that_is_none_is_a_fault(terminal, at, content, options, said):
    told = at("one", nested(A) | content, *options)
    assert (told.code, said in told.err, models(terminal)) == (1, True, set())


def unplaced(terminal):
    """Return a database of the schema before. Its rows do not know the path of their file."""
    with terminal.database.write() as connection:
        for table in (model_limits, virtual_keys, users):
            connection.execute(update(table).values(place=None))


def test_rows_that_were_stored_before_places_were_come_to_remember_it_when_they_are_kept(terminal, at):
    content = nested(A, B, virtual_keys=[KEY], users=[ADA])
    at("one", content)
    before = sources(terminal)
    unplaced(terminal)
    audit = terminal.run("audit", "--json").out
    assert at("one", content).out == "Plan: 4 to keep.\n"
    assert (sources(terminal), terminal.run("audit", "--json").out) == (before, audit)
    assert at("one", nested(), "--prune").code == 0
    assert terminal.stored().rows == ()


def test_rows_of_which_nobody_knows_the_place_are_pruned_for_a_named_owner_alone(terminal, at):
    at("one", nested(A, B))
    unplaced(terminal)
    said = at("one", nested(A), "--prune")
    assert (said.code, UNKNOWN in said.err, models(terminal)) == (1, True, {"a", "b"})
    assert at("one", nested(A), "--prune", "--owner", "limits.json").code == 0
    assert models(terminal) == {"a"}
    assert at("one", nested(A), "--prune").code == 0
