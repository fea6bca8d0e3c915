"""Examples of edits of a limit. `test_edits_properties` has the properties of every edit."""

from itertools import count

import pytest

from governance.domain.errors import InvalidRequest
from governance.domain.limits.drafts import DraftItem, LimitChange, LimitDraft, RuleSpec
from governance.domain.limits.durations import parse
from governance.domain.limits.edits import changed, created
from governance.domain.limits.limit import Metric, Scope

NOW, LATER = 1_780_000_000_000_000, 1_790_000_000_000_000
NO_CHANGE = LimitChange({}, None, None, None, None, frozenset(), reset=frozenset())


def item(*ceilings, item_id=None):
    """Return a requested item, given as texts such as `cost 50 1d`."""
    parts = (ceiling.split() for ceiling in ceilings)
    return DraftItem(item_id, tuple(RuleSpec(Metric(metric), int(most), parse(text)) for metric, most, text in parts))


def minting(prefix):
    return (f"{prefix}-{number}" for number in count()).__next__


def made(budgets=(), rate_limits=(), **fields):
    """Return a limit created at NOW on these items. Each item is a text, or a tuple of texts."""
    items = [
        tuple(item(*([each] if isinstance(each, str) else each)) for each in few) for few in (budgets, rate_limits)
    ]
    draft = LimitDraft("GPT-4o", "openai", Scope.USER, "u-1", None, "UTC", *items)._replace(**fields)
    return created(draft, inherited=False, now=NOW, new_id=minting("old"))


def edited(limit, **fields):
    """Return the limit after an edit at LATER."""
    return changed(limit, NO_CHANGE._replace(**fields), now=LATER, new_id=minting("new"))


def refused(limit, **fields):
    with pytest.raises(InvalidRequest) as caught:
        edited(limit, **fields)
    return caught.value


def shown(limit):
    """Return the rules of a limit as the texts from which they were made."""
    return [f"{rule.metric} {rule.max_limit} {rule.reset_duration}" for rule in limit.rules]


def ids(limit):
    return [rule.id for rule in limit.rules]


@pytest.mark.parametrize("windows", [[], ["cost 1 24h"], ["cost 1 1.5d", "cost 1 0.5M"]])
def test_a_limit_in_which_no_window_can_be_aligned_does_not_become_aligned(windows):
    assert refused(made(windows), calendar_aligned=True).param == "calendar_aligned"


def test_one_window_that_can_be_aligned_is_enough_to_become_aligned():
    assert edited(made(["cost 1 24h", "cost 1 1w"]), calendar_aligned=True).calendar_aligned


def test_an_aligned_limit_does_not_lose_its_last_window_that_can_be_aligned_to_another():
    limit = made(["cost 1 1d"], calendar_aligned=True)
    assert refused(limit, budgets=(item("cost 1 24h"),)).param == "calendar_aligned"
    assert shown(edited(limit, calendar_aligned=False, budgets=(item("cost 1 24h"),))) == ["cost 1 24h"]


def test_an_aligned_limit_can_lose_all_its_rules_and_stays_aligned():
    after = edited(made(["cost 1 1d"], calendar_aligned=True), budgets=())
    assert (after.rules, after.calendar_aligned) == ((), True)


def test_an_item_is_matched_by_its_id_also_where_its_window_changes():
    limit = made(["cost 1 1d", "cost 2 1w"])
    day, week = ids(limit)
    after = edited(limit, budgets=(item("cost 1 1M", item_id=day), item("cost 2 1w", item_id=week)))
    assert dict(zip(ids(after), shown(after), strict=True)) == {day: "cost 1 1M", week: "cost 2 1w"}


def test_items_that_swap_their_windows_by_id_keep_their_ids():
    limit = made(["cost 1 1d", "cost 2 1w"])
    day, week = ids(limit)
    after = edited(limit, budgets=(item("cost 1 1w", item_id=day), item("cost 2 1d", item_id=week)))
    assert (ids(after), shown(after)) == ([week, day], ["cost 2 1d", "cost 1 1w"])


