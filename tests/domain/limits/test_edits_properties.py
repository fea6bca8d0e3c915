"""Properties of every edit of every limit."""

import random
from itertools import count

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from governance.domain.errors import InvalidRequest
from governance.domain.limits.drafts import DraftItem, LimitChange, LimitDraft, RuleSpec
from governance.domain.limits.durations import parse
from governance.domain.limits.edits import changed, created
from governance.domain.limits.item_matching import predecessors
from governance.domain.limits.limit import Metric, Scope, in_order

NOW, LATER = 1_780_000_000_000_000, 1_790_000_000_000_000
TEXTS = [["30s"], ["1m", "60s"], ["1h"], ["1d", "24h"], ["1.5d"], ["1w", "7d"], ["1M", "30d"], ["1Y", "365d"], ["12M"]]
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Tokyo"])

often = settings(deadline=None, max_examples=70)
maxima = st.integers(1, 3)


@st.composite
def ceilings(draw, metric):
    """Return maxima of one metric. Their windows have different lengths."""
    spelled = draw(st.lists(st.sampled_from(TEXTS), unique_by=str, max_size=4))
    return [RuleSpec(metric, draw(maxima), parse(draw(st.sampled_from(texts)))) for texts in spelled]


@st.composite
def budgets(draw):
    return tuple(DraftItem(None, (ceiling,)) for ceiling in draw(ceilings(Metric.COST)))


@st.composite
def rate_limits(draw):
    """Return rate limits of one or two metrics. Some have a maximum of tokens and a maximum of requests."""
    tokens, requests = draw(ceilings(Metric.TOKENS)), draw(ceilings(Metric.REQUESTS))
    joined = draw(st.integers(0, min(len(tokens), len(requests))))
    both = list(zip(tokens[:joined], requests[:joined], strict=True))
    alone = [(ceiling,) for ceiling in tokens[joined:] + requests[joined:]]
    return tuple(DraftItem(None, item) for item in draw(st.permutations(both + alone)))


@st.composite
def regrouped(draw, limit):
    """Return rate limits with the windows of a limit, in other combinations."""
    kept = [
        RuleSpec(Metric(rule.metric), rule.max_limit, rule.duration)
        for rule in limit.rules
        if rule.metric != Metric.COST and draw(st.integers(0, 4))
    ]
    tokens = [(ceiling,) for ceiling in kept if ceiling.metric == Metric.TOKENS]
    requests = draw(st.permutations([(ceiling,) for ceiling in kept if ceiling.metric == Metric.REQUESTS]))
    joined = draw(st.integers(0, min(len(tokens), len(requests))))
    both = [one + other for one, other in zip(tokens[:joined], requests[:joined], strict=True)]
    return tuple(DraftItem(None, item) for item in draw(st.permutations(both + tokens[joined:] + requests[joined:])))


@st.composite
def limits(draw):
    items = draw(budgets()), draw(rate_limits())
    alignable = any(ceiling.duration.alignable for few in items for item in few for ceiling in item.ceilings)
    aligned = draw(st.booleans()) and alignable
    draft = LimitDraft("gpt-4o", None, Scope.GLOBAL, None, aligned, draw(ZONES) if aligned else "UTC", *items)
    return created(draft, inherited=False, now=NOW, new_id=minting("old"))


@st.composite
def changes(draw, limit):
    """Return an edit of a limit. Some items have the id of a stored item of their kind."""

    def named(items, kinds):
        stored = sorted({rule.id for rule in limit.rules if rule.metric in kinds})
        ids = draw(st.permutations(stored + [None] * len(items)) | st.just([None] * len(items)))
        return tuple(item._replace(id=item_id) for item, item_id in zip(items, ids, strict=False))

    flag = draw(st.none() | st.booleans())
    aligned = limit.calendar_aligned if flag is None else flag
    zone = draw(st.none() | (ZONES if aligned else st.sampled_from(["UTC", limit.timezone])))
    few = draw(st.none() | budgets().map(lambda items: named(items, {Metric.COST})))
    wanted = rate_limits() | regrouped(limit)
    rates = draw(st.none() | wanted.map(lambda items: named(items, {Metric.TOKENS, Metric.REQUESTS})))
    return LimitChange({}, flag, zone, few, rates, frozenset(), reset=frozenset())


