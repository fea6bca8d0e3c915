"""The writer thread with files that are put in the database's place."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from governance.domain.errors import Unavailable
from governance.storage.group_commit import GroupCommit
from tests.storage.stored import NOON


@pytest.fixture
def group(path):
    made = GroupCommit(path, 0.5, lambda: NOON)
    yield made
    made.stop()


def use(group, key):
    """Have the writer write something, and its connection open."""
    group.submit(lambda batch: batch.keep(("", "", key), "", b""))


def test_a_file_in_the_place_of_the_old_one_is_refused_as_long_as_the_old_journal_lies_there(group, path):
    use(group, "before")
    copy = path.with_name("backup.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    use(group, "later")
    copy.replace(path)
    for _ in range(3):
        with pytest.raises(Unavailable, match="remove governance"):
            use(group, "mixed")
    for left in ("governance.db-wal", "governance.db-shm"):
        path.with_name(left).unlink()
    use(group, "after")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key FROM idempotency").fetchall() == [("after",), ("before",)]


def test_a_file_that_came_back_is_used_again(group, path, template):
    use(group, "before")
    path.unlink()
    with pytest.raises(Unavailable):
        use(group, "lost")
    for left in ("governance.db-wal", "governance.db-shm"):
        path.with_name(left).unlink(missing_ok=True)
    shutil.copy(template, path)
    use(group, "after")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key FROM idempotency").fetchall() == [("after",)]
