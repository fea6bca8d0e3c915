"""A row that cannot be imported is reported with the reason. All other rows are imported."""

import pytest

from governance.domain.limits.limit import MAX_ITEMS
from tests.bifrost.conftest import read
from tests.bifrost.stores import LATER, BifrostStore

MORNING = "2026-11-23 08:00:00+00:00"


BAD_BUDGETS = [
    ({"max_limit": -5.0}, "max_limit is -5.0: give max_limit as a number of dollars above 0"),
    ({"max_limit": 0}, "max_limit is 0.0: give max_limit"),
    ({"max_limit": 1e-10}, "max_limit is 1e-10: give max_limit"),
    ({"max_limit": 1e300}, "max_limit is 1e+300: give max_limit"),
    ({"max_limit": float("inf")}, "max_limit is inf: give max_limit"),
    ({"max_limit": "much"}, "max_limit is 'much': give max_limit as a number."),
    ({"reset_duration": "1D"}, "reset_duration is '1D': give reset_duration differently"),
    ({"reset_duration": "daily"}, "reset_duration is 'daily'"),
    ({"reset_duration": ""}, "reset_duration is ''"),
    ({"reset_duration": "1.5Q"}, "reset_duration is '1.5Q'"),
    ({"id": " "}, "id is ' '"),
    ({"id": "a\x07b"}, "Take the control characters out of id".lower()),
]


@pytest.mark.parametrize(("fields", "reason"), BAD_BUDGETS, ids=[str(fields) for fields, _ in BAD_BUDGETS])
def test_a_budget_that_cannot_be_here_is_left_out_and_its_limit_is_not(store, imported, api, fields, reason):
    limit = store.limit()
    good = store.budget(limit, reset_duration="1h")
    bad = store.budget(limit, **fields)
    report = imported()
    assert reason.lower() in report.reason(bad.strip()).lower()
    assert [each["id"] for each in read(api, limit)["budgets"]] == [good]
    again = imported()
    assert (again.outcome(limit), again.outcome(good), again.outcome(bad.strip())) == ("kept", "kept", "left_out")


BAD_RATES = [
    ({"token_max_limit": -1, "token_reset_duration": "1h"}, "token_max_limit is -1"),
    ({"token_max_limit": 10.5, "token_reset_duration": "1h"}, "token_max_limit is 10.5"),
    ({"token_max_limit": 2**60, "token_reset_duration": "1h"}, f"token_max_limit is {2**60}"),
    ({"token_max_limit": 5}, "Give token_reset_duration too"),
    ({"token_reset_duration": "1h"}, "It sets no maximum."),
    ({}, "It sets no maximum."),
]


@pytest.mark.parametrize(("fields", "reason"), BAD_RATES, ids=[str(fields) for fields, _ in BAD_RATES])
def test_a_rate_limit_that_cannot_be_here_is_left_out(store, imported, api, fields, reason):
    rate = store.rate_limit(**fields)
    limit = store.limit(rate_limit_id=rate)
    assert reason in imported().reason(rate)
    assert read(api, limit)["rate_limits"] == []


def test_a_limit_on_a_pattern_is_left_out_and_a_global_one_loses_its_scope_id(store, imported, api):
    pattern, plain = store.limit("gpt-*"), store.limit("o3", scope_id="vk")
    report = imported()
    assert "Give model_name as the whole name of one model".lower() in report.reason(pattern).lower()
    assert read(api, plain)["scope_id"] is None


def test_one_bad_side_of_a_rate_limit_leaves_the_other(store, imported, api):
    rate = store.rate_limit(
        token_max_limit=-1, token_reset_duration="1h", request_max_limit=5, request_reset_duration="1m"
    )
    limit = store.limit(rate_limit_id=rate)
    assert imported().remarks(rate)[0].startswith("token_max_limit is -1: give token_max_limit")
    assert (read(api, limit)["rate_limit"]["token_max_limit"], read(api, limit)["rate_limit"]["request_max_limit"]) == (
        None,
        5,
    )


@pytest.mark.parametrize("maximum", [0, 0.0, 1e-10])
def test_a_limit_that_refuses_every_call_in_bifrost_is_left_out_with_what_to_do(store, imported, api, maximum):
    limit = store.limit()
    budget = store.budget(limit, max_limit=maximum)
    report = imported()
    assert report.reason(limit) == (
        f"Bifrost refuses every call under it, since budget {budget} allows nothing, and no limit here says so: "
        "create it here with the smallest maximum (0.000000001 dollars, 1 token or 1 request)."
    )
    assert report.reason(budget).endswith("In Bifrost it refuses every call.")
    assert api.list()["total_count"] == 0


