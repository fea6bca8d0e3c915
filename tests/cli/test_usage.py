"""`flask governance usage`: the rule that is nearest to its maximum comes first."""

import re

import pytest

DAY = 24 * 3600


@pytest.fixture
def limits(api, count):
    """Create four limits: one half used, one with nine tenths used or reserved, one over its maximum, one unused."""
    budget = {"budget": {"max_limit": 10, "reset_duration": "1d"}}
    made = {name: api.create(name, **budget) for name in ("half", "nine", "over", "none")}
    for name, used, reserved in (("half", 5, 0), ("nine", 5, 4), ("over", 12, 0)):
        count(made[name]["budget"]["id"], "cost", used * 10**9, reserved * 10**9)
    return {name: limit["id"] for name, limit in made.items()}


def models(shown: str) -> list[str]:
    return re.findall(r"\$10 +(\w+)", shown)


def test_the_nearest_to_its_cap_comes_first_and_the_unused_does_not_come(limits, run):
    result = run("usage")
    assert (result.exit_code, models(result.stdout)) == (0, ["over", "nine", "half"])
    assert result.stderr == "1 of 4 budgets and rate limits have nothing left.\n"


def test_as_many_are_shown_as_are_asked_for(limits, run, asked):
    assert models(run("usage", "--limit", "2").stdout) == ["over", "nine"]
    shown = asked("usage", "--limit", "2")
    assert (shown["count"], shown["total_count"], shown["full_count"]) == (2, 4, 1)


def test_each_rule_of_a_limit_stands_for_itself(api, count, asked):
    made = api.create(
        budgets=[{"max_limit": 1, "reset_duration": "1d"}, {"max_limit": 100, "reset_duration": "1M"}],
        rate_limit={
            "token_max_limit": 3,
            "token_reset_duration": "1h",
            "request_max_limit": 2,
            "request_reset_duration": "1m",
        },
    )
    day, month = made["budgets"]
    count(day["id"], "cost", 10**9 // 4)
    count(month["id"], "cost", 1)
    count(made["rate_limit"]["id"], "tokens", 2)
    count(made["rate_limit"]["id"], "requests", 1, 1)
    shown = [(rule["metric"], rule["rule_id"]) for rule in asked("usage")["usage"]]
    rates = made["rate_limit"]["id"]
    assert shown == [("requests", rates), ("tokens", rates), ("cost", day["id"]), ("cost", month["id"])]


def test_a_window_that_ended_is_not_shown(limits, run, clock):
    clock.advance(DAY)
    result = run("usage")
    assert (result.stdout, result.stderr) == ("", "0 of 4 budgets and rate limits have nothing left.\n")


def test_in_json_a_rule_is_told_as_a_denial_tells_it_with_how_often_it_refused(api, asked, governance, clock):
    api.create(provider="openai", budget={"max_limit": 1, "reset_duration": "1d"})
    call = {"model": "gpt-4o", "provider": "openai", "cost": 0.6}
    api.post("reservations", call)
    (violation,) = api.post("reservations", call).get_json()["extra_fields"]["violations"]
    governance.poller.poll()
    del violation["requested"]
    denials = {"count": 1, "last_at": "2026-11-23T12:00:00Z"}
    assert asked("usage")["usage"] == [violation | {"denials": denials}]


def test_shares_are_compared_exactly(api, count, asked):
    most = 10**9
    made = [api.create(f"m-{n}", budget={"max_limit": most, "reset_duration": "1Y"}) for n in range(3)]
    for limit, less in zip(made, (2, 1, 3), strict=True):
        count(limit["budget"]["id"], "cost", most * 10**9 - less)
    assert [rule["model_name"] for rule in asked("usage")["usage"]] == ["m-1", "m-0", "m-2"]


def test_where_nothing_is_stored_there_is_nothing_to_show(run):
    result = run("usage")
    assert (result.exit_code, result.stdout) == (0, "")
