"""The order of writers: an edit waits for few batches, even if writers never stop, and it blocks no other writer."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest

from governance.storage.sqlite.locks.writer_lock import lock_files, turn_within
from governance.storage.sqlite.writer.group_commit import GroupCommit
from tests.process.service import until
from tests.storage.stored import NOON

MOST_BATCHES = 3


class Writers:
    """Writers of several workers that never stop. Each batch takes some time. `batches` is the number of batches."""

    def __init__(self, path, workers):
        self.batches = 0
        self._last = None
        self._enough = Event()
        self._groups = [GroupCommit(path, 20, lambda: NOON) for _ in range(workers)]
        self._pool = ThreadPoolExecutor(2 * workers)
        self._running = [self._pool.submit(self._write, group) for group in self._groups for _ in range(2)]

    def _write(self, group):
        def act(batch):
            if batch is not self._last:
                self._last = batch
                self.batches += 1
                self._enough.wait(0.01)

        while not self._enough.is_set():
            group.submit(act)

    def stop(self):
        self._enough.set()
        self._pool.shutdown()
        for each in self._running:
            each.result()
        for group in self._groups:
            group.stop()


@contextmanager
def writing(path, workers):
    writers = Writers(path, workers)
    try:
        until(lambda: writers.batches > 2 * workers)
        yield writers
    finally:
        writers.stop()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_an_edit_waits_for_at_most_three_batches(path, workers):
    waited = []
    with writing(path, workers) as writers:
        for _ in range(30):
            before = writers.batches
            with turn_within(lock_files(path), 20):
                waited.append(writers.batches - before)
            after = writers.batches
            until(lambda after=after: writers.batches > after)
    assert max(waited) <= MOST_BATCHES


def test_edits_that_never_stop_let_batches_in_between(path):
    with writing(path, 2) as writers:
        for _ in range(20):
            before = writers.batches
            for _ in range(3):
                with turn_within(lock_files(path), 20):
                    pass
            until(lambda before=before: writers.batches > before)


def test_who_gives_up_holds_nobody_up(path):
    queue_file, next_file = lock_files(path)
    with turn_within(lock_files(path), 1):
        with pytest.raises(TimeoutError), turn_within(lock_files(path), 0.05):
            pass
        assert next_file.read_bytes() == b"\0"
    assert queue_file.exists()
    group = GroupCommit(path, 5, lambda: NOON)
    assert group.submit(lambda _: "done") == "done"
    group.stop()


DIES = """
import fcntl, os, sys
first = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(first, fcntl.LOCK_EX)
os.pwrite(first, b"\\1", 0)
"""


def test_who_dies_while_it_is_to_be_next_holds_nobody_up(path):
    _, next_file = lock_files(path)
    subprocess.run([sys.executable, "-c", DIES, str(next_file)], check=True)
    assert next_file.read_bytes() == b"\1"
    group = GroupCommit(path, 5, lambda: NOON)
    assert group.submit(lambda _: "done") == "done"
    assert next_file.read_bytes() == b"\0"
    group.stop()
