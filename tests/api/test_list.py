"""`GET /model-configs`: every parameter and header of the list (docs/contract.md §3), from both sources."""

import re
from fractions import Fraction
from itertools import chain
from urllib.parse import quote, urljoin

import pytest

from schemas.limits.model_limits import ModelLimitCreate
from schemas.loading import load

ENVELOPE = ["model_configs", "total_count", "count", "limit", "offset"]


@pytest.fixture(params=[False, True], ids=["database", "memory"])
def listed(request, api):
    """Return a function that reads a page of model limits from one of the two sources."""
    return lambda query="": api.list(query, memory=request.param)


@pytest.fixture
def stored(governance, clock):
    """Store limits by name, one second apart. The service is called directly, because that is faster than HTTP."""

    def store(*names, **fields):
        for name in names:
            clock.advance(1)
            governance.model_limits.create(load(ModelLimitCreate(), {"model_name": name, **fields}))

    return store


@pytest.fixture
def scoped(api):
    """Create one limit of each kind of scope and provider."""
    api.post("virtual-keys", {"id": "vk", "name": "Team"})
    for name, fields in {
        "free": {},
        "open": {"provider": "openai"},
        "Opened": {"provider": "OpenAI"},
        "key": {"scope": "virtual_key", "scope_id": "vk", "provider": "openai"},
        "user": {"scope": "user", "scope_id": "vk"},
        "other": {"scope": "user", "scope_id": "VK"},
    }.items():
        api.create(name, **fields)


@pytest.fixture
def uneven(api, clock, count):
    """Create limits, some with equal times of creation, folded names or usage."""
    for number, name in enumerate(["b", "A", "ba", "Ä", "a", "äB", "Za", "z", "BA", "aa"]):
        clock.advance(number % 2)
        budgets = [{"max_limit": 4 + number % 2, "reset_duration": "1d"}]
        provider = "openai" if number % 4 else "other"
        made = api.create(name, provider=provider, scope="user", scope_id=str(number), budgets=budgets)
        count(made["budget"]["id"], "cost", used=number % 3 * 1_000_000_000)


def names(page):
    return [limit["model_name"] for limit in page["model_configs"]]


def test_an_empty_store_is_an_empty_list(listed):
    assert listed() == {"model_configs": [], "total_count": 0, "count": 0, "limit": 25, "offset": 0}


def test_a_bare_get_returns_the_first_25_and_the_newest_first(listed, stored):
    stored(*(f"model-{number:02}" for number in range(27)))
    page = listed()
    assert list(page) == ENVELOPE
    assert names(page) == [f"model-{number:02}" for number in range(26, 1, -1)]
    assert [page[key] for key in ENVELOPE[1:]] == [27, 25, 25, 0]


@pytest.mark.parametrize("asked", ["101", "9" * 60])
def test_a_limit_above_100_is_lowered_to_100_and_the_answer_says_so(listed, stored, asked):
    stored(*(f"model-{number}" for number in range(101)))
    page = listed(f"limit={asked}")
    assert [page["limit"], page["count"], page["total_count"]] == [100, 100, 101]


def test_limit_and_offset_cut_a_page_out_of_all_that_match(listed, stored):
    stored(*"abcde")
    expected = {
        "limit=1": "e",
        "limit=2&offset=2": "cb",
        "offset=4": "a",
        "limit=%2B2&offset=-0": "ed",
        "limit=002": "ed",
        "limit=100": "edcba",
    }
    pages = {query: listed(query) for query in expected}
    assert {query: "".join(names(page)) for query, page in pages.items()} == expected
    assert all(page["count"] == len(page["model_configs"]) and page["total_count"] == 5 for page in pages.values())


def test_past_the_end_is_an_empty_page_that_still_counts_what_matches(listed, stored):
    stored(*"abc")
    for offset in (3, 4, 1_000_000_000):
        page = listed(f"offset={offset}")
        assert page == {"model_configs": [], "total_count": 3, "count": 0, "limit": 25, "offset": offset}


