"""Properties of any two files that are synced one after the other, in either form, with any usage between them."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from governance.container import EXTENSION
from governance.domain.config.plan_steps import Action
from governance.domain.limits.durations import parse
from governance.domain.limits.item_matching import predecessors
from governance.domain.limits.limit import current
from governance.domain.names import Identity
from governance.storage.tables import counters, model_limits, tombstones, virtual_keys

often = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WINDOWS = ["1m", "1h", "1d", "1w", "1M"]
MODELS = ["gpt-5", "claude-opus-4-1", "*"]
KEYS = ["vk-a", "vk-b"]
CENT = 10_000_000


@st.composite
def entries(draw, place):
    """Return a limit in the plain form. Its budgets and rate limits may have ids of their own."""
    windows = st.lists(st.sampled_from(WINDOWS), unique=True, max_size=3)
    named = draw(st.booleans())
    ids = lambda kind, number: {"id": f"{kind}{place}-{number}"} if named else {}  # noqa: E731
    budgets = [
        {**ids("b", n), "max_limit": draw(st.integers(1, 3)) / 4, "reset_duration": w}
        for n, w in enumerate(draw(windows))
    ]
    rates = []
    for number, window in enumerate(draw(windows)):
        rate = {**ids("r", number), "request_max_limit": draw(st.integers(1, 3)), "request_reset_duration": window}
        if draw(st.booleans()):
            rate |= {"token_max_limit": draw(st.integers(1, 3)), "token_reset_duration": window}
        rates.append(rate)
    entry = {"budgets": budgets, "rate_limits": rates} | ({"id": f"m{place}"} if named else {})
    if draw(st.booleans()) and any(parse(b["reset_duration"]).alignable for b in budgets):
        entry |= {"calendar_aligned": True, "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin"]))}
    return entry


@st.composite
def documents(draw):
    """Return a file with limits of different identities, in one of the two forms."""
    whom = st.tuples(st.sampled_from(MODELS), st.sampled_from([None, "openai"]), st.sampled_from([None, *KEYS]))
    chosen = draw(st.lists(whom, unique=True, max_size=5))
    limits = []
    for model, provider, key in chosen:
        place = MODELS.index(model) * 6 + bool(provider) * 3 + ([None, *KEYS].index(key))
        entry = draw(entries(place)) | {"model_name": model}
        entry |= {"provider": provider} if provider else {}
        entry |= {"scope": "virtual_key", "scope_id": key} if key else {}
        limits.append(entry)
    keys = [{"id": key, "name": key, "value": f"sk-{key}"} for key in KEYS]
    plain = {"model_configs": limits, "virtual_keys": keys}
    return referring(plain) if draw(st.booleans()) else plain


def referring(plain):
    """Return the same file in Bifrost's form."""
    made = {"virtual_keys": plain["virtual_keys"], "model_configs": [], "budgets": [], "rate_limits": []}
    for entry in plain["model_configs"]:
        whom = [str(entry.get(name)) for name in ("model_name", "provider", "scope_id")]
        limit = {"id": "-".join(whom)} | entry
        for kind, ids in (("budgets", "budget_ids"), ("rate_limits", "rate_limit_ids")):
            items = [{"id": f"{kind}-{limit['id']}-{n}"} | item for n, item in enumerate(limit.pop(kind))]
            made[kind] += items
            limit[ids] = [item["id"] for item in items]
        made["model_configs"].append(limit)
    return {"governance": made}


def asked(document):
    """Return the contents of a file: maxima, alignment and zone by identity."""
    root = document.get("governance", document)
    lists = {kind: {item["id"]: item for item in root.get(kind, [])} for kind in ("budgets", "rate_limits")}
    found = {}
    for limit in root["model_configs"]:
        budgets = limit.get("budgets", []) + [lists["budgets"][key] for key in limit.get("budget_ids", [])]
        rates = limit.get("rate_limits", []) + [lists["rate_limits"][key] for key in limit.get("rate_limit_ids", [])]
        ceilings = {("cost", b["reset_duration"], int(b["max_limit"] * 100) * CENT) for b in budgets}
        for rate in rates:
            ceilings |= {
                (f"{side}s", rate[f"{side}_reset_duration"], rate[f"{side}_max_limit"])
                for side in ("token", "request")
                if f"{side}_max_limit" in rate
            }
        scope = limit.get("scope", "global")
        own = Identity.of(scope, limit.get("scope_id"), limit.get("provider"), limit["model_name"])
        found[own] = (ceilings, limit.get("calendar_aligned", False), limit.get("timezone", "UTC"))
    return found


