"""`flask governance check`: every fault at once, with its line and path, and parts of a valid file without effect."""

import json

import pytest

from governance.domain.config.lint import NOTHING
from governance.domain.limits.drafts import NOT_ALIGNABLE
from governance.domain.limits.durations import EXAMPLES
from tests.config.conftest import bifrost, budget, nested

DOLLARS = "a number of dollars above 0 and at most 1000000000"
OBJECT = "Give governance.model_configs[0] as an object, with its fields in braces: {…}."
MEANT = "there is no such field (did you mean model_name?)."
DURATION = f"must be a duration like {EXAMPLES}"
NAMED = "a call counts on the name it gives."
ANOTHER = "Write a budget of its own for this limit, with another id"
NAMED_HERE = "and name that here: a budget belongs to one limit, and"
KEY = {"id": "vk-1", "name": "Team"}


def messages(said):
    return [(fault["path"], fault["message"]) for fault in said.json["faults"]]


def faults(terminal, content):
    said = terminal.check(content, "--json")
    assert said.code == 1
    return messages(said)


def warnings(terminal, content):
    said = terminal.check(content, "--json")
    assert said.code == 0, said.err
    return [(each["path"], each["message"]) for each in said.json["warnings"]]


def test_every_fault_is_told_at_once_with_file_line_and_path(terminal):
    text = """{"governance": {
      "model_configs": [
        {"id": "m1", "model_name": "gpt-5",
         "budgets": [{"max_limit": -1, "reset_duration": "1d"}]},
        {"id": "m2", "modelname": "gpt-5"}
      ],
      "budgets": [{"id": "b1", "max_limit": "ten", "reset_duration": "1x"}],
      "virtual_keys": {}
    }}"""
    said = terminal.check(text)
    assert said.code == 1
    assert [line.split(": ", 2) for line in said.err.splitlines()] == [
        ["limits.json:4", "governance.model_configs[0].budgets[0].max_limit", f"Give max_limit as {DOLLARS}."],
        ["limits.json:5", "governance.model_configs[1].model_name", "Give model_name: it is required."],
        ["limits.json:5", "governance.model_configs[1].modelname", f"Leave out modelname: {MEANT}"],
        ["limits.json:7", "governance.budgets[0].max_limit", "Give max_limit as a number."],
        ["limits.json:7", "governance.budgets[0].reset_duration", f"Give reset_duration differently: it {DURATION}."],
        ["limits.json:8", "governance.virtual_keys", "Give governance.virtual_keys as a list of objects."],
    ]
    assert said.out == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,\n "b": }', "limits.json:2: Write a JSON object: the file is not valid JSON at line 2, column 7."),
        (
            '{"budgets": [],\n "budgets": []}',
            "limits.json:2: budgets: Give 'budgets' once: it stands twice in the same object.",
        ),
        ("[]", 'limits.json: Write a JSON object, such as {"model_configs": [...]}.'),
        ('{"a": NaN}', "limits.json: Use a number: NaN is not JSON."),
    ],
)
def test_what_is_no_json_object_is_told_where(terminal, text, said):
    assert terminal.check(text).err.strip() == said


def test_a_file_that_cannot_be_read_is_told(terminal, tmp_path):
    gone = tmp_path / "gone.json"
    said = terminal.run("check", str(gone))
    sentence = f"gone.json: Give a file that can be read: {gone}, No such file or directory.\n"
    assert (said.code, said.err) == (1, sentence)


def test_a_byte_order_mark_is_no_fault(terminal, tmp_path):
    path = tmp_path / "bom.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(nested({"model_name": "*", "budgets": [budget()]})).encode())
    assert terminal.run("check", str(path)).code == 0


