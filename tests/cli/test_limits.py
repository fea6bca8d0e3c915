"""`flask governance limits list` and `show`: the stored limits and their usage."""

import json
import re

import pytest

from tests.conftest import ADMIN_KEY

NAMES = ["gpt-4o", "gpt-4o-mini", "claude-opus-4-1", "o3"]


def lines(text: str) -> list[list[str]]:
    """Return the cells of a table's rows, without its head."""
    return [re.split(r" {2,}", line) for line in text.splitlines()[1:]]


def test_there_is_a_row_for_each_rule_with_what_is_used_and_reserved_of_it(api, done, count):
    made = api.create(
        provider="openai",
        budgets=[{"max_limit": 20, "reset_duration": "1d"}, {"max_limit": 500, "reset_duration": "1M"}],
        rate_limit={"token_max_limit": 1_000_000, "token_reset_duration": "1h"},
    )
    count(made["budgets"][0]["id"], "cost", 12_400_000_000, 1_500_000_000)
    count(made["rate_limit"]["id"], "tokens", 1_000_000)
    who = ["gpt-4o", "openai", "global"]
    assert lines(done("limits", "list")) == [
        [*who, "██████░░░░", "69%", "$12.4 + $1.5 of $20", "1d", "2026-11-24T12:00:00Z", made["id"]],
        [*who, "░░░░░░░░░░", "0%", "$0 of $500", "1M", "2026-12-23T12:00:00Z", made["id"]],
        [*who, "██████████ 100%", "1,000,000 of 1,000,000 tokens", "1h", "2026-11-23T13:00:00Z", made["id"]],
    ]


def test_a_limit_is_told_with_whom_it_concerns_and_whose_calendar_it_follows(api, done):
    api.post("virtual-keys", {"id": "vk-1", "name": "team-red"})
    api.post("users", {"id": "u-1", "name": "Ann"})
    budget = {"max_limit": 0.000000001, "reset_duration": "1M"}
    api.create("*", scope="virtual_key", scope_id="vk-1", budget=budget, calendar_aligned=True, timezone="Asia/Tokyo")
    api.create("*", scope="user", scope_id="u-1", budget=budget)
    api.create("*", scope="user", scope_id="u-2", budget=budget)
    rows = lines(done("limits", "list", "--sort-by", "model_name", "--order", "asc"))
    assert {(row[2], row[6]) for row in rows} == {
        ("virtual key team-red", "1M Asia/Tokyo"),
        ("user Ann", "1M"),
        ("user u-2", "1M"),
    }
    assert {row[5] for row in rows} == {"$0 of $0.000000001"}


def test_a_limit_without_rules_says_that_it_caps_nothing(api, done):
    made = api.create()
    assert lines(done("limits", "list")) == [
        ["gpt-4o", "all", "global", "no rule", "it caps nothing", "–", "–", made["id"]]
    ]
    assert "No rule: it caps nothing." in done("limits", "show", made["id"])


def test_columns_are_as_wide_as_what_a_terminal_shows(api, done):
    budget = {"max_limit": 1, "reset_duration": "1d"}
    for name in ("模型-4", "e\u0301te\u0301", "plain-model"):
        api.create(name, budget=budget)
    shown = done("limits", "list").splitlines()
    wide = {"模": 2, "型": 2, "\u0301": 0}
    ends = {sum(wide.get(sign, 1) for sign in line[: line.index("global")]) for line in shown[1:]}
    assert ends == {shown[0].index("FOR")}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"limit": "2", "offset": "1"},
        {"search": "GPT", "sort_by": "model_name", "order": "asc"},
        {"scope": "global", "provider": "openai"},
        {"scope": "user", "scope_id": "u-1"},
        {"limit": "1000", "sort_by": "usage"},
    ],
    ids=str,
)
def test_as_json_a_page_is_what_http_answers_with_the_same_parameters(api, done, query):
    for name in NAMES:
        api.create(name, provider="openai", rate_limit={"request_max_limit": 5, "request_reset_duration": "1m"})
    api.create("*", scope="user", scope_id="u-1")
    words = [word for name, value in query.items() for word in (f"--{name.replace('_', '-')}", value)]
    answer = api.get("model-configs", query_string=query)
    assert done("limits", "list", "--json", *words) == answer.text + "\n"


def test_what_is_left_of_a_long_list_is_told_beside_it(api, run):
    for name in NAMES:
        api.create(name)
    first = run("limits", "list", "--limit", "3")
    assert (len(first.stdout.splitlines()), first.stderr) == (4, "Shown: 1 to 3 of 4; --offset 3 shows more.\n")
    last = run("limits", "list", "--limit", "3", "--offset", "3")
    assert (len(last.stdout.splitlines()), last.stderr) == (2, "Shown: 4 to 4 of 4.\n")
    past = run("limits", "list", "--offset", "9")
    assert (past.exit_code, past.stdout, past.stderr) == (0, "", "Shown: none of 4.\n")


def test_an_empty_list_is_no_fault(run):
    result = run("limits", "list")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Shown: none of 0.\n")


