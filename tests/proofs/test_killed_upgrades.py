"""Upgrades, restores and compactions are killed at a random instant. The next one succeeds, and no row has changed."""

import shutil
import sqlite3
from contextlib import closing
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from signal import SIGKILL
from time import monotonic
from typing import Any

from governance.storage.sqlite.files import compaction, migrations, restore
from governance.storage.sqlite.files.backup import copy
from tests.conftest import NOON
from tests.proofs.campaign import Campaign
from tests.storage.sqlite.files.test_migrations import REVISIONS, of_revision, rows_of
from tests.storage.stored import fill

SHARE = 0.04
MOST_DEATHS = 3
"""The most kills of one upgrade. After that, the upgrade runs to its end."""
NAME = "governance.db"
PATIENCE = 30.0
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["governance.storage.sqlite.files.restore"])


def upgrade(ready: Event, path: Path) -> None:
    ready.set()
    migrations.upgrade(path, PATIENCE)


def put_back(ready: Event, path: Path, backup: Path) -> None:
    ready.set()
    restore.restore(path, backup, NOON, PATIENCE, force=False)


def compact(ready: Event, path: Path) -> None:
    ready.set()
    compaction.compact(path, PATIENCE)


class Killer:
    """Runs an act in a process of its own, and kills the process at an instant at which it is probably working."""

    def __init__(self, campaign: Campaign, act: Any) -> None:
        self.campaign = campaign
        self.act = act
        self.longest = 0.2

    def run(self, *args: Path) -> None:
        ready = PROCESSES.Event()
        process = PROCESSES.Process(target=self.act, args=(ready, *args))
        process.start()
        assert ready.wait(PATIENCE)
        began = monotonic()
        process.join(self.campaign.chance.uniform(0, self.longest))
        process.kill()
        process.join()
        assert process.exitcode in {0, -SIGKILL}
        if process.exitcode == 0:
            self.longest = max(0.02, monotonic() - began)
        self.campaign.figures["deaths" if process.exitcode else "ended before"] += 1
        process.close()


def all_rows(path: Path) -> dict[str, Any]:
    """Return all rows of an undamaged file, without the random id."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return {table: rows for table, rows in rows_of(path).items() if table != "database_identity"}


def old_database(folder: Path, revision: str) -> Path:
    """Create a database of an older schema, with rows in every table and a journal."""
    folder.mkdir()
    of_revision(folder / NAME, revision)
    return folder / NAME


def test_an_upgrade_from_any_schema_that_is_killed_keeps_every_row(campaign: Campaign, tmp_path: Path) -> None:
    old = {revision: old_database(tmp_path / revision, revision) for revision in REVISIONS[:-1]}
    before, after = {}, {}
    for revision, path in old.items():
        before[revision] = all_rows(path)
        undisturbed = tmp_path / f"{revision} undisturbed" / NAME
        shutil.copytree(path.parent, undisturbed.parent)
        migrations.upgrade(undisturbed, PATIENCE)
        after[revision] = all_rows(undisturbed)
    killer = Killer(campaign, upgrade)
    for number, revision in enumerate(cycle(old)):
        if number >= len(old) and not campaign.goes_on():
            break
        path = tmp_path / f"round {number}" / NAME
        shutil.copytree(old[revision].parent, path.parent)
        for _ in range(campaign.chance.randint(1, MOST_DEATHS)):
            killer.run(path)
        migrations.upgrade(path, PATIENCE)
        assert all_rows(path) == after[revision]
        assert all_rows(path.with_name(f"{NAME}.before-{migrations.head()}")) == before[revision]
        shutil.rmtree(path.parent)
        campaign.figures["upgrades"] += 1
    assert campaign.figures["deaths"]


def test_a_restore_that_is_killed_leaves_one_state_or_the_other(campaign: Campaign, tmp_path: Path) -> None:
    first = tmp_path / "first" / NAME
    migrations.upgrade(first, PATIENCE)
    backup = tmp_path / "backup.db"
    copy(first, backup, PATIENCE)
    states = {"backup": all_rows(first)}
    with migrations.connect(first, PATIENCE) as connection:
        fill(connection, 200)
    states["present"] = all_rows(first)
    killer = Killer(campaign, put_back)
    while not campaign.figures["deaths"] or campaign.goes_on():
        path = tmp_path / f"round {campaign.figures['restores']}" / NAME
        shutil.copytree(first.parent, path.parent)
        for _ in range(campaign.chance.randint(1, MOST_DEATHS)):
            killer.run(path, backup)
            lies_there = all_rows(path) if path.exists() else None
            assert lies_there in (None, *states.values())
            kept = list(path.parent.glob(f"{NAME}.replaced-*T*Z"))
            assert lies_there == states["present"] or states["present"] in map(all_rows, kept)
        restore.restore(path, backup, NOON, PATIENCE, force=False)
        migrations.upgrade(path, PATIENCE)
        assert all_rows(path) == states["backup"]
        shutil.rmtree(path.parent)
        campaign.figures["restores"] += 1


def test_a_compaction_that_is_killed_leaves_every_row(campaign: Campaign, tmp_path: Path) -> None:
    grown = tmp_path / "grown" / NAME
    migrations.upgrade(grown, PATIENCE)
    with migrations.connect(grown, PATIENCE) as connection:
        fill(connection, 200)
    leave_free_pages(grown)
    before = all_rows(grown)
    killer = Killer(campaign, compact)
    while not campaign.figures["deaths"] or campaign.goes_on():
        path = tmp_path / f"round {campaign.figures['compactions']}" / NAME
        shutil.copytree(grown.parent, path.parent)
        for _ in range(campaign.chance.randint(1, MOST_DEATHS)):
            killer.run(path)
            migrations.upgrade(path, PATIENCE)  # this is a start
            assert all_rows(path) == before
        assert compaction.compact(path, PATIENCE).free == 0
        shutil.rmtree(path.parent)
        campaign.figures["compactions"] += 1


def leave_free_pages(path: Path) -> None:
    """Make the file as versions before schema 0007 did, with many free pages."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
        connection.execute("CREATE TABLE ballast (x)")
        connection.execute("INSERT INTO ballast VALUES (randomblob(20000000))")
        connection.execute("DROP TABLE ballast")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
