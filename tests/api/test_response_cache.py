"""The cache before Flask repeats a page from memory with the same bytes, and never one that is no longer valid."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import request_started
from sqlalchemy import delete, update

from governance.domain.errors import Unavailable
from governance.domain.times import HOUR
from governance.storage import revisions
from governance.storage.tables import api_keys
from governance.web.http import response_cache
from governance.web.http.response_cache import MOST_ASKED

DAY = {"max_limit": 100, "reset_duration": "1d"}
PAGE = "model-configs?from_memory=true"
OWN = ("X-Request-Id",)


@pytest.fixture
def asked(app):
    """Return the list of the paths that Flask was called for."""
    paths = []

    def note(*_, **__):
        paths.append(1)

    request_started.connect(note, app)
    yield paths
    request_started.disconnect(note, app)


@pytest.fixture
def again(api, asked):
    """Return a function that fetches a page again. It returns whether Flask was called, and the response."""

    def fetch(path=PAGE, caller=api, **kwargs):
        before = len(asked)
        answer = caller.get(path, **kwargs)
        return len(asked) > before, answer

    return fetch


@pytest.fixture
def kept(again):
    """Fetch a page twice, so that its response is cached. Return the second response."""

    def fetch(*args, **kwargs):
        again(*args, **kwargs)
        return again(*args, **kwargs)[1]

    return fetch


@pytest.fixture
def reader(api):
    """Return an API key that expires in two hours, and a client with the key."""
    body = {"name": "reader", "scopes": ["read"], "expires_at": "2026-11-23T14:00:00Z"}
    made = api.post("/api/api-keys", body).get_json()["api_key"]
    return made["id"], api.with_key(made["key"])


def shown(answer):
    headers = [(name, value) for name, value in answer.headers if name not in OWN]
    return answer.status_code, headers, answer.data


@pytest.mark.parametrize("query", ["", "&limit=1", "&sort_by=usage", "&search=nothing", "&offset=7"])
def test_the_same_question_is_answered_again_without_flask(api, again, query):
    api.create("a", budget=DAY)
    api.create("b")
    first, second, third = (again(PAGE + query) for _ in range(3))
    assert (first[0], second[0], third[0]) == (True, True, False)
    assert shown(first[1]) == shown(second[1]) == shown(third[1])
    assert [name for name, _ in first[1].headers] == [name for name, _ in third[1].headers]
    assert first[1].headers["X-Request-Id"] != third[1].headers["X-Request-Id"]


def test_what_is_asked_once_is_not_kept(app, again):
    for offset in range(3 * MOST_ASKED):
        assert again(f"{PAGE}&offset={offset}")[0]
    assert not app.wsgi_app.answers.known
    assert len(app.wsgi_app.answers.asked) <= MOST_ASKED


def test_no_api_key_lies_in_the_cache(app, api, kept):
    kept()
    answers = app.wsgi_app.answers
    assert [type(asked) for asked in (*answers.known, *answers.asked)] == [bytes, bytes]
    assert api.key not in repr((answers.known, answers.asked))


def test_parts_of_a_question_cannot_pass_for_each_other():
    plain = {"REQUEST_METHOD": "GET", "PATH_INFO": "/p", "QUERY_STRING": "q", "HTTP_AUTHORIZATION": "Bearer k"}
    others = [{name: value + "x"} for name, value in plain.items()]
    others += [
        {"HTTP_IF_NONE_MATCH": "k"},
        {"QUERY_STRING": "", "HTTP_AUTHORIZATION": "qBearer k"},
        {"PATH_INFO": "/p\n"},
    ]
    digests = [response_cache.question(plain | other) for other in ({}, *others)]
    assert len(set(digests)) == len(digests)


def test_a_caller_s_request_id_is_given_back(kept, again):
    kept()
    flask, answer = again(headers={"X-Request-Id": "call-7"})
    assert (flask, answer.headers["X-Request-Id"]) == (False, "call-7")
    _, answer = again(headers={"X-Request-Id": "not sane"})
    assert answer.headers["X-Request-Id"] != "not sane"


def test_a_304_is_given_again_and_only_to_who_has_the_page(kept, again):
    tag = kept().headers["ETag"]
    known = {"headers": {"If-None-Match": tag}}
    assert kept(**known).status_code == 304
    flask, answer = again(**known)
    assert (flask, answer.status_code, answer.data, answer.headers["ETag"]) == (False, 304, b"", tag)
    assert again()[1].status_code == 200
    assert again(headers={"If-None-Match": '"other"'})[1].status_code == 200


@pytest.mark.parametrize("path", ["model-configs", "budgets?from_memory=true", "/api/api-keys", "/healthz"])
def test_what_is_not_a_page_of_limits_from_memory_is_flasks(again, path):
    assert [again(path)[0] for _ in range(3)] == [True, True, True]


def test_other_words_are_another_question(api, kept, again, reader):
    kept()
    assert again(PAGE + "&limit=25")[0]
    assert again(caller=reader[1])[0]
    assert again(caller=api.with_key(None))[1].status_code == 401
    assert again(caller=api.with_key("gov-unknown"))[1].status_code == 401
    assert api.post(PAGE, {}).status_code == 400


def test_a_change_is_seen_at_once(api, kept, again):
    limit = api.create("a", budget=DAY)
    kept()
    api.put(f"model-configs/{limit['id']}", {"budget": DAY | {"max_limit": 7}})
    flask, answer = again()
    assert flask
    assert answer.get_json()["model_configs"][0]["budget"]["max_limit"] == 7
    api.delete(f"model-configs/{limit['id']}")
    assert again()[1].get_json()["total_count"] == 0


def test_usage_is_seen_with_the_refresh_that_brings_it(api, kept, again, count):
    budget = api.create("a", budget=DAY)["budget"]["id"]
    kept()
    count(budget, "cost", used=5 * 10**9)
    flask, answer = again()
    assert flask
    assert answer.get_json()["model_configs"][0]["budget"]["current_usage"] == 5


def test_an_idle_poll_takes_nothing_away_and_makes_the_page_young(api, kept, again, governance, monkeypatch):
    api.create("a")
    now = governance.cache._timer()
    monkeypatch.setattr(governance.cache, "_timer", lambda: now)
    governance.cache.refresh()
    kept()
    now += 3
    flask, answer = again()
    assert (flask, answer.headers["Age"]) == (False, "3")
    governance.cache.refresh()
    flask, answer = again()
    assert (flask, answer.headers["Age"]) == (False, "0")


def test_a_window_s_end_is_seen_at_once(api, kept, again, count, clock):
    budget = api.create("a", budget={"max_limit": 9, "reset_duration": "1h"})["budget"]["id"]
    count(budget, "cost", used=10**9)
    kept()
    clock.now += HOUR - 1
    assert not again()[0]
    clock.now += 1
    flask, answer = again()
    assert flask
    assert answer.get_json()["model_configs"][0]["budget"]["current_usage"] == 0
    clock.now -= 1
    assert again()[1].get_json()["model_configs"][0]["budget"]["current_usage"] == 1


def test_a_ranking_moves_with_the_window_of_a_limit_that_is_not_on_the_page(api, kept, again, count, clock):
    for name, length in (("short", "1h"), ("long", "1M")):
        budget = api.create(name, budget={"max_limit": 9, "reset_duration": length})["budget"]["id"]
        count(budget, "cost", used=(2 if name == "long" else 1) * 10**9)
    path = PAGE + "&sort_by=usage&order=asc&limit=1"
    assert again(path)[1].get_json()["model_configs"][0]["model_name"] == "short"
    path = PAGE + "&sort_by=usage&order=desc&limit=1"
    kept(path)
    assert not again(path)[0]
    clock.now += HOUR
    assert again(path)[0]


def test_a_revoked_key_is_refused_at_once(api, kept, again, reader):
    key_id, caller = reader
    kept(caller=caller)
    assert not again(caller=caller)[0]
    assert api.delete(f"/api/api-keys/{key_id}").status_code == 200
    assert again(caller=caller)[1].status_code == 401


def test_a_revoked_key_is_refused_also_where_the_memory_does_not_hear_of_it(kept, again, reader, governance):
    key_id, caller = reader
    kept(caller=caller)
    governance.authentication.refuse(key_id)
    assert again(caller=caller)[1].status_code == 401


def test_a_key_revoked_by_another_worker_is_refused_after_the_next_poll(kept, again, reader, governance, database):
    key_id, caller = reader
    kept(caller=caller)
    with database.write() as connection:
        revision = revisions.advance(connection)
        connection.execute(delete(api_keys).where(api_keys.c.id == key_id))
        revisions.add_tombstones(connection, revisions.API_KEY, [key_id], revision)
    governance.cache.refresh()
    assert again(caller=caller)[1].status_code == 401


def test_an_expired_key_is_refused_at_once(kept, again, reader, clock):
    kept(caller=reader[1])
    clock.now += 2 * HOUR - 1
    assert not again(caller=reader[1])[0]
    clock.now += 1
    assert again(caller=reader[1])[1].status_code == 401


def test_a_replayed_answer_is_a_use_of_the_key_and_counts_as_a_request(api, again, reader, governance, clock):
    def counted():
        (line,) = [
            line
            for line in api.get("/metrics").text.splitlines()
            if line.startswith('governance_requests_total{endpoint="model_configs.list_model_configs",status="200"}')
        ]
        return float(line.split()[-1])

    assert [again(caller=reader[1])[0] for _ in range(2)] == [True, True]
    before = counted()
    clock.now += HOUR
    assert not again(caller=reader[1])[0]
    assert counted() == before + 1
    governance.authentication.flush()
    (key,) = [key for key in api.get("/api/api-keys").get_json()["api_keys"] if key["id"] == reader[0]]
    assert key["last_used_at"] == "2026-11-23T13:00:00Z"


def test_an_expired_memory_is_not_answered_from(api, kept, again, governance, monkeypatch):
    api.create("a")
    kept()
    monkeypatch.setattr(governance.cache, "peek", lambda: None)

    def unreachable(_):
        raise Unavailable("the database is away")

    monkeypatch.setattr(governance.cache, "_loader", unreachable)
    assert again()[1].status_code == 503


def test_what_is_kept_is_bounded(app, api, kept, again, monkeypatch):
    monkeypatch.setattr(response_cache, "MOST_BYTES", 3 * response_cache.OVERHEAD)
    api.create("a")
    for offset in range(20):
        kept(f"{PAGE}&offset={offset}")
        assert len(app.wsgi_app.answers.known) <= 3
    monkeypatch.setattr(response_cache, "MOST_BYTES", 10)
    api.create("b")
    assert [again()[0] for _ in range(4)] == [True, True, True, True]


def test_no_old_snapshot_is_kept_alive_by_an_answer(app, api, kept, governance):
    for name in "abc":
        api.create(name)
        kept()
        answers = app.wsgi_app.answers
        assert answers.snapshot is governance.cache.peek().snapshot
        assert len(answers.known) == 1


def test_a_key_that_loses_its_scope_is_refused_after_the_next_poll(kept, again, database, governance, reader):
    kept(caller=reader[1])
    with database.write() as connection:
        connection.execute(
            update(api_keys)
            .where(api_keys.c.id == reader[0])
            .values(scopes="meter", revision=revisions.advance(connection))
        )
    governance.cache.refresh()
    assert again(caller=reader[1])[1].status_code == 403


def test_pages_that_push_each_other_out_are_answered_to_many_at_once(app, api, monkeypatch):
    monkeypatch.setattr(response_cache, "MOST_BYTES", 3 * response_cache.OVERHEAD)
    for name in "abcdefgh":
        api.create(name)
    wanted = {offset: api.get(f"{PAGE}&limit=1&offset={offset}").get_json() for offset in range(8)}

    def read(start):
        caller = type(api)(app.test_client())
        offsets = [(start + step) % 8 for step in range(120)]
        return all(caller.get(f"{PAGE}&limit=1&offset={each}").get_json() == wanted[each] for each in offsets)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))
