"""The creation of a limit."""

from itertools import count

import pytest

from governance.domain.errors import InvalidRequest
from governance.domain.limits.drafts import DraftItem, LimitDraft, RuleSpec
from governance.domain.limits.durations import parse
from governance.domain.limits.edits import created
from governance.domain.limits.limit import Metric, Scope, in_order

NOW = 1_780_000_000_000_000


def item(*ceilings):
    """Return a requested item, given as texts such as `cost 50 1d`."""
    parts = (ceiling.split() for ceiling in ceilings)
    return DraftItem(None, tuple(RuleSpec(Metric(metric), int(most), parse(text)) for metric, most, text in parts))


def made(budgets=(), rate_limits=(), *, inherited=False, calendar_aligned=False, zone="UTC"):
    """Return a limit created on these items. An item of several rules is a tuple of texts."""
    items = [
        tuple(item(*([each] if isinstance(each, str) else each)) for each in few) for few in (budgets, rate_limits)
    ]
    draft = LimitDraft("GPT-4o", "openai", Scope.USER, "u-1", calendar_aligned, zone, *items)
    return created(draft, inherited=inherited, now=NOW, new_id=(f"id-{number}" for number in count()).__next__)


def shown(limit):
    """Return the rules of a limit as the texts from which they were made."""
    return [f"{rule.metric} {rule.max_limit} {rule.reset_duration}" for rule in limit.rules]


def ids(limit):
    return [rule.id for rule in limit.rules]


def test_a_new_limit_is_the_first_version_and_its_rules_begin_with_it():
    rates = [("tokens 9 1m", "requests 5 1h")]
    limit = made(["cost 50 1d"], rates, calendar_aligned=True, zone="Asia/Tokyo")
    assert (limit.version, limit.created_at, limit.updated_at, limit.config_hash) == (1, NOW, NOW, None)
    assert {(rule.anchor, rule.created_at, rule.updated_at, rule.generation) for rule in limit.rules} == {
        (NOW, NOW, NOW, 0)
    }
    assert (limit.model_name, limit.search_name) == ("GPT-4o", "gpt-4o")
    assert (limit.provider, limit.scope, limit.scope_id, limit.timezone) == ("openai", "user", "u-1", "Asia/Tokyo")


def test_each_item_has_an_id_of_its_own_that_both_rules_of_a_rate_limit_share():
    limit = made(["cost 1 1d", "cost 2 1w"], [("tokens 9 1m", "requests 5 1h"), "tokens 9 1d"])
    by_rule = dict(zip(shown(limit), ids(limit), strict=True))
    assert by_rule["tokens 9 1m"] == by_rule["requests 5 1h"]
    assert len({limit.id, *ids(limit)}) == 5


def test_budgets_come_before_rate_limits_and_the_shortest_window_first():
    limit = made(
        ["cost 500 1M", "cost 50 24h", "cost 90 1w"],
        ["requests 1500 1d", ("requests 5 1h", "tokens 9 2d"), "tokens 9 1m"],
    )
    assert shown(limit) == [
        "cost 50 24h",
        "cost 90 1w",
        "cost 500 1M",
        "tokens 9 1m",
        "tokens 9 2d",
        "requests 5 1h",
        "requests 1500 1d",
    ]


def test_rate_limits_whose_shortest_windows_are_equal_are_ordered_by_id():
    rules = made([], [("tokens 9 1h", "requests 5 1m"), "tokens 9 1m"]).rules
    assert [rule.id for rule in in_order(reversed(rules))] == [rule.id for rule in rules] == ["id-1", "id-1", "id-2"]


@pytest.mark.parametrize(
    ("given", "inherited", "window", "aligned"),
    [
        (None, False, "1d", False),
        (None, True, "1d", True),
        (None, True, "24h", False),
        (False, True, "1d", False),
        (True, False, "1d", True),
    ],
)
def test_a_new_limit_takes_the_flag_of_its_key_where_it_gives_none_and_a_window_can_be_aligned(
    given, inherited, window, aligned
):
    assert made([f"cost 1 {window}"], calendar_aligned=given, inherited=inherited).calendar_aligned is aligned


@pytest.mark.parametrize("windows", [[], ["cost 1 24h"], ["cost 1 1.5d", "cost 1 0.5M"]])
def test_a_limit_in_which_no_window_can_be_aligned_is_not_made_aligned(windows):
    with pytest.raises(InvalidRequest, match="whole number of d, w, M or Y") as caught:
        made(windows, calendar_aligned=True)
    assert caught.value.param == "calendar_aligned"


def test_one_window_that_can_be_aligned_is_enough():
    assert made(["cost 1 24h"], ["tokens 1 1d"], calendar_aligned=True).calendar_aligned
