"""The list of model limits shows the effects of metering (docs/contract.md §3).

After a poll, memory gives the same bytes as the database.
"""

import pytest

from tests.metering.conftest import DAY, dollars, ok, requests, tokens


def bodies(api, query=""):
    """Return the list from the database and from memory."""
    joined = f"&{query}" if query else ""
    found = [api.get(f"model-configs?from_memory={source}{joined}") for source in ("false", "true")]
    assert [answer.headers["X-Governance-Source"] for answer in found] == ["database", "memory"]
    return [answer.data for answer in found]


@pytest.fixture
def limit(api):
    return api.create(budget=dollars(1, "1h"), rate_limit=tokens(100, "1m") | requests(5, "1d"))


def test_memory_shows_what_is_used_and_held_after_a_poll_and_not_before(api, meter, limit):
    meter.hold(cost=0.5, tokens=7)
    meter.reported(cost=0.25, tokens=5)
    stored, remembered = bodies(api)
    assert stored != remembered
    meter.poll()
    stored, remembered = bodies(api)
    assert stored == remembered
    assert b'"current_usage":0.25' in remembered
    [shown] = api.list(memory=True)["model_configs"]
    assert (shown["budget"]["current_usage"], shown["budget"]["reserved"]) == (0.25, 0.5)
    rate = shown["rate_limit"]
    assert (rate["token_current_usage"], rate["token_reserved"]) == (5, 7)
    assert (rate["request_current_usage"], rate["request_reserved"]) == (1, 1)


ACTS = {
    "hold": lambda meter: meter.hold(cost=0.1, tokens=1),
    "settle": lambda meter: meter.settled(meter.hold(cost=0.1), cost=0.3),
    "release": lambda meter: meter.released(meter.hold(cost=0.1)),
    "report": lambda meter: meter.reported(cost=0.1, tokens=1, requests=0),
    "expire": lambda meter: meter.hold(cost=0.1, ttl_seconds=1),
    "deny": lambda meter: meter.denied(cost=2),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("wait", [0, 1, 59.999999, 60, 3600, DAY, 40 * DAY])
def test_after_any_act_and_any_time_both_sources_give_the_same_bytes(api, meter, limit, act, wait):
    ACTS[act](meter)
    meter.advance(wait)
    meter.poll()
    stored, remembered = bodies(api)
    assert stored == remembered
    for path in ("budgets", "rate-limits"):
        assert api.get(path).data == api.get(f"{path}?from_memory=true").data


def test_a_window_that_ends_after_the_poll_is_empty_in_both_sources(api, meter, limit, clock):
    meter.reported(cost=0.5)
    meter.poll()
    clock.advance(3600)
    stored, remembered = bodies(api)
    assert stored == remembered
    assert b'"current_usage":0,' in stored


def test_another_workers_usage_is_in_memory_after_its_own_poll(api, meter, other, limit):
    meter.reported(cost=0.5)
    other.poll()
    stored, remembered = bodies(other.api)
    assert stored == remembered == bodies(api)[0]


def test_metering_moves_neither_updated_at_nor_the_version_of_a_limit(api, meter, limit, clock):
    before = api.get(f"model-configs/{limit['id']}")
    clock.advance(5)
    meter.reported(cost=0.5)
    after = api.get(f"model-configs/{limit['id']}")
    assert after.get_json()["model_config"]["updated_at"] == before.get_json()["model_config"]["updated_at"]
    versions = [answer.headers["ETag"].strip('"').partition(".")[0] for answer in (before, after)]
    assert versions[0] == versions[1]
    assert before.headers["ETag"] != after.headers["ETag"]


def test_lists_sort_by_the_highest_share_that_was_really_used(api, meter, clock):
    for model in ("none", "third", "half", "over", "held", "ended"):
        api.create(model, budgets=[dollars(10, "1d"), dollars(3, "1M")], rate_limit=tokens(100, "1m"))
    meter.reported("third", cost=1, tokens=20)
    meter.reported("half", cost=0.3, tokens=50)
    meter.settled(meter.hold("over", cost=1), cost=4)
    meter.hold("held", cost=2.9, tokens=99)
    meter.poll()
    for memory in (False, True):
        page = api.list("sort_by=usage&order=desc", memory=memory)
        assert [limit["model_name"] for limit in page["model_configs"]][:3] == ["over", "half", "third"]
    meter.reported("ended", tokens=99)
    meter.poll()
    for memory in (False, True):
        assert api.list("sort_by=usage", memory=memory)["model_configs"][1]["model_name"] == "ended"
    clock.advance(60)
    for memory in (False, True):
        names = [limit["model_name"] for limit in api.list("sort_by=usage", memory=memory)["model_configs"]]
        assert names[:3] == ["over", "third", "half"]
        assert set(names[3:]) == {"none", "held", "ended"}
    stored, remembered = bodies(api, "sort_by=usage&order=asc&limit=2&offset=1")
    assert stored == remembered


def test_a_limit_shows_what_is_used_and_what_is_held_apart_for_all_three_metrics(api, meter, limit):
    meter.hold(cost=0.5, tokens=7)
    meter.reported(cost=0.125, tokens=3, requests=2)
    shown = ok(api.get(f"model-configs/{limit['id']}"))["model_config"]
    assert (shown["budget"]["current_usage"], shown["budget"]["reserved"]) == (0.125, 0.5)
    rate = shown["rate_limit"]
    assert (rate["token_current_usage"], rate["token_reserved"]) == (3, 7)
    assert (rate["request_current_usage"], rate["request_reserved"]) == (2, 1)
