"""An upgrade of a running service, and the way back with the copy that it made."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command

from governance.storage.sqlite.files import migrations
from tests.process.service import DEADLINE, ROOT, Service

pytestmark = pytest.mark.deploy

OLDER = "0010"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    made.end()


def stop(service: Service) -> None:
    os.kill(service.pid, signal.SIGTERM)
    assert service.process is not None
    assert service.process.wait(DEADLINE) == 0


def schema(file: Path) -> str:
    with migrations.connect(file, 1) as connection:
        return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())


def newest() -> str:
    return max(path.name[:4] for path in (ROOT / "migrations" / "versions").glob("0*.py"))


def test_the_copy_of_an_upgrade_leads_back(service: Service) -> None:
    service.instance.mkdir(mode=0o700)
    service.database.touch(mode=0o600)
    with migrations.connect(service.database, 1) as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        command.upgrade(migrations.config(connection), OLDER)
        connection.exec_driver_sql("COMMIT")
    service.start()
    copy = service.database.with_name(f"governance.db.before-{newest()}")
    assert (schema(service.database), schema(copy)) == (newest(), OLDER)
    service.create("gpt-4o", budget={"max_limit": 10, "reset_duration": "1d"})
    stop(service)

    restored = service.governance("restore", str(copy))
    assert restored.returncode == 0, restored.stderr
    assert f"schema {OLDER}" in restored.stdout
    assert schema(service.database) == OLDER
    (kept,) = service.instance.glob("governance.db.replaced-*")
    assert schema(kept) == newest()

    back = service.governance("restore", str(kept))
    assert back.returncode == 0, back.stderr
    service.start()
    assert service.names() == {"gpt-4o"}
    assert service.governance("verify").returncode == 0
