"""Who spent what, over HTTP: buckets by group and period, and what changes them."""

import pytest

from governance.domain.history.query import Group
from governance.domain.records.list_query import Page
from schemas.history.queries import HistoryListQuery
from schemas.loading import load
from tests.conftest import governance_of
from tests.metering.conftest import DAY, dollars, ok

KINDS = {"input_tokens": 1000, "cached_input_tokens": 400, "output_tokens": 200}
NOTHING = {
    "requests": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "cached_tokens": 0,
    "other_tokens": 0,
    "cost": 0,
    "overrun": 0,
    "denied": 0,
}


def sums(**given):
    return NOTHING | given


def test_a_settle_adds_what_was_used_and_an_open_reservation_nothing(meter, asked):
    held = meter.hold("gpt-4o", cost=1, tokens=5000)
    assert asked()["sum"] == NOTHING
    meter.settled(held, cost=1.5, **KINDS)
    used = sums(requests=1, input_tokens=1000, output_tokens=200, cached_tokens=400, cost=1.5, overrun=0.5)
    assert asked()["sum"] == used
    assert asked()["usage"] == [{"start": "2026-10-24T00:00:00Z", "end": "2026-11-23T12:15:00Z"} | used]


def test_tokens_that_are_not_given_by_kind_are_others(meter, asked):
    meter.settled(meter.hold(tokens=10, cost=1), tokens=7)
    meter.settled(meter.hold(cost=1, **KINDS))
    assert asked()["sum"] == sums(
        requests=2, input_tokens=1000, output_tokens=200, cached_tokens=400, other_tokens=7, cost=2
    )


def test_a_report_adds_its_calls_and_a_release_takes_everything_back(meter, asked):
    meter.reported(cost=2, tokens=30, requests=3)
    assert asked()["sum"] == sums(requests=3, other_tokens=30, cost=2)
    meter.released(meter.hold(cost=9))
    assert asked()["sum"] == sums(requests=3, other_tokens=30, cost=2)


def test_an_expiry_adds_the_estimate_and_a_late_settle_or_release_corrects_it(meter, asked):
    first, second = meter.hold(cost=4, tokens=9, ttl_seconds=60), meter.hold(cost=4, ttl_seconds=60)
    meter.advance(61)
    meter.poll()
    assert asked()["sum"] == sums(requests=2, cost=8, other_tokens=9)
    meter.advance(3600)
    meter.settled(first, cost=5, tokens=10)
    meter.released(second)
    assert asked()["sum"] == sums(requests=1, cost=5, other_tokens=10, overrun=1)
    rows = asked("bucket=15m&since=2026-11-23T12:00:00Z")["usage"]
    assert [(row["start"], row["cost"]) for row in rows] == [("2026-11-23T12:00:00Z", 5)]


def test_a_call_counts_in_the_bucket_of_its_admission(meter, asked):
    held = meter.hold(cost=1)
    meter.advance(900)
    meter.reported(cost=2)
    meter.settled(held, cost=3)
    rows = asked("bucket=15m&since=2026-11-23T12:00:00Z")["usage"]
    assert [(row["start"], row["end"], row["cost"]) for row in rows] == [
        ("2026-11-23T12:00:00Z", "2026-11-23T12:15:00Z", 3),
        ("2026-11-23T12:15:00Z", "2026-11-23T12:30:00Z", 2),
    ]


def test_usage_is_grouped_by_any_names_and_spellings_of_a_model_are_one(api, meter, asked):
    api.post("virtual-keys", {"id": "vk", "name": "Search"})
    api.post("users", {"id": "ann", "name": "Ann"})
    meter.reported("openai/GPT-4o", cost=1, virtual_key_id="vk")
    meter.reported("gpt-4o", provider="OpenAI", cost=2, virtual_key_id="vk", user_id="ann")
    meter.reported("o3", cost=4, user_id="bob")
    rows = asked("group_by=provider,model&sort_by=cost")["usage"]
    assert [(row["provider"], row["model"], row["cost"]) for row in rows] == [(None, "o3", 4), ("openai", "gpt-4o", 3)]
    rows = asked("group_by=virtual_key&sort_by=cost&order=asc")["usage"]
    assert [(row["virtual_key_id"], row["virtual_key_name"], row["cost"]) for row in rows] == [
        ("vk", "Search", 3),
        (None, None, 4),
    ]
    rows = asked("group_by=user")["usage"]
    assert [(row["user_id"], row["user_name"], row["cost"]) for row in rows] == [
        (None, None, 1),
        ("ann", "Ann", 2),
        ("bob", None, 4),
    ]
    assert "provider" not in rows[0]