def test_an_empty_value_is_an_absent_one(listed, stored):
    stored(*"abc")
    assert listed("limit=&offset=&search=&scope=&scope_id=&provider=&sort_by=&order=") == listed()


FILTERED = {
    "scope=global": {"free", "open", "Opened"},
    "scope=virtual_key": {"key"},
    "scope=user": {"user", "other"},
    "scope_id=vk": {"key", "user"},
    "scope_id=v": set(),
    "scope=user&scope_id=vk": {"user"},
    "scope=global&scope_id=vk": set(),
    "provider=openai": {"open", "key"},
    "provider=OpenAI": {"Opened"},
    "provider=open": set(),
    "provider=openai&scope=virtual_key&search=E&scope_id=vk": {"key"},
    "provider=openai&scope=user": set(),
    "search=OPEN": {"open", "Opened"},
}


def test_filters_let_through_exactly_what_they_name_and_all_apply_together(listed, scoped):
    assert {query: set(names(listed(query))) for query in FILTERED} == FILTERED


def test_the_total_counts_what_matches_before_paging(listed, scoped):
    totals = {query: listed(f"{query}&limit=1")["total_count"] for query in FILTERED}
    assert totals == {query: len(expected) for query, expected in FILTERED.items()}


E_ACUTE, E_AND_ACUTE = "caf\u00e9", "cafe\u0301 two"
SEARCHED = {
    "strasse": {"Straße", "STRASSE two"},
    "STRAßE": {"Straße", "STRASSE two"},
    "ß": {"Straße", "STRASSE two"},
    "CAF\u00c9": {E_ACUTE, E_AND_ACUTE},
    "CAFE\u0301": {E_ACUTE, E_AND_ACUTE},
    "ΣΊΣΥΦΟΣ": {"Σίσυφος"},
    "%": {"100%"},
    "_": {"a_b"},
    "A_B": {"a_b"},
    "a%b": set(),
    "*": {"*"},
    "\\": {"back\\slash"},
    "GPT-4": {"gpt-4o"},
    "pt-": {"gpt-4o"},
    "gpt 4": set(),
    " TWO": {"STRASSE two", E_AND_ACUTE},
    "\0": set(),
}


def test_search_is_a_substring_of_the_model_name_with_case_taken_out_by_unicode(listed, stored):
    stored(*set().union(*SEARCHED.values()), "axb")
    found = {search: set(names(listed(f"search={quote(search)}"))) for search in SEARCHED}
    assert found == SEARCHED


REFUSED = [
    ("limit=0", "limit", "invalid_parameter"),
    ("limit=-1", "limit", "invalid_parameter"),
    ("limit=1.5", "limit", "invalid_parameter"),
    ("limit=1e3", "limit", "invalid_parameter"),
    ("limit=%D9%A3", "limit", "invalid_parameter"),
    ("limit=ten", "limit", "invalid_parameter"),
    ("limit=1&limit=1", "limit", "invalid_parameter"),
    ("limit=&limit=1", "limit", "invalid_parameter"),
    ("offset=-1", "offset", "invalid_parameter"),
    ("offset=1000000001", "offset", "invalid_parameter"),
    ("scope=team", "scope", "invalid_parameter"),
    ("scope=GLOBAL", "scope", "invalid_parameter"),
    ("sort_by=name", "sort_by", "invalid_parameter"),
    ("order=down", "order", "invalid_parameter"),
    ("from_memory=yes", "from_memory", "invalid_parameter"),
    ("search=%FF", "search", "invalid_parameter"),
    ("colour=red", "colour", "unknown_parameter"),
    ("Limit=1", "Limit", "unknown_parameter"),
]


@pytest.mark.parametrize(("query", "param", "code"), REFUSED)
def test_a_bad_parameter_is_refused_by_name(api, query, param, code):
    response = api.get(f"model-configs?{query}")
    error = response.get_json()["error"]
    assert (response.status_code, error["type"], error["code"], error["param"]) == (400, "invalid_request", code, param)
    assert param in error["message"]


