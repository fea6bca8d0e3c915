"""`GOVERNANCE_CONFIG`: a file that is applied at each start."""

from dataclasses import replace
from threading import Barrier, Thread

import pytest

from app import create_app
from governance.container import EXTENSION
from governance.domain.errors import NotReady
from governance.services.config.sync import LEFT_OUT, NOT_APPLIED
from governance.startup import prepare
from tests.config.conftest import Terminal, bifrost, budget, nested
from tests.conftest import governance_of

FAULTY = nested({"model_name": "a", "budgets": [budget(-1)]}, {"modelname": "b"})


@pytest.fixture
def start(tmp_path, settings, clock):
    """Return a function that starts a service on the test's database with a file.

    It returns the warnings for /readyz.
    """
    apps = []

    def started(content):
        path = tmp_path / "config.json"
        if content is not None:
            Terminal(None, tmp_path, None).write(content, path.name)
        apps.append(create_app(replace(settings, config=str(path)), clock=clock))
        return prepare(apps[-1])

    yield started
    for app in apps:
        governance_of(app).close()


def test_a_start_applies_the_file_and_the_next_one_keeps_what_api_edited(start, terminal, api):
    content = nested({"id": "a", "model_name": "a", "budgets": [budget(1, id="b")]})
    assert start(content) == []
    api.put("model-configs/a", {"budgets": [{"id": "b", **budget(7)}]})
    before = terminal.revision()
    assert start(content) == []
    assert terminal.revision() == before
    assert api.list()["model_configs"][0]["budget"]["max_limit"] == 7


def test_rules_of_the_file_that_hold_for_nobody_are_logged_and_counted_for_readyz(start, capsys):
    content = bifrost(budgets=[{"id": "b-team", "team_id": "t1", **budget()}, {"id": "b-nobody", **budget()}])
    for _ in range(2):
        assert start(content) == [LEFT_OUT.format("config.json", 2)]
    told = [line for line in capsys.readouterr().err.splitlines() if "is left out" in line]
    assert len(told) == 4


def test_a_start_removes_nothing(start, terminal):
    start(nested({"model_name": "a"}))
    start(nested())
    assert len(terminal.stored().limits) == 1


@pytest.mark.parametrize("content", [FAULTY, "{", None])
def test_a_faulty_file_keeps_an_empty_service_from_starting_with_all_its_faults(start, terminal, content):
    with pytest.raises(NotReady) as caught:
        start(content)
    lines = caught.value.message.splitlines()
    assert len(lines) == (4 if content is FAULTY else 2)
    assert all(line.startswith("config.json") for line in lines)
    assert terminal.stored().limits == {}


def test_a_service_with_limits_starts_with_those_says_so_loudly_and_readyz_shows_it(start, app, api, terminal, capsys):
    api.create("kept", budgets=[budget()])
    warnings = start(FAULTY)
    said = capsys.readouterr().err
    assert "config.json:7: model_configs[0].budgets[0].max_limit" in said
    assert "config.json was NOT applied" in said
    assert len(terminal.stored().limits) == 1
    app.extensions[EXTENSION].health.remember(warnings)
    answer = api.get("/readyz").get_json()
    assert answer["status"] == "ready"
    assert answer["warnings"] == [NOT_APPLIED.format("config.json", 3)]


def test_of_two_syncs_of_one_file_at_once_one_creates_and_the_other_keeps(app, terminal, tmp_path):
    path = terminal.write(nested(*({"model_name": f"m{n}", "budgets": [budget()]} for n in range(50))))
    service, both, counts = app.extensions[EXTENSION], Barrier(2), []
    document = service.files.read(path)

    def sync():
        planned = service.sync.plan(document, prune=False)
        both.wait(10)
        counts.append(service.sync.apply(document, planned, prune=False).plan.counts)

    threads = [Thread(target=sync) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(counts, key=str) == [{"create": 50}, {"keep": 50}]


def test_what_was_done_is_said_where_it_is_not_what_was_shown(app, terminal, api, monkeypatch):
    """Another caller creates one of the limits by the API after the plan and before its end."""
    service = app.extensions[EXTENSION]
    apply = service.sync.apply

    def meanwhile(document, planned, **wishes):
        api.create("a", budgets=[budget(1)])
        return apply(document, planned, **wishes)

    monkeypatch.setattr(service.sync, "apply", meanwhile)
    said = terminal.sync(nested({"model_name": "a", "budgets": [budget(5)]}))
    assert "The database has changed since the plan was shown. This is what was done:" in said.out
    assert "budget: $1 / 1d → $5 / 1d" in said.out
