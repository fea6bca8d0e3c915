"""Both sources give the same bytes.

The snapshot answers without SQL, sees changes, and expires (docs/contract.md §3).
"""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count as counting
from itertools import zip_longest
from threading import Barrier, Event
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck as Check
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st
from sqlalchemy import event

from app import create_app
from governance.container import EXTENSION
from governance.domain.errors import Unavailable
from governance.domain.strict_json import read_object
from governance.services.limits.model_limits import ModelLimits
from governance.services.operations.health import HealthCheck
from governance.services.random_ids import RandomIds
from governance.services.writing import Writer
from governance.snapshot.cache import SnapshotCache
from governance.snapshot.reader import SnapshotReader
from governance.storage.changes import ChangesLoader
from schemas.limits.model_limits import ModelLimitCreate
from schemas.loading import load

LISTS = ["model-configs", "budgets", "rate-limits"]
LIFETIME = 15.0
NOON = "2026-11-23T12:00:00Z"
DAY = {"max_limit": 1, "reset_duration": "1d"}


class Timer:
    """A timer in seconds. Only the test moves it."""

    now = 1000.0

    def __call__(self):
        return self.now


class Loader:
    """The real loader. The test can make it fail or wait. It counts its calls."""

    def __init__(self, real):
        self.real, self.calls, self.error, self.gate = real, 0, None, Event()
        self.gate.set()

    def __call__(self, since):
        self.calls += 1
        self.gate.wait(timeout=30)
        if self.error is not None:
            raise self.error
        return self.real(since)


@pytest.fixture
def memory(app, governance, database, clock):
    """Give the app a snapshot cache with a timer and a loader of the test."""
    timer, loader = Timer(), Loader(ChangesLoader(database))
    cache = SnapshotCache(loader, LIFETIME, timer)
    cache.refresh()
    loader.calls = 0
    reader, writer = SnapshotReader(cache, 2**20), Writer(database, cache, clock)
    app.extensions[EXTENSION] = replace(
        governance,
        cache=cache,
        model_limits=ModelLimits(database, reader, writer, clock, RandomIds()),
        health=HealthCheck(database, cache, clock, governance.group, governance.price_list),
    )
    return SimpleNamespace(timer=timer, loader=loader, cache=cache)


@pytest.fixture
def second(settings, clock, api):
    """Return another worker on the same file: its API, and its snapshot cache."""
    other = create_app(settings, clock=clock)
    worker = other.extensions[EXTENSION]
    yield SimpleNamespace(api=type(api)(other.test_client()), cache=worker.cache)
    worker.group.stop()
    worker.database.engine.dispose()


@contextmanager
def statements(database):
    """Yield a list that gets the SQL statements of the block."""
    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine, "before_cursor_execute", note)


def names(api, *, memory=True):
    return {limit["model_name"] for limit in api.list(memory=memory)["model_configs"]}


@pytest.mark.parametrize(
    "query", ["", "&limit=1&search=m", "&sort_by=usage&order=asc", "&scope=user&sort_by=model_name"]
)
def test_the_memory_answers_without_any_sql_and_the_database_does_not(api, database, query):
    api.create("m", budget=DAY, rate_limit={"token_max_limit": 1, "token_reset_duration": "1h"})
    api.list(memory=True)
    with statements(database) as sent:
        for path in LISTS:
            question = f"{path}?from_memory=true{query if path == 'model-configs' else ''}"
            etag = api.get(question).headers["ETag"]
            assert api.get(question, headers={"If-None-Match": etag}).status_code == 304
    assert sent == []
    with statements(database) as sent:
        api.get(f"model-configs?{query}")
    assert any("model_limits" in statement for statement in sent)


def test_the_memory_needs_no_sql_to_recognise_a_stored_api_key(api, database):
    key = api.post("/api/api-keys", {"name": "reader", "scopes": ["read"]}).get_json()["api_key"]["key"]
    api.list(memory=True)
    with statements(database) as sent:
        assert api.with_key(key).get("model-configs?from_memory=true").status_code == 200
    assert sent == []


def test_a_management_change_is_in_the_memory_of_its_own_worker_at_once(api):
    api.post("virtual-keys", {"id": "vk", "name": "Team"})

    def path():
        return f"model-configs/{api.list()['model_configs'][0]['id']}"

    for change in (
        lambda: api.create("m", scope="virtual_key", scope_id="vk", budget=DAY),
        lambda: api.put(path(), {"budget": DAY | {"max_limit": 2}}),
        lambda: api.put("virtual-keys/vk", {"name": "Crew"}),
        lambda: api.put(path(), {"budgets": []}),
        lambda: api.delete("virtual-keys/vk"),
    ):
        before = api.get("model-configs?from_memory=true").data
        change()
        after = api.get("model-configs?from_memory=true").data
        assert after == api.get("model-configs").data
        assert after != before


