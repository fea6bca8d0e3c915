"""The cache of the snapshot: which thread loads, which threads wait, and the answer when a load fails."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from governance.domain.errors import Code, Unavailable
from governance.snapshot.cache import LoadedSnapshot, SnapshotCache
from tests.snapshot.states import FakeLoader, FakeTimer, until

LIFETIME = 15
MANY = 16


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


@pytest.fixture
def timer() -> FakeTimer:
    return FakeTimer()


@pytest.fixture
def cache(loader: FakeLoader, timer: FakeTimer) -> SnapshotCache:
    return SnapshotCache(loader, LIFETIME, timer)


@pytest.fixture
def run(loader: FakeLoader):
    """Yield a function that runs an act in a thread of its own. At the end, all waiting loads may end."""
    with ThreadPoolExecutor(2 * MANY) as threads:
        yield threads.submit
        loader.may_end.set()


def number(known: LoadedSnapshot) -> int:
    """Return the number of the load that made a snapshot."""
    return known.snapshot.mark.revision


def wait_for(cache: SnapshotCache, waiting: int) -> None:
    """Wait until this many threads wait for the refresh of another thread."""
    until(lambda: len(cache._turn._waiters) == waiting)


def unavailable(act: Callable[[], object]) -> Unavailable:
    with pytest.raises(Unavailable) as told:
        act()
    assert told.value.code == Code.MEMORY_UNAVAILABLE
    return told.value


def test_nothing_is_loaded_before_somebody_asks(cache, loader):
    assert cache.peek() is None
    assert loader.calls == []


def test_the_first_load_is_of_everything_and_the_next_of_what_came_since(cache, loader):
    first = cache.refresh()
    cache.refresh()
    assert loader.calls == [None, first.snapshot.mark]


def test_what_is_held_is_read_without_a_load_until_it_expires(cache, loader, timer):
    held = cache.refresh()
    timer.now += LIFETIME - 1
    assert cache.get() is held
    assert len(loader.calls) == 1
    timer.now += 1
    assert cache.peek() is None
    assert number(cache.get()) == 2


def test_a_refresh_begins_the_lifetime_anew(cache, loader, timer):
    cache.refresh()
    timer.now += LIFETIME - 1
    cache.refresh()
    timer.now += LIFETIME - 1
    assert number(cache.get()) == 2


def test_the_age_counts_from_the_beginning_of_the_load(cache, loader, timer):
    def take_a_while() -> None:
        timer.now += 3

    loader.meanwhile = take_a_while
    known = cache.refresh()
    assert cache.age(known) == 3
    timer.now += 2
    assert cache.age(known) == 5


def test_a_timer_that_stepped_back_makes_no_negative_age(cache, timer):
    known = cache.refresh()
    timer.now -= 5
    assert cache.age(known) == 0


def test_an_expired_snapshot_is_repopulated_once_however_many_wait(cache, loader, timer, run):
    cache.refresh()
    timer.now += LIFETIME
    loader.hold()
    readers = [run(cache.get) for _ in range(MANY)]
    wait_for(cache, MANY - 1)
    loader.may_end.set()
    assert {number(reader.result()) for reader in readers} == {2}
    assert len(loader.calls) == 2


def test_a_first_load_is_shared_by_all_who_wait_for_it(cache, loader, run):
    loader.hold()
    readers = [run(cache.get) for _ in range(MANY)]
    wait_for(cache, MANY - 1)
    loader.may_end.set()
    assert len({id(reader.result()) for reader in readers}) == 1
    assert len(loader.calls) == 1


def test_readers_of_an_expired_snapshot_take_what_a_refresh_under_way_brings(cache, loader, timer, run):
    cache.refresh()
    timer.now += LIFETIME
    loader.hold()
    refresh = run(cache.refresh)
    until(lambda: len(loader.calls) == 2)
    readers = [run(cache.get) for _ in range(3)]
    wait_for(cache, 3)
    loader.may_end.set()
    assert {number(each.result()) for each in (refresh, *readers)} == {2}
    assert len(loader.calls) == 2


def test_readers_do_not_wait_for_a_refresh_while_what_is_held_is_good(cache, loader, run):
    held = cache.refresh()
    loader.hold()
    refresh = run(cache.refresh)
    until(lambda: len(loader.calls) == 2)
    assert cache.get() is held
    assert not refresh.done()


def second(
    cache: SnapshotCache, loader: FakeLoader, run: Callable[..., Future[LoadedSnapshot]], many: int
) -> list[Future]:
    """Return refreshes that were requested during another refresh. They wait, and the other refresh waits too."""
    loader.hold()
    run(cache.refresh)
    until(lambda: len(loader.calls) == 1)
    late = [run(cache.refresh) for _ in range(many)]
    wait_for(cache, many)
    return late


def test_a_refresh_waits_for_one_that_began_after_the_call_and_all_who_wait_share_it(cache, loader, run):
    late = second(cache, loader, run, MANY)
    assert len(loader.calls) == 1
    loader.may_end.set()
    assert {number(each.result()) for each in late} == {2}
    assert len(loader.calls) == 2


def test_refreshes_after_each_other_each_load(cache, loader):
    assert [number(cache.refresh()) for _ in range(3)] == [1, 2, 3]


def test_all_who_wait_for_a_refresh_share_its_failure(cache, loader, run):
    late = second(cache, loader, run, 3)
    loader.error = OSError("gone")
    loader.may_end.set()
    assert [each.exception() for each in late] == [loader.error] * 3
    assert len(loader.calls) == 2


def test_a_failing_refresh_keeps_the_last_good_until_it_expires_and_is_counted(cache, loader, timer):
    held = cache.refresh()
    loader.error = OSError("gone")
    for failures in (1, 2):
        with pytest.raises(OSError, match="gone"):
            cache.refresh()
        assert cache.failures == failures
    assert cache.last_error is loader.error
    timer.now += LIFETIME - 1
    assert cache.get() is held
    timer.now += 1
    assert unavailable(cache.get).__cause__ is loader.error
    assert cache.peek() is None


def test_all_who_wait_for_a_reload_that_fails_are_told_and_it_is_tried_once(cache, loader, run):
    loader.error = OSError("gone")
    loader.hold()
    readers = [run(cache.get) for _ in range(MANY)]
    wait_for(cache, MANY - 1)
    loader.may_end.set()
    assert {type(reader.exception()) for reader in readers} == {Unavailable}
    assert (len(loader.calls), cache.failures) == (1, 1)


def test_a_loader_that_recovers_is_asked_for_what_came_since_the_last_good(cache, loader, timer):
    held = cache.refresh()
    loader.error = OSError("gone")
    timer.now += LIFETIME
    unavailable(cache.get)
    loader.error = None
    assert number(cache.get()) == 3
    assert loader.calls == [None, held.snapshot.mark, held.snapshot.mark]
    assert cache.last_error is None
    assert cache.failures == 1


def test_a_failure_that_was_foreseen_is_logged_in_one_line_and_another_with_its_traceback(cache, loader, log):
    for loader.error in (Unavailable("the disk is full"), ZeroDivisionError("a mistake")):
        with pytest.raises(type(loader.error)):
            cache.refresh()
    assert [(each.levelname, bool(each.exc_info)) for each in log.kept] == [("WARNING", False), ("WARNING", True)]
    assert "the disk is full" in log.kept[0].getMessage()


def test_who_is_refused_is_told_to_ask_the_database(cache, loader):
    loader.error = OSError("gone")
    told = unavailable(cache.get)
    assert "without from_memory" in told.message
    assert told.retry_after
    assert "gone" not in told.message
