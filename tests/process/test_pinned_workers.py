"""Workers that run on cores of their own, including the worker that replaces a dead one."""

import os
import signal

import pytest

from governance.startup import freest_core
from tests.process.service import until

pytestmark = pytest.mark.process


def test_the_freest_core_is_the_one_with_the_fewest_workers():
    cores = sorted(os.sched_getaffinity(0))
    assert freest_core([]) == cores[0]
    assert freest_core(cores[:-1]) == cores[-1]
    assert freest_core([*cores, *cores[1:]]) == cores[0]


@pytest.mark.parametrize("pinned", ["0", "1"])
def test_each_worker_stays_on_a_core_of_its_own(service, pinned):
    started = service(WEB_CONCURRENCY="2", GOVERNANCE_PIN_WORKERS=pinned).start()
    mine = os.sched_getaffinity(0)
    cores = (sorted(mine) * 2)[:2]
    wanted = [{core} for core in sorted(cores)] if pinned == "1" else [mine, mine]
    for _ in range(2):
        until(lambda: sorted((os.sched_getaffinity(pid) for pid in started.workers), key=min) == wanted)
        gone = started.workers[0]
        os.kill(gone, signal.SIGKILL)
        until(lambda gone=gone: len(started.workers) == 2 and gone not in started.workers)