def test_a_key_that_may_spend_nothing_is_to_be_deactivated(store, imported, api):
    key, other = store.key(), store.key()
    limit = store.limit("*", scope="virtual_key", scope_id=key)
    store.budget(limit, max_limit=0)
    store.budget(store.limit("gpt-5", scope="virtual_key", scope_id=other), max_limit=0)
    report = imported()
    assert "no limit here says so: deactivate its virtual key, or create it here" in report.reason(limit)
    (remark,) = report.remarks(key)
    assert remark.startswith(f"Bifrost refuses every call of it under '{limit}', which was left out: deactivate it")
    assert report.remarks(other) == []
    assert api.list()["total_count"] == 0


def test_a_rate_limit_of_no_request_is_no_limit_without_a_cap(store, imported, api):
    rate = store.rate_limit(request_max_limit=0, request_reset_duration="1h")
    limit = store.limit(rate_limit_id=rate)
    report = imported()
    assert f"since rate limit {rate} allows nothing" in report.reason(limit)
    assert report.outcome(rate) == "left_out"
    assert api.list()["total_count"] == 0


def test_what_caps_beside_a_budget_of_nothing_comes_and_the_limit_says_what_is_missing(store, imported, api):
    limit = store.limit()
    good, nothing = store.budget(limit, reset_duration="1h"), store.budget(limit, max_limit=0)
    report = imported()
    assert [each["id"] for each in read(api, limit)["budgets"]] == [good]
    assert report.remarks(limit) == [
        f"Bifrost refuses every call under it, since budget {nothing} allows nothing; here only the rest of it holds."
    ]


def test_a_limit_of_which_a_cap_could_not_come_says_so(store, imported):
    rate = store.rate_limit(
        token_max_limit=10.5, token_reset_duration="1h", request_max_limit=5, request_reset_duration="1m"
    )
    limit = store.limit(rate_limit_id=rate)
    budget, _ = store.budget(limit, reset_duration="1D"), store.budget(limit, reset_duration="1h")
    lost = f"budget {budget}, rate limit {rate}"
    assert imported().remarks(limit) == [
        f"It caps less here than in Bifrost: {lost} could not come whole, and its own line says why."
    ]


def test_rows_without_an_id_belong_to_nobody(store, imported, api):
    limits = [store.limit("gpt-4o"), store.limit("gpt-5")]
    store.budget(id=None, model_config_id=None)
    store.budget(id="", model_config_id="")
    store.limit("gpt-6", id=None, budget_id=None)
    store.rate_limit(id=None, request_max_limit=5, request_reset_duration="1m")
    report = imported()
    assert report.counts["budget"] == [2, 0, 0, 2]
    assert [read(api, each)["budgets"] + read(api, each)["rate_limits"] for each in limits] == [[], []]


BAD_LIMITS = [
    ({"model_name": ""}, "model_name is ''"),
    ({"model_name": b"\xff\xfe"}, "model_name is b'\\xff\\xfe'"),
    ({"provider": "*"}, "provider is '*': leave provider out"),
    ({"scope": "team", "scope_id": "t"}, "scope is 'team': give scope as one of global, virtual_key, user."),
    ({"scope": "user"}, "Give scope_id: the scope user needs one."),
    ({"scope": "virtual_key", "scope_id": "vk-gone"}, "Its virtual key 'vk-gone' is not here."),
    ({"calendar_aligned": "maybe"}, "calendar_aligned is 'maybe'"),
]


@pytest.mark.parametrize(("fields", "reason"), BAD_LIMITS, ids=[str(fields) for fields, _ in BAD_LIMITS])
def test_a_limit_that_cannot_be_here_is_left_out_with_its_budgets(store, imported, fields, reason):
    good, bad = store.limit("gpt-5"), store.limit(**fields)
    budget = store.budget(bad)
    report = imported()
    assert reason in report.reason(bad)
    assert report.reason(budget) == "Its model limit was left out."
    assert report.outcome(good) == "taken"


BAD_KEYS = [
    ({"value": "sealed", "encryption_status": "encrypted"}, "Its value is encrypted, and no SHA-256 of it is stored"),
    ({"value": "sealed", "encryption_status": "encrypted", "value_hash": "short"}, "no SHA-256 of it is stored"),
    ({"value": "env.KEY"}, "Its value only names an environment variable, and no SHA-256 of it is stored"),
    ({"value": ""}, "Its value is missing, and no SHA-256 of it is stored"),
    ({"name": "x" * 256}, "give name 1 to 255 characters"),
    ({"is_active": "perhaps"}, "is_active is 'perhaps'"),
    ({"expires_at": "soon"}, "expires_at is 'soon': give expires_at as an RFC 3339 time"),
]


