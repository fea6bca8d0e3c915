"""`calendar_aligned` on a budget or rate limit of a file is applied in every form, or refused."""

import pytest

from governance.domain.limits.alignment import CONTRARY
from tests.config.conftest import bifrost, budget, nested
from tests.config.test_owners import KEY, PER_MINUTE, faults

DAILY = {"request_max_limit": 9, "request_reset_duration": "1d"}

FORMS = [
    nested({"model_name": "a", "budgets": [budget(calendar_aligned=True)]}),
    nested({"model_name": "a", "budget": budget(calendar_aligned=True)}),
    nested({"model_name": "a", "rate_limits": [DAILY | {"calendar_aligned": True}]}),
    bifrost(model_configs=[{"id": "m", "model_name": "a", "budget_id": "b"}],
            budgets=[budget(id="b", calendar_aligned=True)]),
    bifrost(model_configs=[{"id": "m", "model_name": "a", "rate_limit_id": "r"}],
            rate_limits=[{"id": "r", "calendar_aligned": True, **DAILY}]),
    bifrost(virtual_keys=[KEY], budgets=[budget(id="b", virtual_key_id="vk-demo", calendar_aligned=True)]),
    bifrost(virtual_keys=[KEY | {"calendar_aligned": True, "budgets": [budget()]}]),
    bifrost(providers=[{"name": "openai", "budgets": [budget(calendar_aligned=True)]}]),
]  # fmt: skip


@pytest.mark.parametrize("content", FORMS)
def test_a_budget_that_follows_the_calendar_has_its_limit_follow_it(terminal, content):
    assert terminal.sync(content).code == 0
    assert [held.limit.calendar_aligned for held in terminal.stored().limits.values()] == [True]
    assert terminal.dry(content).code == 0


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (nested({"model_name": "a", "calendar_aligned": False, "budgets": [budget(calendar_aligned=True)]}),
         "model_configs[0].budgets[0].calendar_aligned"),
        (nested({"model_name": "a", "calendar_aligned": True, "budget": budget(calendar_aligned=False)}),
         "model_configs[0].budget.calendar_aligned"),
        (bifrost(model_configs=[{"id": "m", "model_name": "a", "budget_ids": ["b", "c"]}],
                 budgets=[budget(id="b", calendar_aligned=True), budget(5, "1M", id="c", calendar_aligned=False)]),
         "budgets[1].calendar_aligned"),
    ],
)  # fmt: skip
def test_two_flags_of_one_limit_that_differ_are_a_fault(terminal, content, path):
    assert faults(terminal, content) == [(path, CONTRARY)]


def test_a_window_that_no_calendar_has_is_a_fault(terminal):
    limit = {"model_name": "a", "budgets": [budget()], "rate_limits": [PER_MINUTE | {"calendar_aligned": True}]}
    ((path, sentence),) = faults(terminal, nested(limit))
    assert path == "model_configs[0].rate_limits[0].calendar_aligned"
    assert sentence.endswith("1m cannot be aligned to the calendar.")