def test_another_worker_sees_a_change_in_its_database_at_once_and_in_its_memory_after_a_refresh(api, second):
    first = api.create("old")
    assert names(second.api) == {"old"}
    api.create("new")
    api.delete(f"model-configs/{first['id']}")
    assert names(second.api, memory=False) == {"new"}
    assert names(second.api) == {"old"}
    second.cache.refresh()
    assert names(second.api) == {"new"}


def test_another_worker_sees_usage_edits_names_and_deletions_after_a_refresh(api, second, count):
    api.post("users", {"id": "u", "name": "Ada"})
    limits = [api.create(name, scope="user", scope_id="u", budget=DAY) for name in ("a", "b")]
    second.api.list(memory=True)
    count(limits[0]["budget"]["id"], "cost", used=7, reserved=5)
    api.put(f"model-configs/{limits[1]['id']}", {"budgets": []})
    api.delete("users/u")
    api.post("users", {"id": "u", "name": "Grace"})
    before = second.api.get("model-configs?from_memory=true").data
    second.cache.refresh()
    after = second.api.get("model-configs?from_memory=true").data
    assert after != before
    assert after == api.get("model-configs").data
    assert b"Grace" in after


@pytest.mark.parametrize("query", ["", "&sort_by=usage"])
def test_the_memory_follows_a_clock_that_passes_the_end_of_a_window_and_steps_back_before_it(api, clock, count, query):
    for name, duration in (("short", "1h"), ("long", "1d")):
        made = api.create(name, budget=DAY | {"reset_duration": duration})
        count(made["budget"]["id"], "cost", used=9 if name == "short" else 5)
    seen = []
    for step in (0, 3600, -1, 1, -7200, 90_000):
        clock.advance(step)
        seen.append(api.get(f"model-configs?from_memory=true{query}").data)
        assert seen[-1] == api.get(f"model-configs?{query}").data
    assert seen[0] == seen[2] == seen[4]
    assert seen[1] == seen[3] != seen[0]


def test_a_poll_refreshes_the_memory(api, app, settings, clock):
    other = create_app(settings, clock=clock)
    worker = other.extensions[EXTENSION]
    theirs = type(api)(other.test_client())
    assert names(theirs) == set()
    api.create("m")
    worker.poller.poll()
    assert names(theirs) == {"m"}
    worker.group.stop()
    worker.database.engine.dispose()


def age(api):
    return api.get("model-configs?from_memory=true").headers["Age"]


def test_age_counts_from_the_last_refresh_also_where_that_found_nothing_new(api, memory):
    assert age(api) == "0"
    memory.timer.now += 3.9
    assert age(api) == "3"
    assert api.get("budgets?from_memory=true").headers["Age"] == "3"
    memory.cache.refresh()
    assert age(api) == "0"
    memory.timer.now += LIFETIME - 1
    api.create("m")
    assert age(api) == "0"


def test_without_a_poll_the_memory_expires_and_the_next_read_repopulates_it(api, memory, second):
    assert names(api) == set()
    second.api.create("m")
    memory.timer.now += LIFETIME - 0.1
    assert names(api) == set()
    memory.timer.now += 0.1
    assert names(api) == {"m"}


def test_an_expired_memory_is_repopulated_once_however_many_wait(app, api, memory):
    api.create("m")
    memory.timer.now += LIFETIME
    memory.loader.gate.clear()
    before, together = memory.loader.calls, Barrier(9)

    def ask(_):
        together.wait()
        return type(api)(app.test_client()).get("model-configs?from_memory=true")

    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(ask, range(8))
        together.wait()
        memory.loader.gate.set()
        answers = list(asked)
    assert {(answer.status_code, answer.data) for answer in answers} == {(200, api.get("model-configs").data)}
    assert memory.loader.calls == before + 1


def fail(memory):
    """Let a refresh fail, in the way in which the poller would see it."""
    memory.loader.error = Unavailable("Try again shortly: the test says so.")
    with pytest.raises(Unavailable):
        memory.cache.refresh()


def test_a_failing_refresh_keeps_the_last_good_snapshot_is_logged_and_counted(api, memory, caplog):
    made = api.create("m")
    with caplog.at_level("WARNING", logger="governance.memory"):
        fail(memory)
    assert ("governance.memory", "not refreshed") in [(each.name, each.message[15:28]) for each in caplog.records]
    assert memory.cache.failures == 1
    memory.timer.now += LIFETIME - 0.1
    assert api.list(memory=True)["model_configs"] == [made]
    assert age(api) == str(int(LIFETIME - 0.1))