@pytest.mark.parametrize(
    ("stored", "wanted"), [("1d", "24h"), ("1M", "30d"), ("1Y", "365d"), ("1w", "7d"), ("1h30m", "1.5h")]
)
def test_an_item_without_an_id_is_matched_by_windows_of_the_same_length(stored, wanted):
    limit = made([f"cost 1 {stored}", "cost 7 1m"])
    after = edited(limit, budgets=(item(f"cost 5 {wanted}"),))
    assert (ids(after), shown(after)) == ([limit.rules[1].id], [f"cost 5 {wanted}"])


def test_a_rate_limit_without_an_id_is_matched_by_any_equal_window():
    limit = made([], [("tokens 9 1m", "requests 5 1h")])
    assert ids(edited(limit, rate_limits=(item("requests 6 60m", "tokens 8 60s"),))) == [limit.rules[0].id] * 2
    assert ids(edited(limit, rate_limits=(item("tokens 9 1m"),))) == [limit.rules[0].id]
    assert ids(edited(limit, rate_limits=(item("tokens 9 1m", "requests 5 1d"),))) == [limit.rules[0].id] * 2
    assert ids(edited(limit, rate_limits=(item("tokens 9 1h", "requests 5 1m"),))) == ["new-0"] * 2


def test_a_rate_limit_with_most_equal_windows_is_preferred_to_the_order():
    limit = made([], [("tokens 9 1m", "requests 5 1h"), ("tokens 9 1h",)])
    first, second = limit.rules[0].id, limit.rules[2].id
    wanted = item("requests 5 1h"), item("tokens 1 1h", "requests 1 1m"), item("tokens 9 1m")
    after = edited(limit, rate_limits=wanted)
    assert {rule.id for rule in after.rules} == {first, second, "new-0"}
    assert ids(edited(limit, rate_limits=(item("tokens 1 1h"), item("tokens 1 1m", "requests 1 1h")))) == [
        first,
        first,
        second,
    ]


def test_two_rate_limits_joined_become_the_first_with_the_windows_of_both():
    limit = made([], ["tokens 9 1m", "requests 5 1h"])
    moved = limit._replace(rules=tuple(rule._replace(anchor=n, generation=n) for n, rule in enumerate(limit.rules, 3)))
    after = edited(moved, rate_limits=(item("requests 5 1h", "tokens 9 1m"),))
    assert ids(after) == [limit.rules[0].id] * 2
    assert [(rule.anchor, rule.generation, rule.created_at) for rule in after.rules] == [(3, 3, NOW), (4, 4, NOW)]


def test_a_rate_limit_split_leaves_each_half_its_windows():
    limit = made([], [("tokens 9 1m", "requests 5 1h")])
    after = edited(limit, rate_limits=(item("requests 5 1h"), item("tokens 9 1m")))
    assert [(rule.metric, rule.id, rule.anchor) for rule in after.rules] == [
        ("tokens", "new-0", NOW),
        ("requests", limit.rules[0].id, NOW),
    ]


def test_rate_limits_that_swap_their_sides_are_new_with_the_windows_of_before():
    limit = made([], [("tokens 9 1m", "requests 5 1h"), ("tokens 9 1h", "requests 5 1m")])
    wanted = item("tokens 9 1m", "requests 5 1m"), item("tokens 9 1h", "requests 5 1h")
    after = edited(limit, rate_limits=wanted)
    assert ids(after) == ["new-0", "new-0", "new-1", "new-1"]
    assert {rule.anchor for rule in after.rules} == {NOW}


def test_a_side_that_moves_to_a_rate_limit_named_by_its_id_brings_its_window_along():
    limit = made([], [("tokens 9 1m", "requests 5 1h"), ("tokens 9 1d",)])
    moved = limit._replace(rules=tuple(rule._replace(generation=2) for rule in limit.rules))
    first, second = limit.rules[0].id, limit.rules[2].id
    wanted = item("tokens 9 1m", item_id=first), item("tokens 9 1d", "requests 5 1h", item_id=second)
    after = edited(moved, rate_limits=wanted)
    assert [(rule.key, rule.generation) for rule in after.rules] == [
        ((first, "tokens"), 2),
        ((second, "tokens"), 2),
        ((second, "requests"), 2),
    ]