def held(terminal):
    """Return the stored limits in the same form."""
    found = {}
    for limit, _ in terminal.stored().limits.values():
        ceilings = {(rule.metric, rule.reset_duration, rule.max_limit) for rule in limit.rules}
        own = Identity.of(limit.scope, limit.scope_id, limit.provider, limit.model_name)
        found[own] = (ceilings, limit.calendar_aligned, limit.timezone)
    return found


def emptied(terminal):
    with terminal.database.write() as connection:
        for table in (model_limits, virtual_keys, tombstones):
            connection.execute(delete(table))


def spend(terminal, now):
    """Add usage to every rule."""
    with terminal.database.write() as connection:
        for limit, _ in terminal.stored().limits.values():
            for number, rule in enumerate(limit.rules, 1):
                start, end, *_ = current(rule, limit.alignment, None, now)
                own = {"rule_id": rule.id, "metric": rule.metric, "generation": rule.generation}
                amounts = {"used": number, "folded": number, "reserved": 0}
                window = {"window_start": start, "window_end": end, "touched_at": now}
                connection.execute(insert(counters).values(own | amounts | window))


def applied(terminal, document, *, prune=False, overwrite=False):
    """Sync a file as the command does. Return the plan that was carried out."""
    service, wishes = terminal.app.extensions[EXTENSION], {"prune": prune, "overwrite": overwrite}
    read = service.files.read(terminal.write(document))
    return service.sync.apply(read, service.sync.plan(read, **wishes), **wishes).plan


def planned(terminal, document, *, prune=False, overwrite=False):
    service = terminal.app.extensions[EXTENSION]
    return service.sync.plan(service.files.read(terminal.write(document)), prune=prune, overwrite=overwrite).plan


@given(documents(), documents(), st.booleans())
@often
def test_a_file_makes_the_database_its_own_and_asks_for_nothing_twice(terminal, clock, first, second, prune):
    emptied(terminal)
    applied(terminal, first)
    assert held(terminal) == asked(first)
    spend(terminal, clock())
    before = usage(terminal)
    applied(terminal, second, prune=prune)
    assert held(terminal) == ({} if prune else asked(first)) | asked(second)
    assert planned(terminal, second, prune=prune).writes == ()
    unmoved(terminal, before, clock())


def usage(terminal):
    """Return the counters by rule, each with the frame of its windows."""
    rules = {rule.key: (rule, limit) for limit, _ in terminal.stored().limits.values() for rule in limit.rules}
    return {(row.rule_id, row.metric): (row, *rules[row.rule_id, row.metric]) for row in terminal.counters()}


def unmoved(terminal, before, now):
    """Check that the counter of a rule that stayed is unchanged.

    If the rule's windows changed, the counter must be in the current window.
    """
    after = {(row.rule_id, row.metric): row for row in terminal.counters()}
    known = {limit.id: limit for _, _, limit in before.values()}
    stayed = {}
    for limit, _ in terminal.stored().limits.values():
        if limit.id in known and same_limit(known[limit.id], limit):
            rules = {rule.key: rule for rule in limit.rules}
            kept = predecessors(known[limit.id].rules, limit.rules)
            stayed |= {key: (before[old.key], rules[key], limit) for key, old in kept.items()}
    assert set(after) == set(stayed)
    for key, found in after.items():
        (row, old, old_limit), rule, limit = stayed[key]
        assert (found.used, found.folded, found.id) == (row.used, row.folded, row.id)
        if old.frame(old_limit.alignment) == rule.frame(limit.alignment):
            assert (found.window_start, found.generation) == (row.window_start, row.generation)
            assert found == row or old.key != rule.key
        else:
            assert found.window_start == current(rule, limit.alignment, None, now).start
            assert found.generation == rule.generation == old.generation + 1


