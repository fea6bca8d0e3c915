"""`calendar_aligned` on a budget is applied in every form, or refused. It is never ignored."""

import pytest

from governance.domain.limits.alignment import CONTRARY, NEVER

DAY = {"max_limit": 10, "reset_duration": "1d"}
HOUR = {"max_limit": 1, "reset_duration": "1h"}
MONTH = {"max_limit": 100, "reset_duration": "1M"}
CALENDAR = {"calendar_aligned": True}
ROLLING = {"calendar_aligned": False}


def fault(response):
    error = response.get_json()["error"]
    assert response.status_code == 400, response.get_json()
    return error["param"], error["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"budget": DAY | CALENDAR},
        {"budgets": [DAY | CALENDAR]},
        {"budgets": [HOUR | ROLLING, DAY | CALENDAR, MONTH]},
        {"budgets": [DAY | CALENDAR], "calendar_aligned": True},
    ],
)
def test_a_budget_s_flag_is_its_limit_s(api, body):
    made = api.create("gpt-5", **body)
    assert made["calendar_aligned"] is True
    aligned = {each["reset_duration"]: each["calendar_aligned"] for each in made["budgets"]}
    assert aligned == {each["reset_duration"]: each["reset_duration"] != "1h" for each in made["budgets"]}
    assert next(each for each in made["budgets"] if each["reset_duration"] == "1d")["last_reset"].endswith("T00:00:00Z")


def test_a_budget_that_rolls_has_its_limit_roll_whatever_its_key_says(api):
    api.post("virtual-keys", {"id": "vk", "name": "Team", "calendar_aligned": True})
    assert api.create("a", scope="virtual_key", scope_id="vk", budgets=[DAY])["calendar_aligned"] is True
    made = api.create("b", scope="virtual_key", scope_id="vk", budgets=[DAY | ROLLING])
    assert made["calendar_aligned"] is False


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"budgets": [DAY | CALENDAR], "calendar_aligned": False}, "budgets[0].calendar_aligned", CONTRARY),
        ({"budget": DAY | ROLLING, "calendar_aligned": True}, "budget.calendar_aligned", CONTRARY),
        ({"budgets": [DAY | CALENDAR, MONTH | ROLLING]}, "budgets[1].calendar_aligned", CONTRARY),
        (
            {"budgets": [HOUR | CALENDAR]},
            "budgets[0].calendar_aligned",
            NEVER.format("1h"),
        ),
        ({"budget": DAY | {"calendar_aligned": "yes"}}, "budget.calendar_aligned",
         "Give calendar_aligned as true or false."),
    ],
)  # fmt: skip
def test_what_a_budget_says_otherwise_than_its_limit_is_refused(api, body, param, message):
    response = api.post("model-configs", {"model_name": "gpt-5"} | body)
    assert (param, message) in [
        fault(response),
        *((each["param"], each["message"]) for each in response.get_json()["extra_fields"].get("errors", [])),
    ]
    assert api.list()["total_count"] == 0


@pytest.mark.parametrize("form", ["budget", "budgets"])
@pytest.mark.parametrize("flag", [True, False])
def test_an_edit_of_a_budget_s_flag_is_one_of_its_limit(api, form, flag):
    made = api.create("gpt-5", calendar_aligned=not flag, budgets=[DAY])
    item = {"id": made["budget"]["id"], "calendar_aligned": flag} | DAY
    assert api.put(f"model-configs/{made['id']}", {form: [item] if form == "budgets" else item}).status_code == 200
    (shown,) = api.list()["model_configs"]
    assert (shown["calendar_aligned"], shown["budget"]["calendar_aligned"]) == (flag, flag)
    assert shown["budget"]["id"] == made["budget"]["id"]


def test_an_answer_can_be_edited_and_sent_back(api):
    """The flag of the limit replaces the flags of its budgets in the response."""
    made = api.create("gpt-5", budgets=[HOUR, DAY, MONTH])
    for flag in (True, False, True):
        answer = api.get(f"model-configs/{made['id']}").get_json()["model_config"]
        response = api.put(f"model-configs/{made['id']}", answer | {"calendar_aligned": flag})
        assert response.status_code == 200, response.get_json()
        shown = response.get_json()["model_config"]
        assert (shown["calendar_aligned"], [each["calendar_aligned"] for each in shown["budgets"]]) == (
            flag,
            [False, flag, flag],
        )


def test_an_edit_that_says_two_things_is_refused_and_changes_nothing(api):
    made = api.create("gpt-5", budgets=[DAY])
    answer = api.get(f"model-configs/{made['id']}").get_json()["model_config"]
    answer["budgets"][0]["calendar_aligned"] = True
    assert fault(api.put(f"model-configs/{made['id']}", answer)) == ("budgets[0].calendar_aligned", CONTRARY)
    both = {"budgets": [DAY | CALENDAR, MONTH | ROLLING]}
    assert fault(api.put(f"model-configs/{made['id']}", both)) == ("budgets[1].calendar_aligned", CONTRARY)
    assert api.list()["model_configs"] == [made]
