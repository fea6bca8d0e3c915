"""Config files on the disk, and the commands that read them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import select

from governance.container import EXTENSION
from governance.domain.records.differences import shown
from governance.domain.records.stored import StoredRows
from governance.storage.config import current_state
from governance.storage.revisions import current
from governance.storage.sqlite.database import SqliteDatabase
from governance.storage.tables import counters


class Said(NamedTuple):
    """The exit code of a command, and its output."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal:
    """Runs the commands of one app on files in one folder."""

    def __init__(self, app: Flask, folder: Path, database: SqliteDatabase) -> None:
        self.app, self.folder, self.database = app, folder, database

    def write(self, content: Any, name: str = "limits.json") -> Path:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        return path

    def run(self, *arguments: str) -> Said:
        result = self.app.test_cli_runner().invoke(args=["governance", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def check(self, content: Any, *arguments: str) -> Said:
        return self.run("check", str(self.write(content)), *arguments)

    def sync(self, content: Any, *arguments: str, name: str = "limits.json") -> Said:
        return self.run("sync", str(self.write(content, name)), "--yes", *arguments)

    def dry(self, content: Any, *arguments: str, name: str = "limits.json") -> Said:
        return self.run("sync", str(self.write(content, name)), "--dry-run", *arguments)

    def stored(self) -> StoredRows:
        with self.database.read() as connection:
            return current_state.current_state(connection)

    @property
    def service(self) -> Any:
        return self.app.extensions[EXTENSION]

    def rules(self) -> dict[tuple[str | None, str | None, str], list[str]]:
        """Return the maxima of each limit by its scope's id, provider and model."""
        return {
            (limit.scope_id, limit.provider, limit.model_name): sorted(
                shown(rule.metric, rule.max_limit, rule.reset_duration) for rule in limit.rules
            )
            for limit, _ in self.stored().limits.values()
        }

    def revision(self) -> int:
        with self.database.read() as connection:
            return current(connection)

    def counters(self) -> list[Any]:
        """Return the counters without the maximum of their windows, because every edit changes the maximum."""
        columns = [column for column in counters.columns if column.name != "max_limit"]
        with self.database.read() as connection:
            return list(connection.execute(select(*columns).order_by(counters.c.id)))


@pytest.fixture
def terminal(app: Flask, tmp_path: Path, database: SqliteDatabase) -> Terminal:
    return Terminal(app, tmp_path, database)


def budget(max_limit: Any = 50, reset_duration: str = "1d", **fields: Any) -> dict[str, Any]:
    return {"max_limit": max_limit, "reset_duration": reset_duration, **fields}


def nested(*limits: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """Return a file in the plain form."""
    return {"model_configs": list(limits), **sections}


def bifrost(**sections: Any) -> dict[str, Any]:
    """Return a file in Bifrost's form."""
    return {"governance": sections}
