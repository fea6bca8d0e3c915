"""ETag with If-None-Match on every read, and If-Match on PUT and DELETE (docs/contract.md §3 and §4)."""

import re
from inspect import signature

import pytest

TOKYO = {"calendar_aligned": True, "timezone": "Asia/Tokyo"}
DAY = {"max_limit": 50, "reset_duration": "1d"}
HOUR = {"token_max_limit": 50, "token_reset_duration": "1h"}
LISTS = ["model-configs", "budgets", "rate-limits"]
SOURCES = ["", "?from_memory=true"]


@pytest.fixture
def limit(api):
    """Create a limit on a virtual key named Team."""
    api.post("virtual-keys", {"id": "vk", "name": "Team"})
    return api.create("m", scope="virtual_key", scope_id="vk", budget=DAY, rate_limit=HOUR)


@pytest.fixture
def path(limit):
    return f"model-configs/{limit['id']}"


def etag(api, path):
    return api.get(path).headers["ETag"]


def repeated(api, path, tag):
    return api.get(path, headers={"If-None-Match": tag}).status_code


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_has_not_changed_is_304_without_a_body(api, limit, name, source):
    first = api.get(name + source)
    again = api.get(name + source, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    for header in ("ETag", "Cache-Control", "X-Governance-Source"):
        assert again.headers[header] == first.headers[header]
    assert re.fullmatch('"[^"]+"', first.headers["ETag"])


def test_a_limit_that_has_not_changed_is_304_without_a_body(api, path):
    again = api.get(path, headers={"If-None-Match": etag(api, path)})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("name", LISTS)
def test_the_etag_of_one_source_is_good_for_the_other(api, limit, name):
    stored, kept = (etag(api, name + source) for source in SOURCES)
    assert stored == kept
    assert repeated(api, f"{name}?from_memory=true", stored) == 304


@pytest.mark.parametrize("sent", ["{}", "W/{}", '"other", {}', '{} , W/"x"', "*"])
def test_if_none_match_may_be_a_list_weak_or_a_star(api, path, sent):
    for target in (path, "model-configs", "model-configs?from_memory=1"):
        assert repeated(api, target, sent.format(etag(api, target))) == 304


@pytest.mark.parametrize("sent", ['"other"', "", '""', ",", "nonsense", '"unclosed'])
def test_an_if_none_match_that_names_something_else_or_nothing_gives_the_body(api, path, sent):
    for target in (path, "model-configs", "model-configs?from_memory=1"):
        assert repeated(api, target, sent) == 200


@pytest.fixture
def move(limit, api, count, clock):
    """Return a function that runs one of the acts below. The act gets the fixtures that its parameters name."""
    given = {"limit": limit, "api": api, "count": count, "clock": clock}
    return lambda act: act(**{name: given[name] for name in signature(act).parameters})


def edit(api, limit):
    body = {"budget": DAY | {"max_limit": 51}, "rate_limit": HOUR | {"token_max_limit": 9}}
    api.put(f"model-configs/{limit['id']}", body)


def use(count, limit):
    count(limit["budget"]["id"], "cost", used=1)
    count(limit["rate_limit"]["id"], "tokens", used=1)


def hold(count, limit):
    count(limit["budget"]["id"], "cost", reserved=1)
    count(limit["rate_limit"]["id"], "tokens", reserved=1)


def end_a_window(clock):
    clock.advance(86400)


def rename(api):
    api.put("virtual-keys/vk", {"name": "Crew"})


def add(api):
    api.create("another", budget=DAY, rate_limit=HOUR)


def remove(api, limit):
    api.delete(f"model-configs/{limit['id']}")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("act", [edit, use, hold, end_a_window, rename, add, remove])
def test_a_lists_etag_moves_whenever_anything_shown_in_it_moves(api, move, act, source):
    names = LISTS[:1] if act is rename else LISTS
    before = {name: etag(api, f"{name}{source}") for name in names}
    move(act)
    for name, tag in before.items():
        assert repeated(api, f"{name}{source}", tag) == 200
        assert etag(api, f"{name}{source}") != tag


@pytest.mark.parametrize("act", [edit, use, hold, end_a_window, rename])
def test_a_limits_etag_moves_whenever_anything_shown_in_it_moves(api, path, move, act):
    before = etag(api, path)
    move(act)
    assert repeated(api, path, before) == 200
    assert etag(api, path) != before


@pytest.mark.parametrize("source", SOURCES)
def test_a_page_that_is_cut_otherwise_has_another_etag(api, limit, source):
    cuts = ("", "&limit=1", "&offset=1", "&limit=1&offset=1")
    assert len({etag(api, f"model-configs{source or '?from_memory=0'}{cut}") for cut in cuts}) == 4


@pytest.mark.parametrize("memory", [0, 1])
def test_time_within_the_windows_and_edits_elsewhere_leave_an_etag_as_it_is(api, limit, clock, memory):
    target = f"model-configs?scope=virtual_key&from_memory={memory}"
    before = etag(api, target)
    clock.advance(3599)
    api.create("elsewhere")
    api.post("users", {"id": "vk", "name": "of no concern"})
    assert repeated(api, target, before) == 304


def test_an_etag_comes_back_with_what_it_stood_for(api, limit, path, count):
    before = etag(api, path)
    count(limit["budget"]["id"], "cost", used=1)
    assert etag(api, path) != before
    count(limit["budget"]["id"], "cost", used=0)
    assert etag(api, path) == before


def version(tag):
    """Return the first part of a limit's ETag."""
    found = re.fullmatch(r'"([0-9]+)\.[0-9a-f]+"', tag)
    assert found, tag
    return int(found[1])


def test_the_version_moves_with_edits_only(api, path, move):
    first = version(etag(api, path))
    for act in (use, hold, end_a_window, rename, add):
        move(act)
        assert version(etag(api, path)) == first
    move(edit)
    assert version(etag(api, path)) == first + 1


def test_a_create_and_an_update_give_the_etag_that_a_read_gives(api):
    made = api.post("model-configs", {"model_name": "m", "budget": DAY})
    path = f"model-configs/{made.get_json()['model_config']['id']}"
    assert made.headers["ETag"] == etag(api, path)
    changed = api.put(path, TOKYO)
    assert changed.headers["ETag"] == etag(api, path) != made.headers["ETag"]


ACTS = [("PUT", {"json": TOKYO}), ("DELETE", {})]


def if_match(api, path, sent, act):
    """Send an edit or a delete with this If-Match. Return the response."""
    method, body = act
    return api.request(method, path, headers={"If-Match": sent}, **body)


@pytest.mark.parametrize("act", ACTS, ids=["PUT", "DELETE"])
@pytest.mark.parametrize("sent", ["{}", '"{version}.0000"', '"{version}"', '"9.f", {}', "*", "{},"])
def test_if_match_lets_pass_what_has_the_current_version(api, path, sent, act):
    tag = etag(api, path)
    response = if_match(api, path, sent.format(tag, version=version(tag)), act)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("act", ACTS, ids=["PUT", "DELETE"])
def test_if_match_compares_the_version_alone_and_not_what_is_used_or_named(api, path, move, act):
    tag = etag(api, path)
    for other in (use, end_a_window, rename):
        move(other)
    assert if_match(api, path, tag, act).status_code == 200


@pytest.mark.parametrize("act", ACTS, ids=["PUT", "DELETE"])
@pytest.mark.parametrize("sent", ["{}", '"1"', '"0.f"', '"*"', '"x.2"', '"22.f"', '"9.f", "8.f"'])
def test_a_stale_if_match_is_412_and_changes_nothing(api, path, move, sent, act):
    stale = etag(api, path)
    move(edit)
    tag = etag(api, path)
    response = if_match(api, path, sent.format(stale), act)
    error = response.get_json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (412, "conflict", "stale_version")
    assert error["param"] == "If-Match"
    assert etag(api, path) == tag


@pytest.mark.parametrize("act", ACTS, ids=["PUT", "DELETE"])
@pytest.mark.parametrize("sent", ["two words", '"unclosed', ",", "", '""', '"", ""'])
def test_an_if_match_that_is_no_etag_is_refused_and_changes_nothing(api, path, sent, act):
    tag = etag(api, path)
    response = if_match(api, path, sent, act)
    assert response.status_code in {400, 412}, response.text
    assert response.get_json()["error"]["param"] == "If-Match"
    assert etag(api, path) == tag


@pytest.mark.parametrize("act", ACTS, ids=["PUT", "DELETE"])
@pytest.mark.parametrize("sent", ["*", '"1.f"'])
def test_if_match_on_an_unknown_id_is_404(api, sent, act):
    assert if_match(api, "model-configs/nope", sent, act).status_code == 404


def test_of_two_edits_of_one_version_the_second_is_412(api, path):
    tag = etag(api, path)
    statuses = [
        api.put(path, TOKYO | {"timezone": zone}, headers={"If-Match": tag}).status_code
        for zone in ("Asia/Tokyo", "Asia/Seoul")
    ]
    assert statuses == [200, 412]
    assert api.get(path).get_json()["model_config"]["timezone"] == "Asia/Tokyo"