edits = limits().flatmap(lambda limit: st.tuples(st.just(limit), changes(limit)))


def minting(prefix):
    return (f"{prefix}-{number}" for number in count()).__next__


def applied(limit, change, now=LATER):
    """Return the limit after the edit. A refused edit is not part of the test."""
    try:
        return changed(limit, change, now=now, new_id=minting("new"))
    except InvalidRequest:
        assume(False)


def by_key(limit):
    return {rule.key: rule for rule in limit.rules}


def contents(rules):
    """Return the items of rules: each id with its maxima."""
    found = {}
    for rule in rules:
        found.setdefault(rule.id, set()).add((rule.metric, rule.max_limit, parse(rule.reset_duration)))
    return found


def windows(ceilings_):
    return {(metric, duration.length) for metric, _, duration in ceilings_}


def place(limit, rule):
    """Return the values that decide the windows of a rule, as docs/contract.md §5 says."""
    duration = parse(rule.reset_duration)
    if limit.calendar_aligned and duration.unit:
        return duration.unit, duration.multiple, limit.timezone
    return duration.length, rule.anchor


def halves(limit):
    """Return the items of a limit by kind. Each item is an id with its maxima."""
    return [
        contents(rule for rule in limit.rules if (rule.metric == Metric.COST) == is_budget)
        for is_budget in (True, False)
    ]


@given(edits)
@often
def test_a_list_is_the_complete_wanted_set(edit):
    limit, change = edit
    for items, before, found in zip(
        (change.budgets, change.rate_limits), halves(limit), halves(applied(*edit)), strict=True
    ):
        if items is None:
            assert found == before
            continue
        assert sorted(map(sorted, found.values())) == sorted(sorted(item.ceilings) for item in items)
        named = {item.id: set(item.ceilings) for item in items if item.id}
        assert {key: held for key, held in found.items() if key in named} == named
        for key, held in found.items():
            if key in before and key not in named:
                assert windows(held) & windows(before[key])


@given(edits)
@often
def test_an_item_without_id_is_new_only_where_no_other_has_all_its_windows(edit):
    limit, change = edit
    for items, before, found in zip(
        (change.budgets, change.rate_limits), halves(limit), halves(applied(*edit)), strict=True
    ):
        named = {item.id for item in items or ()}
        free = {frozenset(windows(held)): key for key, held in before.items() if key not in named}
        for key, held in found.items():
            if key not in named and frozenset(windows(held)) in free:
                assert key == free[frozenset(windows(held))]


@given(edits)
@often
def test_a_rule_goes_on_with_its_own_counters_else_with_those_of_its_window(edit):
    limit, after = edit[0], applied(*edit)
    before, kept = by_key(limit), by_key(after)
    left = {(rule.metric, rule.duration.length): rule for rule in limit.rules if rule.key not in kept}
    for key, rule in kept.items():
        known = before.get(key) or left.get((rule.metric, rule.duration.length))
        assert rule.anchor == (LATER if known is None else known.anchor)
        assert key not in before or rule.created_at == before[key].created_at
        assert known is not None or rule.generation == 0


@given(edits)
@often
def test_a_window_that_is_stored_and_wanted_keeps_its_counters(edit):
    """There is one exception: if the id names the rule and the rule gets another window, the counter follows the id."""
    limit, change = edit
    rates = {} if change.rate_limits is None else {item.id: item for item in change.rate_limits}
    items = rates | ({} if change.budgets is None else {item.id: item for item in change.budgets})
    after = applied(*edit)
    before = predecessors(limit.rules, after.rules)
    known = {(rule.metric, rule.duration.length): rule for rule in limit.rules}
    by_id = {(key, ceiling.metric) for key, item in items.items() if key for ceiling in item.ceilings}
    for rule in after.rules:
        own = known.get((rule.metric, rule.duration.length))
        if own is not None and own.key not in by_id and not (rule.key in by_id and rule.key in by_key(limit)):
            assert before[rule.key] == own
    used = [rule.key for rule in before.values()]
    assert len(set(used)) == len(used)


