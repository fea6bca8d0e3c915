"""Virtual keys in files: values are stored as digests, never shown, and unchanged if the file has none."""

from governance.domain.keys import digest
from tests.config.conftest import bifrost, budget, nested

TEAM = {"id": "vk-1", "name": "Team"}
BOUND = {"model_name": "*", "scope": "virtual_key", "scope_id": "vk-1", "budgets": [budget()]}


def keys(*entries, limits=()):
    return nested(*limits, virtual_keys=list(entries))


def the_key(terminal):
    (held,) = terminal.stored().keys.values()
    return held.key


def test_a_value_is_stored_as_its_digest_and_works_at_once(terminal, api):
    terminal.sync(keys(TEAM | {"value": "sk-of-the-team"}, limits=[BOUND]))
    assert the_key(terminal).digest == digest("sk-of-the-team")
    assert api.post("check", {"model": "gpt-5", "virtual_key": "sk-of-the-team"}).get_json()["limits"] != []


def test_another_value_in_the_file_takes_the_place_of_the_stored_one(terminal):
    terminal.sync(keys(TEAM | {"value": "sk-of-the-team"}))
    said = terminal.sync(keys(TEAM | {"value": "sk-another-one"}))
    assert said.out.splitlines()[:2] == ["~ change virtual key Team [vk-1]", "    value: sk-… → sk-…"]
    assert the_key(terminal).digest == digest("sk-another-one")


def test_a_new_key_without_a_value_gets_one_which_only_its_owner_s_file_shows(terminal, settings):
    said = terminal.sync(keys(TEAM))
    path = settings.instance_path / "virtual-keys.txt"
    assert said.out.splitlines()[-1] == f"The values of new virtual keys (1) are in {path}."
    assert path.stat().st_mode & 0o777 == 0o600
    key_id, value = path.read_text().split()
    assert (key_id, digest(value)) == ("vk-1", the_key(terminal).digest)
    assert value not in said.out + said.err
    terminal.sync(keys(TEAM | {"description": "ours"}))
    assert digest(value) == the_key(terminal).digest
    assert path.read_text() == f"vk-1\t{value}\n"


def test_a_key_that_was_switched_off_stays_off_unless_the_file_says_otherwise(terminal, api):
    terminal.sync(keys(TEAM))
    api.put("virtual-keys/vk-1", {"is_active": False})
    terminal.sync(keys(TEAM | {"description": "ours"}))
    assert not the_key(terminal).is_active
    terminal.sync(keys(TEAM | {"description": "ours", "is_active": True}))
    assert the_key(terminal).is_active is True


def test_a_key_without_an_id_is_matched_by_its_name(terminal, api):
    made = api.post("virtual-keys", {"name": "Team", "value": "sk-of-the-team"}).get_json()["virtual_key"]
    terminal.sync(keys({"name": "Team", "description": "ours"}))
    key = the_key(terminal)
    assert (key.id, key.description, key.digest) == (made["id"], "ours", digest("sk-of-the-team"))
    terminal.sync(keys({"name": "Team", "description": "ours"}))
    terminal.sync(keys(), "--prune")
    assert the_key(terminal) == key


def test_a_name_or_value_of_another_stored_key_is_a_fault(terminal, api):
    api.post("virtual-keys", {"id": "other", "name": "Team", "value": "sk-of-the-team"})
    said = terminal.sync(keys(TEAM | {"value": "sk-of-the-team"}))
    assert said.code == 1
    assert [line.split(": ", 1)[1] for line in said.err.splitlines()] == [
        "virtual_keys[0].name: Give another name, or the id 'other': that virtual key is stored with this name.",
        "virtual_keys[0].value: Give another value, or the id 'other': that virtual key has this value.",
    ]