REFERENCES = [
    (
        {"model_configs": [{"id": "m", "model_name": "a", "budget_ids": ["b1", "b9"], "rate_limit_id": "r9"}],
         "budgets": [budget(id="b1")]},
        [("governance.model_configs[0].budget_ids[1]",
          "Add a budget with the id 'b9' to the file, or take it out here."),
         ("governance.model_configs[0].rate_limit_id",
          "Add a rate limit with the id 'r9' to the file, or take it out here.")],
    ),
    (
        {"model_configs": [{"id": "m", "model_name": "a", "budget_id": "b1"},
                           {"id": "n", "model_name": "b", "budget_ids": ["b1"]}], "budgets": [budget(id="b1")]},
        [("governance.model_configs[1].budget_ids[0]",
          f"{ANOTHER} such as 'b1-2', {NAMED_HERE} 'b1' belongs to governance.model_configs[0].")],
    ),
    (
        {"model_configs": [{"id": "m", "model_name": "a"}], "budgets": [budget(id="b1", model_config_id="x")]},
        [("governance.budgets[0].model_config_id",
          "Add a model config with the id 'x' to the file, or take it out here.")],
    ),
    (
        {"model_configs": [{"id": "m", "model_name": "a"}, {"id": "m", "model_name": "b"}]},
        [("governance.model_configs[1].id", "Give each id once: 'm' stands at governance.model_configs[0].id too.")],
    ),
    (
        {"model_configs": [{"model_name": "GPT-5", "provider": "openai"},
                           {"model_name": "openai/gpt-5", "provider": "OpenAI"}]},
        [("governance.model_configs[1].model_name",
          "Put both into one: governance.model_configs[0] is on the same model, provider and scope.")],
    ),
    (
        {"model_configs": [{"id": "m", "model_name": "a", "budget_ids": ["b1", "b2"]}],
         "budgets": [budget(id="b1"), budget(id="b2", reset_duration="24h")]},
        [("governance.model_configs[0]",
          "Give each window once among budgets: 2 of this limit are as long as 24h.")],
    ),
    (
        {"virtual_keys": [KEY, KEY | {"id": "vk-2"}]},
        [("governance.virtual_keys[1].name",
          "Give each name once: 'Team' stands at governance.virtual_keys[0].name too.")],
    ),
    (
        {"virtual_keys": [KEY | {"value": "sk-1"}, {"id": "vk-2", "name": "B", "value": "sk-1"}]},
        [("governance.virtual_keys[1].value",
          "Give each virtual key a value of its own: governance.virtual_keys[0] has the same.")],
    ),
    (
        {"model_configs": [{"model_name": "a", "calendar_aligned": True, "budgets": [budget(reset_duration="5h")]}]},
        [("governance.model_configs[0].calendar_aligned",
          NOT_ALIGNABLE)],
    ),
    (
        {"model_confgs": []},
        [("governance.model_confgs",
          "Leave out governance.model_confgs: there is no such section (did you mean model_configs?).")],
    ),
    ({"model_configs": [1]}, [("governance.model_configs[0]", OBJECT)]),
]  # fmt: skip


@pytest.mark.parametrize(("sections", "told"), REFERENCES)
def test_what_does_not_go_together_is_a_fault(terminal, sections, told):
    assert faults(terminal, bifrost(**sections)) == told


def test_a_reference_to_a_faulty_budget_is_not_a_second_fault(terminal):
    content = bifrost(
        model_configs=[{"id": "m", "model_name": "a", "budget_ids": ["b1"]}], budgets=[budget(id="b1", max_limit=0)]
    )
    assert [path for path, _ in faults(terminal, content)] == ["governance.budgets[0].max_limit"]


def test_warnings_are_told_beside_faults_but_nothing_is_called_missing_that_a_faulty_entry_may_have(terminal):
    shadowed = {"id": "m", "model_name": "a", "budgets": [budget(9, "1d"), budget(5, "1M")]}
    keyless = {"id": "n", "model_name": "b", "scope": "virtual_key", "scope_id": "vk-9", "budget_ids": ["b1"]}
    wrong = {"id": "w", "modelname": "c"}
    content = bifrost(model_configs=[shadowed, keyless, wrong], budgets=[budget(id="b1"), budget(id="b2")])
    said = terminal.check(content, "--json")
    assert (said.code, len(said.json["faults"])) == (1, 2)
    assert [each["path"] for each in said.json["warnings"]] == [
        "governance.model_configs[0]",
        "governance.model_configs[1].scope_id",
    ]
    said = terminal.check(content)
    assert [line.split(":")[0] for line in said.err.splitlines()] == [*["Warning"] * 2, *["limits.json"] * 2]
    content["governance"] |= {"virtual_keys": [{"id": "vk-9"}], "budgets": [budget(0, id="b1")]}
    assert [each["path"] for each in terminal.check(content, "--json").json["warnings"]] == [
        "governance.model_configs[0]"
    ]


def test_a_value_comes_from_the_environment_and_is_never_shown(terminal, monkeypatch):
    content = bifrost(virtual_keys=[KEY | {"value": "env.TEAM_KEY"}])
    unset = (
        "governance.virtual_keys[0].value",
        "Set the environment variable TEAM_KEY: the value of this virtual key is taken from it.",
    )
    assert warnings(terminal, content) == [unset]
    said = terminal.sync(content, "--json")
    assert (said.code, messages(said), said.json["warnings"]) == (1, [unset], [])
    monkeypatch.setenv("TEAM_KEY", "sk-very-secret-value")
    said = terminal.sync(content, "--json")
    assert said.code == 0
    assert "secret-value" not in said.out + said.err
    monkeypatch.setenv("TEAM_KEY", "x" * 300)
    said = terminal.check(content)
    assert said.code == 1
    assert "xxx" not in said.out + said.err