@given(edits)
@often
def test_a_generation_rises_by_one_exactly_where_duration_alignment_or_zone_move_the_windows(edit):
    limit, after = edit[0], applied(*edit)
    before = predecessors(limit.rules, after.rules)
    for rule in after.rules:
        known = before.get(rule.key)
        if known is not None:
            assert rule.generation - known.generation == (place(after, rule) != place(limit, known))


@given(edits)
@often
def test_the_version_rises_by_one_exactly_where_something_changes(edit):
    limit, after = edit[0], applied(*edit)
    same = after._replace(version=limit.version, updated_at=limit.updated_at) == limit
    assert (after is limit) == same
    assert (after.version, after.updated_at) == ((1, NOW) if same else (2, LATER))
    assert (after.id, after.created_at) == (limit.id, limit.created_at)


@given(edits)
@often
def test_the_same_edit_again_changes_nothing(edit):
    after = applied(*edit)
    assert applied(after, edit[1], LATER + 1) is after


@given(limits(), st.randoms(use_true_random=False))
@often
def test_sending_back_what_was_shown_in_any_order_changes_nothing(limit, chance):
    shown = {}
    for key, held in contents(limit.rules).items():
        kind = "budgets" if any(metric == Metric.COST for metric, *_ in held) else "rate_limits"
        shown.setdefault(kind, []).append(DraftItem(key, tuple(RuleSpec(*ceiling) for ceiling in held)))
    for items in shown.values():
        chance.shuffle(items)
    lists = [tuple(shown.get(kind, ())) for kind in ("budgets", "rate_limits")]
    assert applied(limit, LimitChange({}, limit.calendar_aligned, limit.timezone, *lists, frozenset(), False)) is limit


@given(limits())
@often
def test_an_edit_of_maxima_alone_moves_no_window(limit):
    raised = tuple(
        DraftItem(rule.id, (RuleSpec(Metric.COST, rule.max_limit + 1, rule.duration),))
        for rule in limit.rules
        if rule.metric == Metric.COST
    )
    after = applied(limit, LimitChange({}, None, None, raised, None, frozenset(), reset=frozenset()))
    told = [rule._replace(max_limit=0, updated_at=0) for rule in after.rules]
    assert told == [rule._replace(max_limit=0, updated_at=0) for rule in limit.rules]


@given(edits)
@often
def test_an_edit_is_refused_for_the_calendar_exactly_where_no_window_of_an_aligned_limit_could_be_aligned(edit):
    limit, change = edit
    rolling = applied(limit._replace(calendar_aligned=False), change._replace(calendar_aligned=False))
    wanted = limit.calendar_aligned if change.calendar_aligned is None else change.calendar_aligned
    alignable = any(parse(rule.reset_duration).unit for rule in rolling.rules)
    emptied = limit.calendar_aligned and not rolling.rules
    if wanted and not alignable and not emptied:
        with pytest.raises(InvalidRequest, match="calendar_aligned"):
            changed(limit, change, now=LATER, new_id=minting("new"))
    else:
        assert changed(limit, change, now=LATER, new_id=minting("new")).calendar_aligned == wanted


@given(edits)
@often
def test_budgets_come_first_and_the_shortest_window_first_among_each_kind(edit):
    rules = applied(*edit).rules
    items = {key: [rule for rule in rules if rule.id == key] for key in dict.fromkeys(rule.id for rule in rules)}
    assert [rule for item in items.values() for rule in item] == list(rules)
    places = [(item[0].metric != Metric.COST, min(rule.duration.length for rule in item)) for item in items.values()]
    assert places == sorted(places)
    assert all(
        [rule.metric for rule in item] in (["cost"], ["tokens"], ["requests"], ["tokens", "requests"])
        for item in items.values()
    )


@given(limits(), st.integers())
@often
def test_the_order_of_rules_does_not_depend_on_how_they_came(limit, seed):
    rules = list(limit.rules)
    random.Random(seed).shuffle(rules)
    assert in_order(rules) == limit.rules