def test_all_bad_parameters_are_told_at_once(api):
    body = api.get("model-configs?limit=0&offset=x&scope=x&sort_by=x&order=x&from_memory=x&nope=1").get_json()
    told = [fault["param"] for fault in body["extra_fields"]["errors"]]
    assert sorted(told) == ["from_memory", "limit", "nope", "offset", "order", "scope", "sort_by"]


@pytest.mark.parametrize(
    ("word", "source"),
    [("true", "memory"), ("TRUE", "memory"), ("1", "memory"), ("False", "database"), ("0", "database")],
)
def test_from_memory_is_a_boolean_in_any_case_and_the_answer_says_its_source(api, word, source):
    assert api.get(f"model-configs?from_memory={word}").headers["X-Governance-Source"] == source


def test_without_from_memory_the_database_answers_and_shows_no_age(api):
    headers = api.get("model-configs").headers
    assert headers["X-Governance-Source"] == "database"
    assert "Age" not in headers


@pytest.mark.parametrize("query", ["", "?from_memory=true"], ids=["database", "memory"])
def test_a_page_is_compact_json_that_no_shared_cache_keeps_and_nobody_uses_unasked(api, query):
    api.create("m")
    response = api.get(f"model-configs{query}")
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert re.search(rb"[:,{\[] ", response.data) is None


def test_a_page_from_memory_says_its_age_in_whole_seconds(api):
    assert re.fullmatch("[0-9]+", api.get("model-configs?from_memory=true").headers["Age"])


SORT_KEYS = {
    "created_at": lambda limit: limit["created_at"],
    "model_name": lambda limit: limit["model_name"].casefold(),
    "usage": lambda limit: max(
        (Fraction(budget["current_usage"]) / Fraction(budget["max_limit"]) for budget in limit["budgets"]), default=0
    ),
}


@pytest.mark.parametrize("sort_by", ["created_at", "model_name", "usage", ""])
def test_a_page_is_sorted_as_asked_with_ties_by_id_in_the_same_direction(listed, uneven, sort_by):
    key = SORT_KEYS[sort_by or "created_at"]
    for filters in ("", "&provider=openai", "&search=a"):
        everything = listed(f"limit=100{filters}")["model_configs"]
        assert len(everything) > 3
        for order in ("asc", "desc", ""):
            asked = f"sort_by={sort_by}&order={order}{filters}"
            ranked = sorted(everything, key=lambda limit: (key(limit), limit["id"]), reverse=order != "asc")
            assert listed(asked)["model_configs"] == ranked
            assert listed(f"{asked}&limit=2&offset=1")["model_configs"] == ranked[1:3]