def test_a_failing_refresh_shows_in_readyz_until_one_succeeds(api, memory):
    api.list(memory=True)
    assert api.get("/readyz").get_json()["warnings"] == []
    fail(memory)
    memory.timer.now += 4
    response = api.get("/readyz")
    assert response.status_code == 200
    assert ["4 s" in warning and "failed" in warning for warning in response.get_json()["warnings"]] == [True]
    memory.loader.error = None
    memory.cache.refresh()
    assert api.get("/readyz").get_json()["warnings"] == []


def test_readyz_does_not_repeat_what_an_unforeseen_error_says(api, memory):
    api.list(memory=True)
    memory.loader.error = KeyError("the limit on gpt-4o of Team")
    with pytest.raises(KeyError):
        memory.cache.refresh()
    response = api.with_key(None).get("/readyz")
    assert len(response.get_json()["warnings"]) == 1
    assert "gpt-4o" not in response.text


@pytest.mark.parametrize("path", LISTS)
def test_an_expired_memory_that_cannot_be_reloaded_is_503_while_the_database_answers(api, memory, path):
    api.create("m", budget=DAY)
    fail(memory)
    memory.timer.now += LIFETIME
    response = api.get(f"{path}?from_memory=true")
    body = response.get_json()
    assert (response.status_code, body["status_code"]) == (503, 503)
    assert (body["error"]["type"], body["error"]["code"]) == ("unavailable", "memory_unavailable")
    assert int(response.headers["Retry-After"]) >= 1
    assert api.get(path).status_code == 200
    assert api.list()["total_count"] == 1


def test_readyz_is_503_while_the_memory_is_gone_and_ready_again_once_it_loads(api, memory):
    fail(memory)
    memory.timer.now += LIFETIME
    response = api.get("/readyz")
    assert (response.status_code, response.get_json()["error"]["code"]) == (503, "not_ready")
    memory.loader.error = None
    assert api.get("/readyz").status_code == 200
    assert api.get("model-configs?from_memory=true").status_code == 200


def test_writes_are_kept_while_the_memory_cannot_be_refreshed(api, memory):
    api.list(memory=True)
    fail(memory)
    made = api.create("m")
    assert api.list()["model_configs"] == [made]
    assert names(api) == set()
    memory.loader.error = None
    memory.cache.refresh()
    assert names(api) == {"m"}


WINDOWS = ["1h", "90m", "1d", "1.5d", "1w", "1M", "3M", "1Y"]
ALIGNABLE = {"1d", "1w", "1M", "3M", "1Y"}
ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Havana"]
WORDS = ["gpt-4o", "GPT", "Straße", "STRASSE", "caf\u00e9", "cafe\u0301", "100%", "a_b", "*", "ΣΊΣΥΦΟΣ", "o"]
AMOUNTS = [1, 3, 0.5, 0.1, 1e-9, 1_000_000_000]
STEPS = [1, 600, 3600, 86_400, 700_000, 3_000_000, -1, -3600, -86_400, -3_000_000]

some_windows = st.lists(st.sampled_from(WINDOWS), unique=True, max_size=3)
queries = st.fixed_dictionaries(
    {},
    optional={
        "limit": st.sampled_from([1, 2, 3, 25, 500]),
        "offset": st.integers(0, 9),
        "search": st.sampled_from([*WORDS, "ß", "SS", "%", "_", "\u00e9", "E\u0301", "0", "\0", " "]),
        "scope": st.sampled_from(["global", "virtual_key", "user"]),
        "scope_id": st.sampled_from(["k1", "k2", "u1", "u2"]),
        "provider": st.sampled_from(["openai", "OpenAI", "azure"]),
        "sort_by": st.sampled_from(["created_at", "model_name", "usage"]),
        "order": st.sampled_from(["asc", "desc"]),
    },
)


@st.composite
def rules(draw):
    """Return the rules of a limit in the form of a body."""
    budgets = [{"max_limit": draw(st.sampled_from(AMOUNTS)), "reset_duration": text} for text in draw(some_windows)]
    sides = [
        [{f"{side}_max_limit": draw(st.integers(1, 9)), f"{side}_reset_duration": text} for text in draw(some_windows)]
        for side in ("token", "request")
    ]
    rates = [token | request for token, request in zip_longest(*sides, fillvalue={})]
    texts = {value for item in budgets + rates for key, value in item.items() if key.endswith("duration")}
    aligned = bool(texts & ALIGNABLE) and draw(st.booleans())
    return {
        "budgets": budgets,
        "rate_limits": rates,
        "calendar_aligned": aligned,
        "timezone": draw(st.sampled_from(ZONES)) if aligned else "UTC",
    }


