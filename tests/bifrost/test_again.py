"""Stored rows are kept unchanged: a second run imports nothing twice, and a dry run stores nothing."""

import json
from contextlib import contextmanager

from governance.services.bifrost.importer import BifrostImport
from governance.services.random_ids import RandomIds
from governance.services.writing import Writer
from governance.storage import revisions
from tests.bifrost.conftest import read
from tests.bifrost.stores import KEY_VALUE
from tests.metering.conftest import ok

MORNING = "2026-11-23 08:00:00.5+00:00"


def revision(database):
    with database.read() as connection:
        return revisions.current(connection)


def test_a_second_run_keeps_all_and_stores_nothing(store, imported, meter, database):
    key = store.key()
    limit = store.limit(scope="virtual_key", scope_id=key)
    store.budget(limit, last_reset=MORNING, current_usage=2)
    imported()
    meter.reported(virtual_key_id=key, cost=1)
    before, stood = revision(database), meter.dump()
    report = imported()
    assert {row["outcome"] for row in report.rows.values()} == {"kept"}
    assert report.said["changes"] is False
    assert (revision(database), meter.dump()) == (before, stood)


def test_what_was_changed_here_stays_as_it_is(store, imported, api):
    limit = store.limit()
    store.budget(limit, max_limit=10)
    imported()
    api.put(f"model-configs/{limit}", {"budgets": [{"max_limit": 99, "reset_duration": "1h"}]})
    imported()
    assert [each["max_limit"] for each in read(api, limit)["budgets"]] == [99]


def test_a_limit_on_the_same_thing_with_another_id_is_kept(store, imported, api):
    mine = api.create("gpt-4o", provider="OpenAI", budget={"max_limit": 1, "reset_duration": "1d"})
    limit = store.limit("openai/GPT-4o", provider="openai")
    budget = store.budget(limit)
    report = imported()
    assert [report.outcome(limit), report.outcome(budget)] == ["kept", "kept"]
    assert [each["id"] for each in api.list()["model_configs"]] == [mine["id"]]


def test_a_limit_that_was_deleted_here_comes_again(store, imported, api):
    limit = store.limit()
    imported()
    api.delete(f"model-configs/{limit}")
    assert imported().outcome(limit) == "taken"
    assert read(api, limit)["id"] == limit


def test_a_virtual_key_like_another_that_is_here_is_left_out_with_its_limits(store, imported, api):
    ok(api.post("virtual-keys", {"id": "mine", "name": "platform", "value": KEY_VALUE}))
    named, valued = store.key(name="platform"), store.key(value=KEY_VALUE)
    limit = store.limit(scope="virtual_key", scope_id=named)
    budget = store.budget(limit)
    report = imported()
    assert report.reason(named) == "Another virtual key, 'mine', has the same name."
    assert report.reason(valued) == "Another virtual key, 'mine', has the same value."
    assert report.reason(limit) == f"Its virtual key '{named}' is not here."
    assert report.reason(budget) == "Its model limit was left out."


def test_a_limit_of_a_key_that_is_only_here_moves_in(store, imported, api):
    ok(api.post("virtual-keys", {"id": "vk-mine", "name": "mine"}))
    limit = store.limit(scope="virtual_key", scope_id="vk-mine")
    assert imported().outcome(limit) == "taken"


def test_an_id_that_another_rule_has_is_replaced(store, imported, api):
    limit = store.limit()
    store.budget(limit, id="default")
    imported()
    other = store.limit("gpt-5", rate_limit_id="default")
    store.rate_limit(id="default", request_max_limit=5, request_reset_duration="1m")
    assert imported().said["counts"]["model_config"]["taken"] == 1
    found = read(api, other)["rate_limit"]
    assert found["request_max_limit"] == 5
    assert found["id"] != "default"


def test_a_dry_run_says_the_same_stores_nothing_and_exits_with_2(store, run, imported, database):
    store.budget(store.limit(), last_reset=MORNING, current_usage=2)
    before = revision(database)
    result = run("--dry-run", "--json")
    assert (result.exit_code, revision(database)) == (2, before)
    dry = json.loads(result.stdout)
    assert dry == imported().said | {"dry_run": True}
    assert run("--dry-run").exit_code == 0


class Meanwhile:
    """A database in which another write happens just after it was read."""

    def __init__(self, database, act):
        self._database, self._act = database, act

    @contextmanager
    def read(self):
        with self._database.read() as connection:
            yield connection
        self._act()


def test_what_is_stored_between_the_look_and_the_write_is_kept(store, path, api, governance, clock):
    store.limit("gpt-4o")
    meanwhile = Meanwhile(governance.database, lambda: api.create("gpt-4o"))
    writer = Writer(governance.database, governance.cache, clock)
    importing = BifrostImport(meanwhile, writer, clock, RandomIds(), 0.3)
    assert [row.outcome for row in importing.run(path, dry_run=False).notes] == ["kept"]
    assert api.list()["total_count"] == 1
