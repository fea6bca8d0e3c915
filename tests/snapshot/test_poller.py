"""The thread that refreshes a worker's snapshot."""

from collections.abc import Callable, Iterator
from threading import Semaphore, current_thread, enumerate, main_thread  # noqa: A004

import pytest

from governance.snapshot.poller import Poller
from tests.snapshot.states import DEADLINE

OFTEN = 0.001
SELDOM = 3600.0


class Task:
    """Counts its runs, signals each run, and fails when the test says so."""

    def __init__(self) -> None:
        self.threads: list[object] = []
        self.ran = Semaphore(0)
        self.error: Exception | None = None

    def __call__(self) -> None:
        self.threads.append(current_thread())
        self.ran.release()
        if self.error is not None:
            raise self.error

    def wait(self, runs: int = 1) -> None:
        for _ in range(runs):
            assert self.ran.acquire(timeout=DEADLINE)


@pytest.fixture
def poller() -> Iterator[Callable[..., Poller]]:
    made = []

    def make(*tasks: Callable[[], object], interval: float = SELDOM) -> Poller:
        made.append(Poller(tasks, interval))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def threads() -> set[object]:
    return {thread for thread in enumerate() if thread.name == "poller"}


def test_nothing_runs_before_it_is_started(poller):
    task = Task()
    before = threads()
    poller(task).stop()
    assert task.threads == []
    assert threads() <= before


def test_it_polls_at_once_in_a_thread_of_its_own(poller):
    task = Task()
    poller(task).start()
    task.wait()
    assert task.threads[0] is not main_thread()


def test_it_is_started_once_however_often_it_is_told_to(poller):
    task, before = Task(), threads()
    polling = poller(task)
    for _ in range(5):
        polling.start()
    task.wait()
    assert len(threads() - before) == 1
    assert len(task.threads) == 1


def test_it_polls_again_and_again(poller):
    task = Task()
    poller(task, interval=OFTEN).start()
    task.wait(runs=5)


def test_it_polls_again_after_a_task_has_failed_and_runs_the_tasks_behind_it(poller, log):
    failing, other = Task(), Task()
    failing.error = ZeroDivisionError("a mistake")
    poller(failing, other, interval=OFTEN).start()
    failing.wait(runs=3)
    other.wait(runs=2)
    assert {record.getMessage() for record in log.kept} == {"a task of the poller failed"}
    assert {record.exc_info[1] for record in log.kept} == {failing.error}


def test_a_stop_runs_every_task_a_last_time_and_ends_the_thread_without_waiting_for_its_interval(poller):
    task, other = Task(), Task()
    polling = poller(task, other)
    polling.start()
    other.wait()
    polling.stop()
    assert [len(task.threads), len(other.threads)] == [2, 2]
    assert task.threads[-1] is main_thread()
    assert task.threads[0] not in threads()


def test_the_last_run_reaches_every_task_though_one_fails(poller, log):
    failing, other = Task(), Task()
    polling = poller(failing, other)
    polling.start()
    other.wait()
    failing.error = ZeroDivisionError("a mistake")
    polling.stop()
    assert len(other.threads) == 2
    assert len(log.kept) == 1


def test_a_second_stop_does_nothing(poller):
    task = Task()
    polling = poller(task)
    polling.start()
    task.wait()
    polling.stop()
    polling.stop()
    assert len(task.threads) == 2