def test_every_fault_of_the_parameters_is_told_in_the_words_of_http(refused):
    assert refused("limits", "list", "--limit", "many", "--scope", "team").splitlines() == [
        "Give limit as a whole number.",
        "Give scope as one of global, virtual_key, user.",
    ]


@pytest.mark.parametrize("word", ["gpt-4o", " GPT-4o ", "openai/GPT-4o"])
def test_a_limit_is_shown_by_its_model_however_it_is_spelled(api, asked, word):
    wanted = api.create("gpt-4o", provider="openai")["id"]
    api.create("gpt-4o-mini")
    api.create("gpt-4o", provider="azure") if "/" in word else None
    assert [limit["id"] for limit in asked("limits", "show", word)["model_configs"]] == [wanted]


def test_all_limits_on_a_model_are_shown_the_newest_first(api, asked, clock, done):
    made = []
    for provider in ("openai", "azure", None):
        clock.advance(1)
        made.append(api.create("gpt-4o", **({"provider": provider} if provider else {}))["id"])
    shown = asked("limits", "show", "gpt-4o")
    assert [limit["id"] for limit in shown["model_configs"]] == made[::-1]
    assert shown["total_count"] == 3
    assert re.findall(r"^id +(\S+)$", done("limits", "show", "gpt-4o"), re.MULTILINE) == made[::-1]


def test_a_limit_of_an_id_is_shown_as_http_shows_it(api, asked):
    made = api.create(budget={"max_limit": 0.1, "reset_duration": "1d"})
    api.create(made["id"])  # the name of a model may equal the id of another limit
    answer = api.get(f"model-configs/{made['id']}").get_json()["model_config"]
    assert asked("limits", "show", made["id"])["model_configs"] == [answer]


def test_money_is_exact_in_every_form(api, done):
    made = api.create(budget={"max_limit": 1, "reset_duration": "1d"})
    body = '{"budget": {"max_limit": 999999999.123456789, "reset_duration": "1d"}}'
    api.put(f"model-configs/{made['id']}", data=body)
    assert '"max_limit":999999999.123456789' in done("limits", "show", made["id"], "--json")
    assert "$0 of $999,999,999.123456789" in done("limits", "show", made["id"])


def test_how_often_a_limit_refused_a_call_is_shown_once_it_is_written_down(api, asked, done, clock, governance):
    made = api.create(rate_limit={"request_max_limit": 1, "request_reset_duration": "1h"})
    other = api.create("o3")
    for _ in range(3):
        api.post("reservations", {"model": "gpt-4o"})
    governance.poller.poll()
    clock.advance(125)
    assert asked("limits", "show", "gpt-4o")["denials"] == {made["id"]: {"count": 2, "last_at": "2026-11-23T12:00:00Z"}}
    assert asked("limits", "show", "o3")["denials"] == {other["id"]: {"count": 0, "last_at": None}}
    assert "denied    2, 2m 5s ago\n" in done("limits", "show", "gpt-4o")
    assert "denied    –\n" in done("limits", "show", "o3")


def test_what_is_not_there_is_told_with_what_to_do(refused):
    said = "Give the id or the model of a limit that exists: 'no' is neither (flask governance limits list shows them)."
    assert refused("limits", "show", "no") == said


def test_of_a_model_with_very_many_limits_the_newest_hundred_are_shown(api, run):
    for number in range(102):
        api.create("gpt-4o", scope="user", scope_id=f"u-{number:03}")
    result = run("limits", "show", "gpt-4o")
    assert result.stdout.count("\nid ") == 100
    assert result.stderr == "Shown: the newest 100 of 102; limits list --search shows more.\n"


def test_colours_are_for_a_terminal_and_for_who_wants_them(api, run, count):
    made = api.create(
        budgets=[{"max_limit": n, "reset_duration": d} for n, d in ((1, "1h"), (5, "1d"), (10, "1w"))],
    )
    for item, used in zip(made["budgets"], (1, 4, 2), strict=True):
        count(item["id"], "cost", used * 1_000_000_000)
    plain = run("limits", "list").stdout
    assert "\x1b" not in plain
    terminal = run("limits", "list", color=True).stdout
    assert re.sub(r"\x1b\[\d*m", "", terminal) == plain
    assert re.findall(r"\x1b\[(3\d)m", terminal) == ["31", "33", "32"]
    assert run("limits", "list", color=True, env={"NO_COLOR": "1"}).stdout == plain
    assert "\x1b" not in run("limits", "list", "--json", color=True).stdout


def test_no_secret_is_shown(api, run):
    key = api.post("virtual-keys", {"name": "team"}).get_json()["virtual_key"]
    api.create("*", scope="virtual_key", scope_id=key["id"])
    for words in (["limits", "list"], ["limits", "show", "*"], ["usage"], ["keys", "list"], ["virtual-keys", "list"]):
        for form in ([], ["--json"]):
            shown = run(*words, *form).output
            assert key["value"] not in shown
            assert ADMIN_KEY not in shown


def test_a_page_of_json_is_one_line(api, done):
    api.create("two\u2028lines")
    assert json.loads(done("limits", "list", "--json"))["count"] == 1