def test_usage_is_the_highest_share_of_a_limits_rules_and_none_is_zero(listed, api, count):
    empty = api.create("no rules")
    unused = api.create("unused", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
    half = api.create("half", rate_limits=[{"token_max_limit": 10, "token_reset_duration": "1d"}])
    most = api.create(
        "most",
        budgets=[{"max_limit": 100, "reset_duration": "1d"}],
        rate_limit={
            "token_max_limit": 1000,
            "token_reset_duration": "1d",
            "request_max_limit": 4,
            "request_reset_duration": "1h",
        },
    )
    over = api.create("over", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
    count(half["rate_limit"]["id"], "tokens", used=5)
    count(most["budget"]["id"], "cost", used=1)
    count(most["rate_limit"]["id"], "tokens", used=1)
    count(most["rate_limit"]["id"], "requests", used=3)
    count(over["budget"]["id"], "cost", used=2_000_000_000)
    none = sorted([empty["id"], unused["id"]], reverse=True)
    ids = [limit["id"] for limit in listed("sort_by=usage")["model_configs"]]
    assert ids == [over["id"], most["id"], half["id"], *none]


def test_usage_of_a_window_that_ended_and_what_is_only_reserved_rank_nothing(listed, api, clock, count):
    short = api.create("short", budgets=[{"max_limit": 1, "reset_duration": "1h"}])
    long = api.create("long", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
    held = api.create("held", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
    count(short["budget"]["id"], "cost", used=900_000_000)
    count(long["budget"]["id"], "cost", used=100_000_000)
    count(held["budget"]["id"], "cost", reserved=900_000_000)
    assert names(listed("sort_by=usage"))[0] == "short"
    clock.advance(3600)
    assert names(listed("sort_by=usage"))[0] == "long"


def test_shares_that_differ_by_the_least_there_can_be_are_told_apart(listed, api, count):
    maxima = [1_000_000_000, 999_999_999] * 4
    made = [
        api.create(f"m{number}", budgets=[{"max_limit": maximum, "reset_duration": "1d"}])
        for number, maximum in enumerate(maxima)
    ]
    for limit in made:
        count(limit["budget"]["id"], "cost", used=1)
    shown = [limit["budget"]["max_limit"] for limit in listed("sort_by=usage&order=asc")["model_configs"]]
    assert shown == sorted(maxima, reverse=True)


LIST = "/api/governance/model-configs"


def links(api, query):
    """Return the targets of a page's Link header by relation."""
    header = api.get(f"model-configs?{query}").headers.get("Link", "")
    return {relation: target for target, relation in re.findall(r'<([^>]*)>; rel="(\w+)"', header)}


@pytest.mark.parametrize("memory", ["", "&from_memory=true"], ids=["database", "memory"])
def test_link_names_the_next_and_the_previous_page_where_there_is_one(api, stored, memory):
    stored(*"abcde")
    expected = {
        "": {},
        "limit=5": {},
        "limit=2": {"next": 2},
        "limit=2&offset=1": {"next": 3, "prev": 0},
        "limit=2&offset=2": {"next": 4, "prev": 0},
        "limit=2&offset=3": {"prev": 1},
        "limit=2&offset=4": {"prev": 2},
        "limit=2&offset=99": {"prev": 3},
        "search=nothing": {},
        "search=nothing&offset=7": {},
    }
    targets = {query: links(api, query + memory) for query in expected}
    assert {
        query: {relation: int(re.search("offset=([0-9]+)", target)[1]) for relation, target in found.items()}
        for query, found in targets.items()
    } == expected


def test_following_next_and_then_prev_visits_every_limit_once_each_way(api, stored):
    stored(*(f"Straße & {number}" for number in range(7)), provider="a/b c")
    stored("elsewhere")
    query = f"limit=3&search={quote('STRASSE &')}&provider=a/b+c&sort_by=model_name&order=asc&from_memory=1"
    forward, target = [], f"{LIST}?{query}"
    while target:
        forward.append(names(api.get(urljoin(LIST, target)).get_json()))
        last, target = target, links(api, target.partition("?")[2]).get("next")
    assert list(chain(*forward)) == [f"Straße & {number}" for number in range(7)]
    backward = [names(api.get(urljoin(LIST, last)).get_json())]
    while last := links(api, last.partition("?")[2]).get("prev"):
        backward.append(names(api.get(urljoin(LIST, last)).get_json()))
    assert backward == forward[::-1]


def test_link_carries_the_page_size_in_effect(api, stored):
    stored(*(f"model-{number}" for number in range(101)))
    target = links(api, "limit=500&scope=global")["next"]
    assert target == "?limit=100&offset=100&scope=global"


def test_a_link_joined_to_the_url_that_was_asked_holds_behind_any_prefix(api, stored):
    stored(*"abc")
    target = links(api, "limit=2&search=")["next"]
    assert urljoin("https://gateway.example/limits/api/governance/model-configs?limit=2", target) == (
        "https://gateway.example/limits/api/governance/model-configs?limit=2&offset=2"
    )