@st.composite
def limits(draw):
    """Return bodies of limits that do not conflict. Some have the same time of creation."""
    made = []
    for number in range(draw(st.integers(0, 7))):
        scope, scope_id = draw(
            st.sampled_from([("global", None), ("virtual_key", "k1"), ("user", "u1"), ("user", "u2")])
        )
        name = f"{draw(st.sampled_from(WORDS).filter(lambda word: word != '*'))} {number}"
        provider = draw(st.sampled_from([None, "openai", "OpenAI", "azure"]))
        made.append(draw(rules()) | {"model_name": name, "provider": provider, "scope": scope, "scope_id": scope_id})
    return made


class World:
    """The stored limits, and all acts that can change them."""

    def __init__(self, api, governance, clock, count):
        self.api, self.governance, self.clock, self.count = api, governance, clock, count

    def begin(self, bodies):
        """Begin at noon with only these limits."""
        self.clock.set(NOON)
        for limit in self.stored():
            self.governance.model_limits.delete(limit["id"], lambda _: True)
        for number, body in enumerate(bodies):
            self.clock.advance(number % 2)
            draft = load(ModelLimitCreate(), read_object(json.dumps(body).encode()))
            self.governance.model_limits.create(draft)

    def stored(self):
        return self.api.list("limit=100")["model_configs"]

    def edit(self, draw, limit):
        self.api.put(f"model-configs/{limit['id']}", draw(rules()))

    def retime(self, draw, limit):
        """Give a stored budget another window, by its id."""
        budgets = [{key: item[key] for key in ("id", "max_limit", "reset_duration")} for item in limit["budgets"]]
        if budgets:
            budgets[0]["reset_duration"] = draw(st.sampled_from(WINDOWS))
            self.api.put(f"model-configs/{limit['id']}", {"budgets": budgets})

    def use(self, draw, limit):
        """Add usage to every rule of a limit, in the current window."""
        amounts = st.sampled_from([0, 1, 2, 9, 500_000_000])
        found = [(item["id"], "cost") for item in limit["budgets"]]
        for item in limit["rate_limits"]:
            found += [(item["id"], f"{side}s") for side in ("token", "request") if item[f"{side}_max_limit"]]
        for item_id, metric in found:
            self.count(item_id, metric, used=draw(amounts), reserved=draw(amounts))

    def reset(self, _, limit):
        self.api.put(f"model-configs/{limit['id']}", {"reset_usage": True})

    def delete(self, _, limit):
        self.api.delete(f"model-configs/{limit['id']}")

    def rename(self, draw, _):
        name = draw(st.sampled_from(["Team", "Crew", "Ada"]))
        self.api.put("virtual-keys/k1", {"name": name})
        self.api.post("users", {"id": "u1", "name": name}) if draw(st.booleans()) else self.api.delete("users/u1")

    def pass_time(self, draw, _):
        self.clock.advance(draw(st.sampled_from(STEPS)))

    def alike(self, draw):
        """Compare the two sources, with a random query and with the lists of budgets and rate limits."""
        page = urlencode({"limit": draw(st.integers(1, 9)), "offset": draw(st.integers(0, 9))})
        for path, query in zip(LISTS, (urlencode(draw(queries)), page, page), strict=True):
            stored, kept = (self.api.get(f"{path}?{query}&from_memory={word}") for word in (0, 1))
            assert stored.status_code == 200, stored.text
            assert stored.data == kept.data
            assert stored.headers["ETag"] == kept.headers["ETag"]


@pytest.fixture
def world(api, governance, clock, count):
    """Return a world with ascending ids.

    Ids decide the order, so the drawn limits are the same in every run of an example.
    """
    governance.model_limits._random_ids = RandomIds(new_id=(f"{number:09}" for number in counting()).__next__)
    api.post("virtual-keys", {"id": "k1", "name": "Team"})
    return World(api, governance, clock, count)


ACTS = [World.edit, World.retime, World.use, World.use, World.reset, World.delete, World.rename]


@runs(max_examples=40, deadline=None, suppress_health_check=[Check.function_scoped_fixture, Check.too_slow])
@given(data=st.data())
def test_both_sources_give_the_same_bytes_and_etags_whatever_befalls_the_limits(world, data):
    world.begin(data.draw(limits()))
    world.alike(data.draw)
    for act in data.draw(st.lists(st.sampled_from([*ACTS, *[World.pass_time] * 3]), max_size=8)):
        found = world.stored()
        if found or act in {World.rename, World.pass_time}:
            act(world, data.draw, data.draw(st.sampled_from(found)) if found else None)
            world.alike(data.draw)