def test_a_singular_is_matched_with_the_only_stored_one_whatever_its_window():
    single = {"budgets": (item("cost 5 1w"),), "single": frozenset({"budgets"})}
    limit = made(["cost 1 1d"])
    after = edited(limit, **single)
    assert (ids(after), after.rules[0].generation, after.rules[0].anchor) == (ids(limit), 1, NOW)
    assert ids(edited(limit, budgets=single["budgets"])) == ["new-0"]


def test_a_window_whose_item_was_named_by_its_id_matches_nothing_else():
    limit = made(["cost 1 1d"])
    after = edited(limit, budgets=(item("cost 1 1d"), item("cost 1 1w", item_id=limit.rules[0].id)))
    assert ids(after) == ["new-0", limit.rules[0].id]


def test_what_is_not_in_the_list_is_removed_and_an_empty_list_removes_all():
    limit = made(["cost 1 1d", "cost 2 1w"], ["tokens 9 1m"])
    assert shown(edited(limit, budgets=(item("cost 2 1w"),))) == ["cost 2 1w", "tokens 9 1m"]
    assert shown(edited(limit, budgets=())) == ["tokens 9 1m"]
    assert shown(edited(limit, rate_limits=())) == ["cost 1 1d", "cost 2 1w"]
    assert shown(edited(limit, budgets=(), rate_limits=())) == []


def test_a_rate_limit_can_lose_one_metric_and_gain_another_by_its_id():
    limit = made([], [("tokens 9 1m", "requests 5 1h")])
    one = edited(limit, rate_limits=(item("requests 5 1h", item_id=limit.rules[0].id),))
    assert one.rules == (limit.rules[1]._replace(updated_at=LATER),)
    pair = item("tokens 9 1d", "requests 5 1h", item_id=one.rules[0].id)
    both = changed(one, NO_CHANGE._replace(rate_limits=(pair,)), now=LATER + 5, new_id=minting("x"))
    assert [(rule.metric, rule.anchor) for rule in both.rules] == [("tokens", LATER + 5), ("requests", NOW)]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"budgets": (item("cost 1 1d", item_id="none"),)}, "budgets[0].id"),
        ({"budgets": (item("cost 1 1d"), item("cost 1 1h", item_id="none"))}, "budgets[1].id"),
        ({"budgets": (item("cost 1 1d", item_id="none"),), "single": frozenset({"budgets"})}, "budget.id"),
        (
            {"rate_limits": (item("tokens 1 1d", item_id="none"),), "single": frozenset({"rate_limits"})},
            "rate_limit.id",
        ),
        ({"rate_limits": (item("tokens 1 1d", item_id="old-1"),)}, "rate_limits[0].id"),
        ({"budgets": (item("cost 1 1d", item_id="old-2"),)}, "budgets[0].id"),
    ],
)
def test_an_id_of_no_stored_item_of_that_kind_is_refused(fields, param):
    limit = made(["cost 1 1d"], ["tokens 9 1m"])
    assert [limit.rules[0].id, limit.rules[1].id] == ["old-1", "old-2"]
    assert refused(limit, **fields).param == param


def test_an_id_given_twice_is_refused():
    limit = made(["cost 1 1d"])
    twice = tuple(item(f"cost 1 {window}", item_id="old-1") for window in ("1d", "1w"))
    assert refused(limit, budgets=twice).param == "budgets[1].id"


def test_a_singular_stands_for_a_list_of_one_and_not_for_a_longer_one():
    single = {"budgets": (item("cost 5 1w"),), "single": frozenset({"budgets"})}
    assert shown(edited(made(), **single)) == shown(edited(made(["cost 1 1d"]), **single)) == ["cost 5 1w"]
    assert refused(made(["cost 1 1d", "cost 1 1w"]), **single).param == "budget"
    assert shown(edited(made([], ["tokens 1 1m", "tokens 1 1d"]), **single))[0] == "cost 5 1w"


def test_one_rate_limit_of_two_metrics_is_one_and_not_two():
    limit = made([], [("tokens 9 1m", "requests 5 1h")])
    assert edited(limit, rate_limits=(), single=frozenset({"rate_limits"})).rules == ()
    two = made([], ["tokens 9 1m", "requests 5 1h"])
    assert refused(two, rate_limits=(), single=frozenset({"rate_limits"})).param == "rate_limit"


