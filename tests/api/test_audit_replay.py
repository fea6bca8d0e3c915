"""The audit log is complete: its entries, applied to the state before them, give the state after them."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.trail import DAY, MINUTE, changes, newest, ok

windows = st.sampled_from(["1m", "1h", "1d", "24h", "1w", "1M"])
money = st.sampled_from([0.000000001, 0.25, 20, 1_000_000])
budgets = st.lists(st.builds(lambda most, per: {"max_limit": most, "reset_duration": per}, money, windows), max_size=3)
tokens = st.builds(lambda most, per: {"token_max_limit": most, "token_reset_duration": per}, st.integers(1, 9), windows)
requests = st.builds(
    lambda most, per: {"request_max_limit": most, "request_reset_duration": per}, st.integers(1, 9), windows
)
rates = st.lists(tokens | requests | st.builds(lambda a, b: a | b, tokens, requests), max_size=3)
edits = st.fixed_dictionaries(
    {},
    optional={
        "budgets": budgets,
        "rate_limits": rates,
        "calendar_aligned": st.booleans(),
        "timezone": st.sampled_from(["UTC", "Asia/Tokyo"]),
        "reset_usage": st.booleans(),
        "reset_budget_usage": st.booleans(),
    },
)


def shown(limit):
    """Return the facts of a limit that the audit log has, from a response with the limit. A usage of 0 is left out."""
    facts = {name: limit[name] for name in ("model_name", "scope", "calendar_aligned", "timezone")}
    for items, prefixes in (("budgets", [""]), ("rate_limits", ["token_", "request_"])):
        if limit[items]:
            facts[f"{items}[*].id"] = [item["id"] for item in limit[items]]
        for item in limit[items]:
            for prefix in prefixes:
                if item[f"{prefix}max_limit"] is not None:
                    at = f"{items}[{item[f'{prefix}reset_duration']}].{prefix}"
                    facts[f"{at}max_limit"] = item[f"{prefix}max_limit"]
                    facts[f"{at}current_usage"] = item[f"{prefix}current_usage"]
    return {name: value for name, value in facts.items() if value or not name.endswith("usage")}


def read(api, path):
    return shown(ok(api.get(path))["model_config"])


def replayed(facts, entry):
    """Return the facts after an entry. The old values of the entry must equal the facts before."""
    after = dict(facts)
    for field, (old, new) in changes(entry).items():
        assert after.pop(field, None) == old or (old == 0 and field.endswith("usage"))
        after |= {} if new is None or (new == 0 and field.endswith("usage")) else {field: new}
    return after


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(edits, min_size=1, max_size=5), wait=st.sampled_from([0, 7200]))
def test_replaying_the_audit_of_a_limit_gives_the_limit(api, clock, steps, wait):
    limit = api.create(budget=DAY, rate_limit=MINUTE)
    path = f"model-configs/{limit['id']}"
    assert replayed({}, newest(api)) == shown(limit)
    for step in steps:
        clock.advance(wait)
        ok(api.post("usage", {"model": "gpt-4o", "cost": 0.25, "tokens": 1}))
        before, last = read(api, path), newest(api)
        api.put(path, step)
        after, entry = read(api, path), newest(api)
        assert (entry != last) is (after != before)
        assert after == (replayed(before, entry) if entry != last else before)
    before = read(api, path)
    ok(api.delete(path))
    assert replayed(before, newest(api)) == {}
