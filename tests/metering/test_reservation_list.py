"""`GET /reservations` (docs/contract.md §6): newest first, by status, with pages like every list. Also `GET` of one."""

import pytest

from governance.storage.metering import reservations as stored
from tests.metering.conftest import ok


@pytest.fixture
def one_of_each(meter, clock):
    """Return the id of a reservation in each status, created in this order."""
    held = {status: meter.hold(status, ttl_seconds=600) for status in ("settled", "released")}
    meter.settled(held["settled"])
    meter.released(held["released"])
    held["expired"] = meter.hold("expired", ttl_seconds=1)
    clock.advance(5)
    assert meter.sweep() == 1
    held["open"] = meter.hold("open")
    meter.reported("reported")
    return held


def ids(answer):
    return [held["id"] for held in answer["reservations"]]


def test_all_reservations_are_listed_the_newest_first_and_reports_are_none_of_them(api, meter, one_of_each):
    page = ok(api.get("reservations"))
    assert list(page) == ["reservations", "total_count", "count", "limit", "offset"]
    assert ids(page) == [one_of_each[status] for status in ("open", "expired", "released", "settled")]
    assert [page[name] for name in ("total_count", "count", "limit", "offset")] == [4, 4, 25, 0]
    assert page["reservations"] == [meter.read(held) for held in ids(page)]


@pytest.mark.parametrize("status", ["open", "settled", "released", "expired"])
def test_a_status_leaves_only_its_own(api, one_of_each, status):
    page = ok(api.get(f"reservations?status={status}"))
    assert (ids(page), page["total_count"]) == ([one_of_each[status]], 1)
    assert page["reservations"][0]["status"] == status


def test_an_overdue_reservation_that_was_not_swept_is_still_listed_as_open(api, meter, clock):
    held = meter.hold(ttl_seconds=1)
    clock.advance(5)
    assert ids(ok(api.get("reservations?status=open"))) == [held]


@pytest.mark.parametrize("status", ["reported", "OPEN", "all", "late"])
def test_another_status_is_refused(api, one_of_each, status):
    response = api.get(f"reservations?status={status}")
    assert (response.status_code, response.get_json()["error"]["param"]) == (400, "status")


def test_an_empty_status_is_an_absent_one(api, one_of_each):
    assert ok(api.get("reservations?status="))["total_count"] == 4


@pytest.mark.parametrize(
    ("query", "places", "page"),
    [
        ("limit=2", [6, 5], (2, 0)),
        ("limit=2&offset=2", [4, 3], (2, 2)),
        ("limit=2&offset=6", [0], (2, 6)),
        ("offset=7", [], (25, 7)),
        ("offset=1000000000", [], (25, 1_000_000_000)),
        ("limit=500", [6, 5, 4, 3, 2, 1, 0], (100, 0)),
    ],
)
def test_it_is_paged_like_every_list(api, meter, query, places, page):
    held = [meter.hold() for _ in range(7)]
    found = ok(api.get(f"reservations?{query}"))
    assert ids(found) == [held[place] for place in places]
    assert (found["total_count"], found["count"], found["limit"], found["offset"]) == (7, len(places), *page)


def test_links_lead_to_the_pages_beside_it_and_keep_the_status(api, meter):
    for _ in range(5):
        meter.hold()
    links = api.get("reservations?status=open&limit=2&offset=2").headers["Link"]
    assert links == '<?limit=2&offset=4&status=open>; rel="next", <?limit=2&offset=0&status=open>; rel="prev"'


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "offset=-1", "offset=1000000001", "limit=1.5"])
def test_a_page_that_is_none_is_refused(api, query):
    response = api.get(f"reservations?{query}")
    assert (response.status_code, response.get_json()["error"]["param"]) == (400, query.partition("=")[0])


@pytest.mark.parametrize("query", ["state=open", "from_memory=true", "status=open&status=open"])
def test_an_unknown_parameter_or_one_given_twice_is_refused(api, query):
    assert api.get(f"reservations?{query}").status_code == 400


def test_without_any_the_list_is_empty(api):
    page = {"reservations": [], "total_count": 0, "count": 0, "limit": 25, "offset": 0}
    assert ok(api.get("reservations")) == page