def test_a_deleted_key_keeps_its_last_name(api, meter, asked):
    api.post("virtual-keys", {"id": "vk", "name": "Old"})
    api.put("virtual-keys/vk", {"name": "New"})
    meter.reported(cost=1, virtual_key_id="vk")
    api.delete("virtual-keys/vk")
    (row,) = asked("group_by=virtual_key")["usage"]
    assert (row["virtual_key_id"], row["virtual_key_name"], row["cost"]) == ("vk", "New", 1)


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("model=gpt-4o", 3),
        ("model=openai/gpt-4o", 1),
        ("provider=openai", 1),
        ("provider=OpenAI&model=GPT-4o", 1),
        ("virtual_key_id=vk", 2),
        ("user_id=ann", 4),
        ("user_id=nobody", 0),
        ("since=2026-11-23T12:15:00Z", 4),
        ("since=2026-11-23T12:00:00Z&until=2026-11-23T12:15:00Z", 3),
    ],
)
def test_a_filter_leaves_the_rest_out(meter, asked, query, cost):
    meter.reported("openai/gpt-4o", cost=1)
    meter.reported("gpt-4o", cost=2, virtual_key_id="vk")
    meter.advance(900)
    meter.reported("o3", cost=4, user_id="ann")
    answer = asked(query)
    assert (answer["sum"]["cost"], sum(row["cost"] for row in answer["usage"])) == (cost, cost)


def test_pages_have_all_rows_once_in_their_order(meter, asked):
    for number in range(7):
        meter.reported(f"model-{number}", cost=number % 3)
    whole = asked("group_by=model&sort_by=cost&limit=100")
    paged = [
        row
        for offset in range(0, 8, 2)
        for row in asked(f"group_by=model&sort_by=cost&limit=2&offset={offset}")["usage"]
    ]
    assert (paged, whole["total_count"]) == (whole["usage"], 7)
    assert [row["cost"] for row in paged] == [2, 2, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("query", "param", "said"),
    [
        ("since=2026-11-23T12:00:00Z&until=2026-11-23T12:00:00Z", "until", "later than since"),
        ("since=2026-12-01T00:00:00Z", "since", "in the future"),
        ("since=2026-12-01&until=2026-12-31", "since", "in the future"),
        ("since=2026-11-23T00:00:00+02:00", "since", "as %2B"),
        ("since=2026-02-30", "since", "a day such as"),
        ("group_by=team", "group_by", "provider, model, virtual_key, user"),
        ("group_by=model,model", "group_by", "separated by commas"),
        ("timezone=Mars/Olympus", "timezone", "IANA time zone"),
        ("bucket=year", "bucket", "one of 15m, hour"),
        ("sort_by=name", "sort_by", "one of start"),
        ("since=yesterday", "since", "a while before now such as 30d"),
        ("bucket=15m&since=2026-01-01T00:00:00Z", "bucket", "fewer periods"),
        ("limit=0", "limit", "1 or more"),
        ("groupby=model", "groupby", "did you mean group_by"),
    ],
)
def test_a_wrong_question_is_refused_by_its_parameter(api, query, param, said):
    response = api.get(f"usage/history?{query}")
    assert (response.status_code, response.get_json()["error"]["param"]) == (400, param)
    assert said in response.get_json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "since", "until"),
    [
        ("", "2026-10-24T00:00:00Z", "2026-11-23T12:15:00Z"),
        ("since=7d", "2026-11-16T00:00:00Z", "2026-11-23T12:15:00Z"),
        ("since=12h", "2026-11-23T00:00:00Z", "2026-11-23T12:15:00Z"),
        ("until=2026-10-01", "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z"),
        ("until=9999-12-31", "2026-10-24T00:00:00Z", "2027-11-24T12:00:00Z"),
        ("since=0001-01-01", "1970-01-01T00:00:00Z", "2026-11-23T12:15:00Z"),
        ("since=2026-11-20&until=2026-11-21", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
        ("since=2w&until=1d&timezone=Europe/Berlin", "2026-11-08T23:00:00Z", "2026-11-21T23:00:00Z"),
        ("since=2026-11-20&timezone=Europe/Berlin", "2026-11-19T23:00:00Z", "2026-11-23T12:15:00Z"),
    ],
)
def test_a_time_may_be_a_day_or_a_while_ago(asked, query, since, until):
    found = asked(query)
    assert (found["since"], found["until"]) == (since, until)