def test_two_keys_may_change_over_their_names_and_values(terminal):
    terminal.sync(keys({"id": "a", "name": "A", "value": "sk-a"}, {"id": "b", "name": "B", "value": "sk-b"}))
    terminal.sync(keys({"id": "a", "name": "B", "value": "sk-b"}, {"id": "b", "name": "A", "value": "sk-a"}))
    found = {held.key.id: (held.key.name, held.key.digest) for held in terminal.stored().keys.values()}
    assert found == {"a": ("B", digest("sk-b")), "b": ("A", digest("sk-a"))}


def test_a_new_limit_takes_over_its_key_s_calendar_flag(terminal):
    terminal.sync(keys(TEAM | {"calendar_aligned": True}, limits=[BOUND]))
    (held,) = terminal.stored().limits.values()
    assert held.limit.calendar_aligned


def test_budgets_and_the_rate_limit_of_a_key_itself_are_its_limit_on_all_models(terminal):
    """Bifrost's file has keys in this form."""
    rate = {"id": "r", "request_max_limit": 9, "request_reset_duration": "1m"}
    content = bifrost(
        virtual_keys=[TEAM | {"rate_limit_id": "r", "calendar_aligned": True}, {"id": "vk-2", "name": "Two"}],
        budgets=[budget(5, "1d", id="d", virtual_key_id="vk-1"), budget(9, "1M", id="m", virtual_key_id="vk-1")],
        rate_limits=[rate],
    )
    assert terminal.check(content).err == ""
    assert terminal.sync(content).code == 0
    (held,) = terminal.stored().limits.values()
    limit = held.limit
    assert (limit.model_name, limit.scope, limit.scope_id, limit.calendar_aligned) == ("*", "virtual_key", "vk-1", True)
    assert [rule.id for rule in limit.rules] == ["d", "m", "r"]
    assert terminal.dry(content).code == 0


def test_a_key_s_own_budget_beside_a_limit_on_the_same_is_a_fault(terminal):
    limit = BOUND | {"id": "m", "budgets": []}
    content = bifrost(virtual_keys=[TEAM], model_configs=[limit], budgets=[budget(id="d", virtual_key_id="vk-1")])
    said = terminal.check(content)
    assert said.code == 1
    assert "Put both into one: governance.model_configs[0] is on the same model, provider and scope." in said.err


def test_a_key_s_own_budget_without_the_key_is_a_fault(terminal):
    said = terminal.sync(bifrost(budgets=[budget(id="d", virtual_key_id="vk-9")]))
    assert (said.code, "Virtual key 'vk-9' not found" in said.err) == (1, True)


def test_the_audit_names_the_file_and_no_value(terminal):
    terminal.sync(keys(TEAM | {"value": "sk-of-the-team"}, limits=[BOUND]), name="config.json")
    said = terminal.run("audit", "--json").out
    assert said.count('"actor":"file:config.json"') == 2
    assert "sk-of-the-team" not in said


def test_prune_removes_a_key_with_its_limits_but_not_one_to_which_others_are_bound(terminal, api):
    terminal.sync(keys(TEAM, limits=[BOUND]))
    api.create("by-api", scope="virtual_key", scope_id="vk-1", budgets=[budget()])
    said = terminal.sync(keys(), "--prune")
    assert "= keep virtual key Team [vk-1] (kept: limits that are not this file's are bound to it)" in said.out
    assert [limit.model_name for limit, _ in terminal.stored().limits.values()] == ["by-api"]
    api.delete(f"model-configs/{next(iter(terminal.stored().limits))}")
    terminal.sync(keys(), "--prune")
    assert terminal.stored().keys == {}


def test_an_export_has_no_value_and_leaves_the_stored_one(terminal, tmp_path):
    terminal.sync(keys(TEAM | {"value": "sk-of-the-team", "expires_at": "2027-01-01T00:00:00Z"}, limits=[BOUND]))
    exported = terminal.run("export").out
    assert "sk-" not in exported
    path = tmp_path / "export.json"
    path.write_text(exported)
    assert terminal.run("sync", str(path), "--yes").out == "Plan: 2 to keep.\n"
    assert the_key(terminal).digest == digest("sk-of-the-team")