@pytest.mark.parametrize("held", ["nope", "01a20846-fe00-713e-8bcc-a11f1251c7fb", "%00", "a" * 500])
def test_an_unknown_reservation_is_not_found(api, held):
    response = api.get(f"reservations/{held}")
    error = response.get_json()["error"]
    assert (response.status_code, error["code"]) == (404, "reservation_not_found")


def test_reservations_made_at_the_same_instant_keep_their_order(api, meter):
    held = [meter.hold() for _ in range(20)]
    assert ids(ok(api.get("reservations"))) == held[::-1]


@pytest.fixture
def calls(meter):
    """Create reservations a minute apart from 12:00 on. Return them by name."""
    given = {
        "plain": {"model": "gpt-4o"},
        "prefixed": {"model": "openai/GPT-4o", "virtual_key_id": None},
        "apart": {"model": "gpt-4o", "provider": "OpenAI", "user_id": "ann"},
        "other": {"model": "o3", "provider": "openai", "user_id": "bob"},
    }
    held = {}
    for name, fields in given.items():
        held[name] = meter.hold(**{key: value for key, value in fields.items() if value})
        meter.advance(60)
    return held


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["other", "apart", "prefixed", "plain"]),
        ("since=2026-11-23T12:01:00Z", ["other", "apart", "prefixed"]),
        ("since=2026-11-23T12:01:00Z&until=2026-11-23T12:02:00Z", ["prefixed"]),
        ("since=2026-11-23T12:00:00Z&model=gpt-4o", ["apart", "prefixed", "plain"]),
        ("since=2026-11-23T12:00:00Z&model=openai/gpt-4o", ["apart", "prefixed"]),
        ("since=2026-11-23T12:00:00Z&provider=openai", ["other", "apart", "prefixed"]),
        ("since=2026-11-23T12:00:00Z&provider=openai&model=o3", ["other"]),
        ("since=2026-11-23T12:00:00Z&user_id=ann", ["apart"]),
        ("since=2026-11-23T12:00:00Z&user_id=ann&status=open", ["apart"]),
        ("since=2026-11-23T12:00:00Z&virtual_key_id=vk", []),
        ("since=2026-11-23T12:00:00Z&model=none", []),
        ("since=2027-01-01T00:00:00Z", []),
    ],
)
def test_filters_leave_the_rest_out(api, calls, query, names):
    found = ok(api.get(f"reservations?{query}"))
    assert (ids(found), found["total_count"]) == ([calls[name] for name in names], len(names))


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("model=gpt-4o", "since"),
        ("user_id=ann", "since"),
        ("until=2026-11-23T12:00:00Z", "since"),
        ("since=2026-11-23T12:00:00Z&until=2026-11-23T12:00:00Z", "until"),
        ("since=yesterday", "since"),
    ],
)
def test_filters_need_a_time_from_which_on_they_look(api, query, param):
    response = api.get(f"reservations?{query}")
    assert (response.status_code, response.get_json()["error"]["param"]) == (400, param)


def test_the_number_is_null_above_10000_and_a_full_page_has_a_next_one(api, meter, monkeypatch):
    monkeypatch.setattr(stored, "EXACT_TOTAL", 4)
    for _ in range(4):
        meter.hold()
    assert ok(api.get("reservations"))["total_count"] == 4
    meter.hold()
    response = api.get("reservations?limit=3")
    assert (response.get_json()["total_count"], response.headers["Link"]) == (None, '<?limit=3&offset=3>; rel="next"')
    last = api.get("reservations?limit=3&offset=3")
    assert (last.get_json()["count"], last.headers["Link"]) == (2, '<?limit=3&offset=0>; rel="prev"')


def test_a_filter_that_names_too_many_models_asks_for_a_shorter_time(api, meter, monkeypatch):
    monkeypatch.setattr(stored, "MOST_SPELLINGS", 2)
    for number in range(3):
        meter.hold(f"m{number}", provider="p")
    response = api.get("reservations?since=2026-11-23T12:00:00Z&provider=p")
    assert (response.status_code, response.get_json()["error"]["param"]) == (400, "since")
