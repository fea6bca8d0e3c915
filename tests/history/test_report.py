"""`flask governance report` and `verify`: who spent what in a terminal, and whether the history is right."""

import json

import pytest
from sqlalchemy import update

from governance.storage.tables import usage_buckets, usage_months
from tests.metering.conftest import dollars


@pytest.fixture
def run(app):
    def invoke(*words):
        result = app.test_cli_runner().invoke(args=["governance", *words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


def test_the_highest_cost_stands_first_with_a_bar(api, meter, run):
    api.post("virtual-keys", {"id": "search", "name": "Search team"})
    meter.reported(cost=20, tokens=500, virtual_key_id="search", requests=4)
    meter.reported(cost=5, input_tokens=70, output_tokens=30)
    told = run("report", "--since", "30d", "--by", "virtual_key")
    assert told.stdout.splitlines() == [
        "VIRTUAL KEY           COST              CALLS  TOKENS  DENIED",
        "Search team (search)  $20   ██████████  4      500     0",
        "–                     $5    ██░░░░░░░░  1      100     0",
    ]
    assert told.stderr == "2026-10-24T00:00:00Z to 2026-11-23T12:15:00Z: $25, 5 calls.\n"


def test_periods_and_groups_are_columns(meter, run):
    meter.reported("gpt-4o", cost=1)
    meter.advance(86_400)
    meter.reported("o3", cost=2)
    lines = run("report", "--bucket", "day", "--by", "provider,model").stdout.splitlines()
    assert lines[0].split() == ["FROM", "PROVIDER", "MODEL", "COST", "CALLS", "TOKENS", "DENIED"]
    assert [line.split()[0] for line in lines[1:]] == ["2026-11-24T00:00:00Z", "2026-11-23T00:00:00Z"]


def test_json_and_csv_are_those_of_the_api(api, meter, run):
    meter.reported("gpt-4o", cost=1.5)
    answer = api.get("usage/history?group_by=model&sort_by=cost").get_json()
    told = json.loads(run("report", "--by", "model", "--json").stdout)
    assert told["usage"] == answer["usage"]
    assert told["sum"] == answer["sum"]
    assert run("report", "--by", "model", "--csv").stdout.splitlines()[1].endswith(",gpt-4o,1,0,0,0,0,1.5,0,0")


def test_a_wrong_question_is_told_in_a_sentence(run):
    for words, said in [
        (("--since", "soon"), "Give since as a time"),
        (("--since", "2027-01-01"), "in the future"),
        (("--by", "team"), "Give group_by as some of"),
    ]:
        told = run("report", *words)
        assert (told.exit_code, said in told.stderr) == (1, True)


def test_denials_are_counted_by_the_poll(api, meter, asked):
    api.create("gpt-4o", budget=dollars(1))
    meter.denied(cost=2, user_id="ann")
    meter.denied(cost=2, user_id="ann")
    assert asked()["sum"]["denied"] == 0
    meter.poll()
    (row,) = asked("group_by=user")["usage"]
    assert (row["user_id"], row["denied"], row["requests"], row["cost"]) == ("ann", 2, 0, 0)


def test_verify_proves_the_history_and_names_what_differs(meter, run, database, governance, clock):
    held = meter.hold(cost=1, input_tokens=10)
    meter.hold("o3", cost=1)
    meter.settled(held, cost=2, tokens=5)
    meter.reported("o3", cost=4, user_id="ann", requests=2)
    proved = "Usage history: {} buckets, days and months. Each equals the calls that it sums."
    assert run("verify").stdout.splitlines()[1] == proved.format(2)
    meter.advance(26 * 3600)
    for _ in range(4):
        governance.retention.prune(clock())
    assert run("verify").stdout.splitlines()[1] == proved.format(3)
    with database.write() as connection:
        connection.execute(update(usage_buckets).where(usage_buckets.c.cost == 4 * 10**9).values(cost=3))
    told = run("verify")
    assert told.exit_code == 1
    assert "15m from 2026-11-23T12:00:00Z of o3, ann: cost $0.000000003, its calls say $4." in told.stderr
    assert "day from 2026-11-23T00:00:00Z of o3, ann: cost $4, its calls say $0.000000003." in told.stderr
    report = json.loads(run("verify", "--json").stdout)
    assert (report["history"], [each["period"] for each in report["history_differences"]]) == (3, ["15m", "day"])


def test_verify_compares_months_with_their_days(meter, run, database, governance, clock):
    meter.reported(cost=1.5)
    for _ in range(9):
        meter.advance(24 * 3600)
        governance.retention.prune(clock())
        governance.retention.prune(clock())
    assert "Usage history: 2 buckets, days and months." in run("verify").stdout
    with database.write() as connection:
        connection.execute(update(usage_months).values(cost=usage_months.c.cost + 1))
    told = run("verify")
    assert told.exit_code == 1
    assert told.stderr == "month from 2026-11-01T00:00:00Z of gpt-4o: cost $1.500000001, its calls say $1.5.\n"
    (difference,) = json.loads(run("verify", "--json").stdout)["history_differences"]
    assert (difference["stored"]["cost"], difference["summed"]["cost"]) == (1.500000001, 1.5)


@pytest.mark.parametrize("options", [{"history_series": 2, "retention_days": 1}])
def test_verify_proves_what_is_kept_of_a_busy_day(meter, run, governance, clock):
    for day in range(3):
        for number in range(6):
            meter.reported(f"model-{number}", cost=number, tokens=day)
        meter.advance(26 * 3600)
        governance.retention.prune(clock())
    meter.reported("last", cost=1)
    told = run("verify")
    assert (told.exit_code, told.stderr) == (0, "")


def test_the_windows_of_a_limit_are_listed_newest_first(api, meter, run):
    limit = api.create("gpt-4o", budget=dollars(10))
    meter.reported(cost=2)
    meter.advance(86_400)
    meter.reported(cost=5)
    meter.hold(cost=1)
    told = run("windows", limit["id"])
    assert told.stdout.splitlines() == [
        "FROM                  TO                    METRIC  USED              RESERVED  LIMIT",
        "2026-11-24T12:00:00Z  2026-11-25T12:00:00Z  cost    $5    █████░░░░░  $1        $10",
        "2026-11-23T12:00:00Z  2026-11-24T12:00:00Z  cost    $2    ██░░░░░░░░  $0        $10",
    ]
    answer = api.get(f"model-configs/{limit['id']}/windows").get_json()
    assert json.loads(run("windows", limit["id"], "--json").stdout) == answer
    assert run("windows", limit["id"], "--limit", "1").stderr == "Shown: 1 to 1 of 2; --offset 1 shows more.\n"


def test_a_forecast_is_told_by_rule(api, meter, run):
    limit = api.create("gpt-4o", budgets=[dollars(10), dollars(40, "1w"), dollars(9, "1M")])
    meter.reported(cost=2)
    meter.advance(6 * 3600)
    meter.reported(cost=1)
    assert [line.split(maxsplit=4) for line in run("forecast", limit["id"]).stdout.splitlines()[1:]] == [
        ["1d", "cost", "$3", "$10", "runs out 2026-11-24T08:00:00Z  $12           2026-11-24T12:00:00Z"],
        ["1w", "cost", "$3", "$40", "from 2026-11-23T20:24:00Z on   –             2026-11-30T12:00:00Z"],
        ["1M", "cost", "$3", "$9", "from 2026-11-25T00:00:00Z on   –             2026-12-23T12:00:00Z"],
    ]
    answer = api.get(f"model-configs/{limit['id']}/forecast").get_json()
    assert json.loads(run("forecast", limit["id"], "--json").stdout) == answer


@pytest.mark.parametrize("command", ["windows", "forecast"])
def test_the_name_of_a_model_is_no_id(api, run, command):
    api.create("gpt-4o", budget=dollars(10))
    told = run(command, "gpt-4o")
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == "Model config not found: give the id of a limit, as the list of limits shows it.\n"


def test_what_if_tells_how_much_and_whose(api, meter, run):
    api.post("virtual-keys", {"id": "search", "name": "Search team"})
    meter.reported(cost=6, virtual_key_id="search")
    meter.reported("o3", cost=6)
    told = run("what-if", "--model", "*", "--budget", "$10/1d", "--requests", "100/1m", "--since", "1d")
    assert told.exit_code == 0, told.stderr
    assert told.stdout.splitlines() == [
        "BY           NAME  CALLS  REFUSED",
        "provider     –     2      1",
        "model        o3    1      1",
        "virtual key  –     1      1",
        "user         –     2      1",
    ]
    assert told.stderr.splitlines() == [
        "2026-11-22T00:00:00Z to 2026-11-23T12:00:01Z, 1 of 2 calls refused, the first 2026-11-23T12:00:00Z.",
        "Spent: $6 of $12.",
    ]
    body = {"model_config": {"model_name": "*", "budget": dollars(10)}, "since": "1d"}
    same = run("what-if", "--budget", "10/1d", "--since", "1d", "--json")
    assert json.loads(same.stdout) == api.post("what-if", body).get_json()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Give --budget, --tokens or --requests"),
        (("--budget", "many/1d"), "Invalid value for '--budget': Give an amount and a duration, such as 18/1d."),
        (("--tokens", "1.5/1d"), "Give token_max_limit as a whole number"),
        (("--budget", "10/1x"), "Give reset_duration differently"),
        (
            ("--requests", "1/1d", "--scope", "virtual_key", "--scope-id", "Search team"),
            "Virtual key 'Search team' not found",
        ),
    ],
)
def test_a_limit_that_cannot_be_is_told_by_its_field(run, words, said):
    told = run("what-if", *words)
    assert (told.exit_code, said in told.stderr) == (1, True), told.stderr


def test_bounds_are_told_as_such(meter, run, governance, clock):
    for _ in range(2):
        meter.reported(cost=6)
        meter.advance(900)
    for _ in range(9):
        meter.advance(24 * 3600)
        governance.retention.prune(clock())
    told = run("what-if", "--budget", "10/1d", "--since", "2026-11-23")
    assert "model        gpt-4o  2      1" in told.stdout
    assert "1 of 2 calls refused, the first by 2026-11-23T12:30:00Z." in told.stderr
    assert "Spent: $6 to $10 of $12." in told.stderr
    assert "These are bounds" in told.stderr


def test_a_limit_of_an_aligned_key_is_aligned_unless_told_otherwise(api, meter, run):
    api.post("virtual-keys", {"id": "search", "name": "Search team", "calendar_aligned": True})
    meter.advance(11 * 3600)
    meter.reported(cost=6, virtual_key_id="search")
    meter.advance(2 * 3600)
    meter.reported(cost=6, virtual_key_id="search")
    own = ("--scope", "virtual_key", "--scope-id", "search", "--budget", "10/1d", "--since", "2026-11-23T12:00:00Z")
    assert "0 of 2 calls refused." in run("what-if", *own).stderr