def test_only_a_value_comes_from_the_environment(terminal):
    content = bifrost(virtual_keys=[KEY | {"name": "env.NAME"}])
    assert terminal.sync(content).code == 0
    assert [held.key.name for held in terminal.stored().keys.values()] == ["env.NAME"]


CAUTIONS = [
    (nested({"model_name": "gpt-5"}),
     [("model_configs[0]", "This limit has no budget and no rate limit: it limits nothing.")]),
    (
        nested({"model_name": "*", "scope": "virtual_key", "scope_id": "vk-9", "budgets": [budget()]}),
        [("model_configs[0].scope_id",
          "The virtual key 'vk-9' is not in this file: where it is not stored either, sync refuses.")],
    ),
    (
        nested({"model_name": "*", "budgets": [budget(100, "1d"), budget(200, "1w"), budget(50, "1M")]}),
        [("model_configs[0]", "$100 / 1d is never reached: $50 / 1M is used up first."),
         ("model_configs[0]", "$200 / 1w is never reached: $50 / 1M is used up first.")],
    ),
    (
        nested({"model_name": "gpt-4o-2024-08-06", "budgets": [budget()]},
               {"model_name": "gpt-4o", "budgets": [budget()]},
               {"model_name": "claude-sonnet-4-20250514", "budgets": [budget()]}),
        [("model_configs[0].model_name",
          f"'gpt-4o-2024-08-06' is another model than 'gpt-4o' (model_configs[1]): {NAMED}")],
    ),
    (
        nested(virtual_keys=[KEY | {"expires_at": "2026-11-23T11:00:00Z"}]),
        [("virtual_keys[0]", "This virtual key has expired: calls with it are refused.")],
    ),
    (nested({"model_name": "*", "budgets": [budget(50, "1d"), budget(51, "1M")]}), []),
    ({"limits": [{"model_name": "m"}]}, [(None, NOTHING)]),
    (nested(users=[{"id": "u", "name": "Ada"}]), []),
]  # fmt: skip


@pytest.mark.parametrize(("content", "told"), CAUTIONS)
def test_what_cannot_bite_is_a_warning_and_no_fault(terminal, content, told):
    assert warnings(terminal, content) == told


def test_what_is_none_of_ours_is_skipped_by_name(terminal):
    keys = [KEY | {"team_id": "t", "provider_configs": [{"provider": "openai", "weight": 1}], "mcp_configs": None}]
    content = bifrost(teams=[], virtual_keys=keys) | {"providers": {}, "mcp": {}}
    said = terminal.check(content, "--json")
    assert said.json["skipped"] == [
        "governance.teams",
        "providers",
        "mcp",
        "governance.virtual_keys[].team_id",
        "governance.virtual_keys[].provider_configs[].weight",
    ]


def test_a_file_is_as_strict_about_names_and_ids_as_the_api(terminal):
    entries = [
        {"model_name": "gpt-*", "budgets": [budget()]},
        {"model_name": "m", "provider": "open*", "budgets": [budget()]},
        {"model_name": "m", "scope": "user", "scope_id": "*", "budgets": [budget()]},
        {"model_name": "m", "scope_id": "u", "budgets": [budget()]},
        {"model_name": "m", "scope": "global", "scope_id": "", "budgets": [budget()]},
        {"model_name": "openai/*", "provider": "openai", "budgets": [budget()]},
    ]
    assert [(path, message.split()[0:2]) for path, message in faults(terminal, nested(*entries))] == [
        ("model_configs[0].model_name", ["Give", "model_name"]),
        ("model_configs[1].provider", ["Give", "provider"]),
        ("model_configs[2].scope_id", ["Give", "scope_id"]),
        ("model_configs[3].scope_id", ["Leave", "scope_id"]),
    ]


def test_it_asks_no_database(terminal, settings):
    settings.database_path.unlink()
    assert terminal.check(nested({"model_name": "*", "budgets": [budget()]})).code == 0


def test_what_the_list_answers_is_a_file(terminal, api):
    api.create(budgets=[budget()], rate_limit={"request_max_limit": 5, "request_reset_duration": "1m"})
    assert terminal.dry(api.list()).code == 0


def test_the_example_is_right_and_without_warnings(terminal):
    said = terminal.run("check", "examples/config.json", "--json")
    assert (said.code, said.json["warnings"], said.json["model_configs"]) == (0, [], 9)