@pytest.mark.parametrize(("fields", "reason"), BAD_KEYS, ids=[str(fields) for fields, _ in BAD_KEYS])
def test_a_virtual_key_that_cannot_be_here_is_left_out_with_its_limits(path, imported, fields, reason):
    store = BifrostStore(path, LATER)
    bad, good = store.key(**fields), store.key()
    limit = store.limit(scope="virtual_key", scope_id=bad)
    report = imported()
    assert reason in report.reason(bad)
    assert (report.outcome(limit), report.outcome(good)) == ("left_out", "taken")


@pytest.mark.parametrize(
    ("owner", "reason"),
    [
        ({"team_id": "t"}, "It belongs to a team"),
        ({"customer_id": "c"}, "It belongs to a customer"),
        ({"provider_config_id": 7}, "It belongs to a virtual key's provider settings"),
        ({"model_config_id": "gone"}, "Its model limit 'gone' is not in the store."),
        ({"virtual_key_id": "gone"}, "Its virtual key 'gone' is not in the store."),
        ({}, "No model limit and no virtual key refers to it."),
    ],
)
def test_a_budget_of_somebody_else_is_left_out(store, imported, owner, reason):
    budget = store.budget(**owner)
    assert imported().reason(budget).startswith(reason)


def test_a_rate_limit_of_somebody_else_is_left_out(store, imported):
    rate = store.rate_limit(token_max_limit=5, token_reset_duration="1h")
    assert imported().reason(rate) == "No model limit and no virtual key refers to it."


def test_a_reference_to_a_row_that_is_not_there_is_told(store, imported):
    limit = store.limit(rate_limit_id="gone")
    key = store.key(rate_limit_id="gone")
    report = imported()
    assert report.remarks(limit) == ["Its rate_limit_id 'gone' is not in the store."]
    assert report.remarks(key) == ["Its rate_limit_id 'gone' is not in the store."]
    assert report.counts["model_config"] == [1, 1, 0, 0]


def test_a_key_in_a_team_comes_without_the_teams_limits_and_the_report_says_so(store, imported):
    key = store.key(team_id="t")
    assert imported().remarks(key) == ["In Bifrost it belongs to a team or customer, whose limits do not come along."]


def test_of_two_limits_on_the_same_thing_the_older_moves_in(store, imported):
    later = store.limit("GPT-4o ", provider="openai", created_at="2026-11-02 00:00:00+00:00")
    older = store.limit("openai/gpt-4o", provider="OpenAI")
    budget = store.budget(later)
    report = imported()
    assert report.outcome(older) == "taken"
    assert report.reason(later).startswith(f"It limits the same as '{older}'")
    assert report.reason(budget) == "Its model limit was left out."


def test_of_two_budgets_with_the_same_window_the_tighter_moves_in(store, imported, api):
    limit = store.limit()
    looser, tighter = store.budget(limit, max_limit=9), store.budget(limit, max_limit=8, reset_duration="24h")
    report = imported()
    assert report.reason(looser) == "Its limit has a lower or equal maximum of cost in a window as long as 1d."
    assert [each["id"] for each in read(api, limit)["budgets"]] == [tighter]


def test_more_budgets_than_a_limit_may_have_are_left_out(store, imported, api):
    limit = store.limit()
    budgets = [store.budget(limit, reset_duration=f"{hours}h") for hours in range(1, MAX_ITEMS + 3)]
    report = imported()
    assert sorted(map(report.outcome, budgets)) == ["left_out"] * 2 + ["taken"] * MAX_ITEMS
    assert len(read(api, limit)["budgets"]) == MAX_ITEMS


def test_a_rate_limit_of_two_limits_becomes_one_for_each(store, imported, api):
    rate = store.rate_limit(
        request_max_limit=15, request_reset_duration="1d", request_last_reset=MORNING, request_current_usage=4
    )
    limits = [store.limit(model, rate_limit_id=rate) for model in ("gpt-4o", "gpt-5")]
    report = imported()
    assert report.counts["rate_limit"] == [1, 1, 0, 0]
    assert report.remarks(rate)[0].startswith("Several limits share it in Bifrost")
    found = [read(api, limit)["rate_limit"] for limit in limits]
    assert [each["request_current_usage"] for each in found] == [4, 4]
    assert found[0]["id"] == rate != found[1]["id"]
