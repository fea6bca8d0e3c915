"""`flask governance audit`: a readable list, newest first, and the same as JSON."""

import json

import pytest

from tests.api.trail import DAY, MINUTE, key, ok, virtual_key


@pytest.fixture
def run(app):
    def command(*arguments):
        return app.test_cli_runner().invoke(args=["governance", *arguments])

    return command


def lines(result):
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_it_shows_what_was_made_what_was_changed_and_what_was_deleted(api, run, clock):
    limit = api.create(provider="openai", budget=DAY, rate_limit=MINUTE)["id"]
    clock.advance(60)
    edit = {"budget": DAY | {"max_limit": 0.00000005}, "calendar_aligned": True, "timezone": "Asia/Tokyo"}
    ok(api.put(f"model-configs/{limit}", edit))
    clock.advance(0.5)
    ok(api.post("users", {"id": "u", "name": 'Ada "A"'}))
    ok(api.delete("users/u"))
    assert lines(run("audit")) == [
        "2026-11-23T12:01:00.500000Z  delete  user u  by key:settings",
        r'    name: "Ada \"A\""',
        "2026-11-23T12:01:00.500000Z  create  user u  by key:settings",
        r'    name: "Ada \"A\""',
        f"2026-11-23T12:01:00Z         update  model_config {limit}  by key:settings",
        "    calendar_aligned: false → true",
        '    timezone: "UTC" → "Asia/Tokyo"',
        "    budgets[1d].max_limit: 20 → 0.00000005",
        f"2026-11-23T12:00:00Z         create  model_config {limit}  by key:settings",
        '    model_name: "gpt-4o"',
        '    provider: "openai"',
        '    scope: "global"',
        "    calendar_aligned: false",
        '    timezone: "UTC"',
        "    budgets[1d].max_limit: 20",
        "    rate_limits[1m].request_max_limit: 15",
        "Changes: 4.",
    ]


def test_ids_of_items_are_shown_where_nothing_else_changed(api, run):
    limit = api.create(rate_limit=MINUTE | {"token_max_limit": 9, "token_reset_duration": "1h"})
    apart = [MINUTE, {"token_max_limit": 9, "token_reset_duration": "1h"}]
    after = ok(api.put(f"model-configs/{limit['id']}", {"rate_limits": apart}))["model_config"]
    ids = json.dumps([rate["id"] for rate in after["rate_limits"]])
    assert lines(run("audit", "--limit", "1"))[1:] == [
        f'    rate_limits[*].id: ["{limit["rate_limit"]["id"]}"] → {ids}',
        "Changes: 2; shown are the newest 1 (see --limit).",
    ]


def test_json_is_what_the_api_answers(api, run):
    api.create(budget={"max_limit": 0.000000001, "reset_duration": "1d"})
    virtual_key(api)
    result = run("audit", "--json", "--limit", "25")
    assert lines(result) == [api.get("audit").text]


def test_options_filter_as_parameters_do(api, run, clock):
    api.create()
    made = key(api, "write")
    clock.advance(3600)
    ok(api.with_key(made["key"]).post("users", {"id": "u", "name": "Ada"}))
    for options, wanted in (
        (["--entity", "user"], [3]),
        (["--entity-id", made["id"]], [2]),
        (["--actor", f"key:{made['id']}"], [3]),
        (["--action", "create"], [3, 2, 1]),
        (["--action", "delete"], []),
        (["--since", "2026-11-23T13:00:00Z"], [3]),
        (["--until", "2026-11-23T13:00:00Z", "--entity", "model_config"], [1]),
        (["--limit", "2"], [3, 2]),
    ):
        found = json.loads(lines(run("audit", "--json", *options))[0])
        assert [entry["seq"] for entry in found["audit"]] == wanted


def test_more_than_a_page_of_the_api_can_be_shown(api, run):
    for turn in range(120):
        ok(api.post("users", {"id": f"u{turn}", "name": "Ada"}))
    assert len(json.loads(run("audit", "--json", "--limit", "500").output)["audit"]) == 120
    assert lines(run("audit"))[-1] == "Changes: 120; shown are the newest 25 (see --limit)."


def test_without_any_change_it_says_so(run):
    assert lines(run("audit")) == ["Changes: 0."]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--entity", "limit"], "entity as one of"),
        (["--action", "edit"], "action as one of"),
        (["--since", "yesterday"], "since as an RFC 3339 time"),
        (["--until", "2026"], "until as an RFC 3339 time"),
    ],
)
def test_a_question_that_is_none_is_told_in_one_line(run, options, word):
    result = run("audit", *options)
    assert result.exit_code == 1
    assert word in result.output
    assert len(result.output.splitlines()) == 1


def test_a_command_acts_in_its_own_name(app, run, governance, monkeypatch):
    def write():
        governance.users.create({"id": "u", "name": "Ada"})
        return 0, []

    monkeypatch.setattr(governance.verification, "verify", write)
    lines(run("verify"))
    governance.users.create({"id": "v", "name": "Ada"})
    found = json.loads(run("audit", "--json").output)["audit"]
    assert [entry["actor"] for entry in found] == ["service", "command:verify"]