@pytest.mark.parametrize(
    "identity",
    [
        {"model_name": "gpt-4o"},
        {"model_name": " OpenAI/GPT-4O "},
        {"provider": "OPENAI "},
        {"model_name": "openai/gpt-4o", "provider": "openai", "scope": "user", "scope_id": "u-1"},
    ],
)
def test_an_identity_that_is_canonically_the_same_is_accepted_and_changes_nothing(identity):
    limit = made(["cost 1 1d"])
    assert edited(limit, identity=identity) is limit
    assert edited(limit, identity=identity, calendar_aligned=True).model_name == "GPT-4o"


@pytest.mark.parametrize(
    ("name", "value"),
    [("model_name", "gpt-4"), ("model_name", "*"), ("provider", "azure"), ("scope", "global"), ("scope_id", "U-1")],
)
def test_another_identity_is_refused(name, value):
    assert refused(made(["cost 1 1d"]), identity={name: value}).param == name


def test_a_scope_id_means_nothing_to_a_global_limit():
    limit = made(scope=Scope.GLOBAL, scope_id=None)
    assert edited(limit, identity={"scope": "global", "scope_id": "any"}) is limit


def test_all_faults_of_an_edit_are_reported_at_once():
    error = refused(
        made(["cost 1 1d"]),
        identity={"model_name": "x", "provider": "y"},
        budgets=(item("cost 1 1d", item_id="none"),),
        rate_limits=(item("tokens 1 1d", item_id="none"),),
    )
    params = [fault["param"] for fault in error.extra["errors"]]
    assert params == ["model_name", "provider", "budgets[0].id", "rate_limits[0].id"]


def test_an_edit_of_a_maximum_moves_nothing():
    limit = made(["cost 1 1d"], [("tokens 9 1m", "requests 5 1h")])
    after = edited(limit, budgets=(item("cost 2 1d"),))
    assert after.rules[0] == limit.rules[0]._replace(max_limit=2, updated_at=LATER)
    assert after.rules[1:] == limit.rules[1:]
    assert (after.version, after.updated_at, after.created_at) == (2, LATER, NOW)


def test_an_edit_that_changes_nothing_gives_the_very_same_value():
    limit = made(["cost 1 1d"], [("tokens 9 1m", "requests 5 1h")], calendar_aligned=True)
    same = {"budgets": (item("cost 1 1d"),), "rate_limits": (item("requests 5 1h", "tokens 9 1m", item_id="old-2"),)}
    assert edited(limit) is limit
    assert edited(limit, calendar_aligned=True, timezone="UTC", **same) is limit
    assert edited(limit, reset=frozenset(Metric)) is limit


@pytest.mark.parametrize(
    ("stored", "aligned", "wanted", "fields", "rises"),
    [
        ("1d", False, "1w", {}, True),
        ("1d", False, "24h", {}, False),
        ("1M", False, "30d", {}, False),
        ("1M", True, "30d", {}, True),
        ("1w", True, "7d", {}, True),
        ("1d", True, "1.0d", {}, False),
        ("1d", False, "1d", {"calendar_aligned": True}, True),
        ("1d", True, "1d", {"calendar_aligned": False}, True),
        ("1d", True, "1d", {"timezone": "Asia/Tokyo"}, True),
        ("1d", False, "1d", {"timezone": "Asia/Tokyo", "calendar_aligned": True}, True),
    ],
)
def test_a_generation_begins_exactly_where_the_windows_come_to_lie_elsewhere(stored, aligned, wanted, fields, rises):
    limit = made([f"cost 1 {stored}"], calendar_aligned=aligned)
    after = edited(limit, budgets=(item(f"cost 1 {wanted}", item_id="old-1"),), **fields)
    assert (after.rules[0].id, after.rules[0].generation, after.rules[0].anchor) == ("old-1", int(rises), NOW)


def test_a_window_that_rolls_in_an_aligned_limit_is_not_moved_by_a_zone():
    after = edited(made(["cost 1 24h", "cost 1 1w"], calendar_aligned=True), timezone="Asia/Tokyo")
    assert [rule.generation for rule in after.rules] == [0, 1]
