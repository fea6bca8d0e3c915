"""The limits' JSON is made once and cached until the entry is replaced, its time span ends, or the cache is full."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from governance.domain.limits.limit import Counter, LimitState
from governance.domain.times import DAY, HOUR, MINUTE
from governance.snapshot.renderings import OVERHEAD, Renderings
from schemas import render
from tests.storage.stored import NOON, limit, rule

MIB = 1024 * 1024
NOW = NOON + HOUR


def entry(name: str, used: int | None = None, *, start: int = NOON, **fields: object) -> LimitState:
    """Return a limit of one budget a day. If `used` is given, the budget has a counter with this usage."""
    counter = None if used is None else Counter(start, start + DAY, used, 0)
    return LimitState(limit(name, rule(name), **fields), (counter,), None)


@pytest.fixture
def renderings() -> Renderings:
    return Renderings(MIB)


def size(one: LimitState) -> int:
    return len(render.limit(one, NOW).body) + OVERHEAD


def test_a_rendering_is_made_once_and_says_what_a_fresh_one_does(renderings):
    one = entry("a", 5)
    kept = renderings.of(one, NOW)
    assert kept == render.limit(one, NOW)
    assert renderings.of(one, NOW + MINUTE) is kept


def test_a_replaced_entry_is_rendered_anew(renderings):
    before = renderings.of(entry("a", 5), NOW)
    after = renderings.of(entry("a", 6), NOW)
    assert after != before
    assert after.body != before.body


def test_an_equal_entry_in_another_object_has_the_same_rendering(renderings):
    before = renderings.of(entry("a", 5), NOW)
    assert renderings.of(entry("a", 5), NOW) is before


def test_an_entry_that_reads_older_data_than_what_is_kept_gets_its_own(renderings):
    old, new = entry("a", 5), entry("a", 6)
    renderings.of(new, NOW)
    assert renderings.of(old, NOW) == render.limit(old, NOW)
    assert renderings.of(new, NOW) == render.limit(new, NOW)


def test_the_end_of_a_window_makes_a_new_rendering(renderings):
    one = entry("a", 5)
    kept = renderings.of(one, NOON + DAY - 1)
    later = renderings.of(one, NOON + DAY)
    assert later is not kept
    assert (b'"current_usage":0,' in later.body, b'"current_usage":0,' in kept.body) == (True, False)
    assert renderings.of(one, NOON + 2 * DAY - 1) is later
    assert renderings.of(one, NOON + 2 * DAY) is not later


def test_the_first_end_among_several_windows_counts(renderings):
    one = LimitState(limit("a", rule("day"), rule("minute", reset_duration="1m")), (None, None), None)
    kept = renderings.of(one, NOW)
    assert renderings.of(one, NOW + MINUTE - 1) is kept
    assert renderings.of(one, NOW + MINUTE) is not kept


@pytest.mark.parametrize("used", [None, 5])
def test_a_clock_that_stepped_back_gets_what_is_true_then(renderings, used):
    one = entry("a", used)
    renderings.of(one, NOON + 3 * DAY)
    for back in (NOON + 2 * DAY, NOON, NOON - DAY, NOON + 3 * DAY):
        assert renderings.of(one, back) == render.limit(one, back)


def test_a_clock_that_stepped_back_within_an_open_window_keeps_its_rendering(renderings):
    one = entry("a", 5)
    kept = renderings.of(one, NOW)
    assert renderings.of(one, NOON - 5 * DAY) is kept


def test_a_limit_without_rules_is_rendered_once_for_good(renderings):
    one = LimitState(limit("a"), (), None)
    assert renderings.of(one, NOW + 9999 * DAY) is renderings.of(one, NOW)


def test_what_is_kept_is_bounded_and_the_oldest_goes_first():
    entries = [entry(name, 5) for name in "abcd"]
    renderings = Renderings(3 * size(entries[0]))
    kept = {one.limit.id: renderings.of(one, NOW) for one in entries[:3]}
    assert all(renderings.of(one, NOW) is kept[one.limit.id] for one in entries[:3])
    renderings.of(entries[3], NOW)
    assert renderings.of(entries[1], NOW) is kept["b"]
    assert renderings.of(entries[2], NOW) is kept["c"]
    assert renderings.of(entries[0], NOW) is not kept["a"]


def test_a_limit_that_is_rendered_again_and_again_takes_no_room_from_others():
    still, moving = entry("still", 5), entry("moving", 5)
    renderings = Renderings(2 * size(moving) + size(still))
    kept = renderings.of(still, NOW)
    for used in range(200):
        renderings.of(entry("moving", used), NOW)
    assert renderings.of(still, NOW) is kept


def test_one_that_is_larger_than_all_the_room_is_answered_and_not_kept():
    one = entry("a", 5)
    renderings = Renderings(10)
    assert renderings.of(one, NOW) == render.limit(one, NOW)
    assert renderings.of(one, NOW) is not renderings.of(one, NOW)


def test_many_threads_get_what_is_true_and_leave_the_bound_as_it_is():
    entries = [entry(f"{number}", number) for number in range(30)]
    expected = {one: render.limit(one, NOW) for one in entries}
    most = 10 * size(entries[0])
    renderings = Renderings(most)

    def read(shift: int) -> bool:
        turns = [entries[(number * 7 + shift) % len(entries)] for number in range(300)]
        return all(renderings.of(one, NOW) == expected[one] for one in turns)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(8)))
    held = [len(rendering.body) + OVERHEAD for _, rendering in renderings._kept.values()]
    assert renderings._held == sum(held) <= most


@pytest.mark.parametrize("fields", [{}, {"calendar_aligned": True, "timezone": "Europe/Berlin"}])
def test_at_every_instant_it_says_what_a_fresh_rendering_says(renderings, fields):
    limited = limit("a", rule("day"), rule("hour", reset_duration="1h"), **fields)
    one = LimitState(limited, (Counter(NOON, NOON + DAY, 5, 1), Counter(NOON, NOON + HOUR, 7, 0)), "Ann")
    for quarter in [*range(-8, 120), *range(110, -20, -7)]:
        now = NOON + quarter * 15 * MINUTE
        assert renderings.of(one, now) == render.limit(one, now), quarter