def same_limit(before, after):
    """Return whether a rule is still in the same limit. The rules of a replaced limit begin anew."""
    return (before.id, before.created_at) == (after.id, after.created_at)


@given(documents(), st.data())
@often
def test_a_fault_among_right_entries_changes_nothing_at_all(terminal, first, data):
    emptied(terminal)
    document = json.loads(json.dumps(first))
    root = document.get("governance", document)
    entry = {"model_name": "one-more", data.draw(st.sampled_from(["buget", "scope", "budget_ids"])): ["x"]}
    root["model_configs"].insert(data.draw(st.integers(0, len(root["model_configs"]))), entry)
    before = terminal.stored(), terminal.revision()
    assert terminal.sync(document).code == 1
    assert (terminal.stored(), terminal.revision()) == before


@given(documents(), st.data())
@often
def test_an_edit_by_api_stays_until_the_file_changes_it(terminal, api, first, data):
    emptied(terminal)
    applied(terminal, first)
    limits = [limit for limit, _ in terminal.stored().limits.values() if limit.rules]
    if not limits:
        return
    limit = data.draw(st.sampled_from(sorted(limits)))
    dollars, window = data.draw(st.integers(5, 9)), data.draw(st.sampled_from(WINDOWS))
    edit = {"budgets": [{"max_limit": dollars, "reset_duration": window}], "calendar_aligned": False}
    assert api.put(f"model-configs/{limit.id}", edit).status_code == 200
    applied(terminal, first)
    own = Identity.of(limit.scope, limit.scope_id, limit.provider, limit.model_name)
    ceilings, *_ = asked(first)[own]
    others = {each for each in ceilings if each[:2] != ("cost", window)}
    assert held(terminal)[own] == (others | {("cost", window, dollars * 10**9)}, False, "UTC")
    assert planned(terminal, first).writes == ()


@given(documents(), st.data())
@often
def test_a_file_that_overwrites_finds_any_edit_by_api_and_takes_it_back_whole(terminal, api, clock, first, data):
    emptied(terminal)
    applied(terminal, first)
    limits = [limit for limit, _ in terminal.stored().limits.values() if limit.rules]
    if not limits:
        return
    limit = data.draw(st.sampled_from(sorted(limits)))
    windows = data.draw(st.lists(st.sampled_from(WINDOWS), unique=True, max_size=3))
    edit = {"budgets": [{"max_limit": data.draw(st.integers(5, 9)), "reset_duration": window} for window in windows]}
    assert api.put(f"model-configs/{limit.id}", edit | {"calendar_aligned": False}).status_code == 200
    drifted = held(terminal) != asked(first)
    assert bool(planned(terminal, first, overwrite=True).changes) is drifted
    applied(terminal, first, overwrite=True)
    assert held(terminal) == asked(first)
    assert planned(terminal, first, overwrite=True).writes == ()
    assert planned(terminal, first).writes == ()


@given(documents())
@often
def test_an_export_asks_for_nothing(terminal, tmp_path, first):
    emptied(terminal)
    applied(terminal, first)
    path = tmp_path / "export.json"
    assert terminal.run("export", str(path), "--force").code == 0
    assert terminal.dry(path.read_text(), name="other.json").code == 0
    exported = path.read_text()
    emptied(terminal)
    applied(terminal, json.loads(exported))
    terminal.run("export", str(path), "--force")
    assert path.read_text() == exported


def test_a_plan_has_the_keys_first_then_limits_in_the_order_of_the_file(terminal):
    keys = [{"id": "b", "name": "B"}, {"id": "a", "name": "A"}]
    plan = applied(terminal, {"virtual_keys": keys, "model_configs": [{"model_name": "z"}, {"model_name": "y"}]})
    assert [step.title for step in plan.steps] == ["virtual key B", "virtual key A", "z", "y"]
    assert {step.action for step in plan.steps} == {Action.CREATE}
