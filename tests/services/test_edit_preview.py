"""What a page says that an edit will do is what the edit then does."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.domain.errors import GovernanceError
from governance.domain.limits.effects import EffectKind
from governance.domain.limits.limit import current
from governance.storage.limits import states
from schemas.limits.model_limits import ModelLimitUpdate
from schemas.loading import load

WINDOWS = ("1m", "1h", "1d", "1M")
BEFORE = {
    "budgets": [{"max_limit": 20, "reset_duration": "1d"}, {"max_limit": 300, "reset_duration": "1M"}],
    "rate_limits": [{"request_max_limit": 15, "request_reset_duration": "1h"}],
}
budget = st.fixed_dictionaries({"max_limit": st.integers(1, 400), "reset_duration": st.sampled_from(WINDOWS)})
rate = st.fixed_dictionaries(
    {"request_max_limit": st.integers(1, 40), "request_reset_duration": st.sampled_from(WINDOWS)}
)
edits = st.fixed_dictionaries(
    {
        "budgets": st.lists(budget, max_size=3, unique_by=lambda each: each["reset_duration"]),
        "rate_limits": st.lists(rate, max_size=2, unique_by=lambda each: each["request_reset_duration"]),
        "keeps_ids": st.booleans(),
        "reset_usage": st.booleans(),
        "calendar_aligned": st.booleans(),
    }
)


def state_of(database, limit_id):
    with database.read() as connection:
        return states.by_ids(connection, [limit_id])[limit_id]


def windows_of(entry, now):
    limit, counters, _ = entry
    pairs = zip(limit.rules, counters, strict=True)
    return {rule.key: current(rule, limit.alignment, counter, now) for rule, counter in pairs}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits)
def test_preview_is_what_the_edit_does(api, governance, database, clock, edit):
    stored = api.create("gpt-4o", **BEFORE)
    api.post("reservations", {"model": "gpt-4o", "cost": 3})
    api.post("usage", {"model": "gpt-4o", "cost": 7.5})
    body = {name: value for name, value in edit.items() if name != "keeps_ids"}
    if edit["keeps_ids"]:
        for name in ("budgets", "rate_limits"):
            body[name] = [{**new, "id": old["id"]} for new, old in zip(body[name], stored[name], strict=False)]
    service = governance.model_limits
    try:
        change = load(ModelLimitUpdate(), body)
        told = service.preview(stored["id"], change, lambda _: True)
    except GovernanceError as refused:
        with pytest.raises(type(refused), match=re.escape(refused.message)):
            service.change(stored["id"], load(ModelLimitUpdate(), body), lambda _: True)
    else:
        before = windows_of(state_of(database, stored["id"]), clock())
        service.change(stored["id"], change, lambda _: True)
        after = state_of(database, stored["id"])
        then = windows_of(after, clock())
        kept = [each for each in told if each.after is not None]
        # rows that are new have other ids in the preview: they are compared by metric and window
        assert sorted((each.after.metric, each.after.reset_duration, *each.becomes) for each in kept) == sorted(
            (rule.metric, rule.reset_duration, *then[rule.key]) for rule in after.limit.rules
        )
        gone = [each for each in told if each.kind == EffectKind.REMOVED]
        assert all(before[each.before.key] == each.was for each in gone)
        assert len(gone) == len(before) - sum(each.before is not None for each in kept)
    finally:
        api.delete(f"model-configs/{stored['id']}")


def test_preview_of_a_new_limit_begins_at_zero(api, governance):
    from schemas.limits.model_limits import ModelLimitCreate  # noqa: PLC0415

    draft = load(ModelLimitCreate(), {"model_name": "gpt-4o", **BEFORE})
    told = governance.model_limits.preview_new(draft)
    assert [each.kind for each in told] == [EffectKind.ADDED] * 3
    assert {(each.becomes.used, each.becomes.reserved) for each in told} == {(0, 0)}
    assert api.list()["total_count"] == 0
