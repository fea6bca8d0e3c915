import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from governance.domain.errors import NotReady
from governance.storage.sqlite.files import migrations
from governance.storage.tables import metadata
from tests.storage.stored import content, fill

SCRIPTS = ScriptDirectory.from_config(migrations.config())
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()][::-1]


def of_revision(path: Path, revision: str) -> dict:
    """Make a filled database of a revision. Return its rows."""
    path.touch()
    with migrations.connect(path, 1) as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        command.upgrade(migrations.config(connection), revision)
        fill(connection)
        connection.exec_driver_sql("COMMIT")
        return content(connection)


def rows_of(path: Path) -> dict:
    with migrations.connect(path, 1) as connection:
        return content(connection)


def revision_of(path: Path) -> str | None:
    with migrations.connect(path, 1) as connection:
        return migrations.current_revision(connection)


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def tables_of(connection: Connection) -> dict:
    """Return everything that SQLite says about its tables: columns, keys, indexes and checks."""
    found = inspect(connection)
    names = sorted(set(found.get_table_names()) - {"alembic_version"})
    asked: list[Callable] = [
        found.get_columns,
        lambda name: [found.get_pk_constraint(name)],
        found.get_foreign_keys,
        found.get_indexes,
        found.get_unique_constraints,
        found.get_check_constraints,
    ]
    return {
        name: [sorted(json.dumps(item, default=str) for item in answer(name)) for answer in asked] for name in names
    }


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_fresh_file_is_upgraded_to_exactly_the_tables_of_the_code(path):
    with migrations.connect(path, 1) as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_the_migrations_make_every_check_and_index_that_the_tables_declare(path):
    engine = create_engine("sqlite://", poolclass=NullPool)
    with migrations.connect(path, 1) as migrated, engine.connect() as declared:
        metadata.create_all(declared)
        assert tables_of(migrated) == tables_of(declared)


def test_a_second_upgrade_changes_nothing_and_makes_no_copy(path):
    before = dump(path)
    migrations.upgrade(path, 1)
    assert dump(path) == before
    assert list(path.parent.glob("*.before-*")) == []


def test_a_fresh_file_is_in_wal_mode_for_its_owner_alone(tmp_path):
    made = tmp_path / "new folder" / "governance.db"
    migrations.upgrade(made, 1)
    connection = sqlite3.connect(made)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.execute("UPDATE config_revision SET revision = 5")
    names = {f"governance.db{end}" for end in ("", "-shm", "-wal", ".id", ".lock")}
    assert {file.name: mode(file) for file in made.parent.iterdir()} == dict.fromkeys(names, 0o600)
    assert mode(made.parent) == 0o700
    connection.close()
    assert list(made.parent.glob("*.before-*")) == []


def test_a_file_that_others_could_read_is_closed_to_them(path):
    path.chmod(0o644)
    migrations.upgrade(path, 1)
    assert mode(path) == 0o600


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_filled_database_of_any_revision_is_upgraded_and_keeps_every_row(tmp_path, revision):
    file = tmp_path / "governance.db"
    before = of_revision(file, revision)
    migrations.upgrade(file, 1)
    after = rows_of(file)
    assert revision_of(file) == migrations.head()
    for table, rows in before.items():
        kept = [{name: value for name, value in row.items() if name in rows[0]} for row in after[table]] if rows else []
        assert kept == rows, table


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_a_database_is_copied_for_its_owner_before_it_is_migrated(tmp_path, revision):
    file = tmp_path / "governance.db"
    before = of_revision(file, revision)
    migrations.upgrade(file, 1)
    copy = tmp_path / f"governance.db.before-{migrations.head()}"
    assert mode(copy) == 0o600
    assert revision_of(copy) == revision
    assert rows_of(copy) == before


NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = {head!r}
branch_labels = None
depends_on = None


def upgrade():
    {statements}
"""


@pytest.fixture
def next_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Add a revision to a copy of the scripts. The code then uses the copy as its own scripts."""

    def add(*statements: str) -> None:
        scripts = Path(shutil.copytree(migrations.SCRIPTS, tmp_path / "migrations"))
        text = NEXT.format(head=migrations.head(), statements="\n    ".join(statements))
        (scripts / "versions" / "next.py").write_text(text)
        monkeypatch.setattr(migrations, "SCRIPTS", scripts)

    return add


def test_a_migration_that_remakes_a_parent_table_keeps_its_children(path, next_revision):
    with migrations.connect(path, 1) as connection:
        fill(connection)
        before = content(connection)
    next_revision(
        "with op.batch_alter_table('model_limits', recreate='always') as table:",
        "    table.add_column(sa.Column('note', sa.Text(), nullable=False, server_default='none'))",
    )
    migrations.upgrade(path, 1)
    after = rows_of(path)
    assert [row.pop("note") for row in after["model_limits"]] == ["none"] * 3
    assert after == before
    assert before["counters"]


def test_a_migration_that_fails_half_way_changes_nothing(path, next_revision):
    with migrations.connect(path, 1) as connection:
        fill(connection)
    before = dump(path)
    next_revision("op.execute('DELETE FROM rules')", "op.execute('SELECT no_such_function()')")
    with pytest.raises(NotReady, match="no such function") as told:
        migrations.upgrade(path, 1)
    assert "\n" not in told.value.message
    assert dump(path) == before


def test_a_migration_that_would_leave_rows_without_their_parent_is_undone(path, next_revision):
    with migrations.connect(path, 1) as connection:
        fill(connection)
    before = dump(path)
    next_revision("op.execute('DELETE FROM model_limits')")
    with pytest.raises(NotReady, match="would lose their parent"):
        migrations.upgrade(path, 1)
    assert dump(path) == before


def test_a_limit_that_is_not_aligned_comes_to_have_the_zone_utc(tmp_path):
    path = tmp_path / "governance.db"
    of_revision(path, "0003")
    with migrations.connect(path, 1) as connection:
        (first, *_) = connection.exec_driver_sql("SELECT id FROM model_limits ORDER BY id").scalars().all()
        connection.exec_driver_sql("UPDATE model_limits SET timezone = 'Asia/Tokyo'")
        connection.exec_driver_sql("UPDATE model_limits SET calendar_aligned = (id = ?)", (first,))
    migrations.upgrade(path, 1)
    with migrations.connect(path, 1) as connection:
        rows = connection.exec_driver_sql("SELECT id, calendar_aligned, timezone FROM model_limits ORDER BY id").all()
    assert len(rows) > 1
    assert [(aligned, zone) for _, aligned, zone in rows] == [(1, "Asia/Tokyo")] + [(0, "UTC")] * (len(rows) - 1)


def test_a_new_database_can_give_room_back_a_slice_at_a_time(tmp_path):
    path = tmp_path / "governance.db"
    migrations.upgrade(path, 1.0)
    with closing(sqlite3.connect(path)) as connection:
        incremental = 2
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (incremental,)