def test_csv_has_all_rows_and_no_formula(api, meter):
    api.post("virtual-keys", {"id": "=1+1", "name": '@evil, "quoted"'})
    meter.reported("-model", cost=1.5, virtual_key_id="=1+1")
    meter.reported("gpt-4o", cost=0.000000001)
    for answer in (
        api.get("usage/history?group_by=model,virtual_key&format=csv&limit=1"),
        api.get("usage/history?group_by=model,virtual_key", headers={"Accept": "text/csv"}),
    ):
        assert (answer.status_code, answer.content_type) == (200, "text/csv; charset=utf-8")
        head, first, second = answer.text.splitlines()
        assert head.startswith("start,end,model,virtual_key_id,virtual_key_name,requests,")
        assert ',\'-model,\'=1+1,"\'@evil, ""quoted""",1,0,0,0,0,1.5,0,0' in first
        assert second.endswith(",gpt-4o,,,1,0,0,0,0,0.000000001,0,0")


@pytest.mark.parametrize("options", [{"history_series": 5}])
def test_random_names_fill_no_disk(meter, asked):
    for number in range(12):
        meter.reported(f"model-{number}", cost=1)
    found = asked("group_by=model&limit=100")["usage"]
    assert len(found) == 6
    assert {row["model"]: row["cost"] for row in found}["(other)"] == 7
    meter.advance(DAY)
    meter.reported("model-11", cost=1)
    assert asked("group_by=model&since=2026-11-24T00:00:00Z")["usage"][0]["model"] == "model-11"


def test_usage_needs_no_limit_and_resets_forgive_nothing(api, meter, asked):
    limit = api.create("gpt-4o", budget=dollars(100))
    meter.reported(cost=3)
    ok(api.put(f"model-configs/{limit['id']}", {"reset_usage": True}))
    api.delete(f"model-configs/{limit['id']}")
    meter.reported(cost=4)
    assert asked()["sum"]["cost"] == 7


def test_a_ranking_has_the_members_with_the_highest_cost(app, api, meter):
    api.post("virtual-keys", {"id": "search", "name": "Search team"})
    for number in range(8):
        key = {"virtual_key_id": "search"} if number % 2 else {}
        meter.reported(f"model-{number % 4}", cost=number, user_id=f"user-{number}", **key)
    meter.reported("unpaid", cost=0)
    history = governance_of(app).history
    query = history.query(load(HistoryListQuery(), {"group_by": "model,virtual_key,user"}))
    found = history.ranked(query._replace(amounts=("requests", "cost")), 3)
    for group in query.groups:
        page = history.page(query._replace(groups=(group,), sort_by="cost", descending=True, page=Page(3, 0)))
        shown = [(row.series, row.amounts.requests, row.amounts.cost) for row in page.rows]
        assert [(row.series, row.amounts.requests, row.amounts.cost) for row in found.rows[group]] == shown
    assert (found.sum.requests, found.sum.cost) == (9, 28 * 10**9)
    assert found.names[Group.VIRTUAL_KEY] == {"search": "Search team"}
