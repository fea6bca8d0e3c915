"""Files that cannot be written at a start: a warning if limits are stored. If none are stored, the start ends."""

import logging
from dataclasses import replace

import pytest

from app import create_app
from governance import __version__
from governance.domain.errors import NotReady
from governance.services.config.sync import NOT_WRITTEN
from governance.services.keys.api_keys import IN_THE_WAY
from governance.startup import NO_FOLDER, NO_KEY, prepare
from tests.config.conftest import Terminal, budget, nested
from tests.conftest import governance_of

KEY_WITHOUT_VALUE = {"virtual_keys": [{"id": "team", "name": "Team"}]} | nested({"model_name": "new"})


class Heard(logging.Handler):
    """Keeps every log message."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def start(settings, clock, monkeypatch):
    """Return a function that starts a service with other settings.

    It returns the warnings, the log messages and the app.
    """
    apps = []

    def started(**changed):
        app = create_app(replace(settings, **changed), clock=clock)
        apps.append(app)
        heard = Heard()
        logger = logging.getLogger("governance")
        logger.addHandler(heard)  # create_app installs the handlers, so this handler is added after it
        try:
            return prepare(app), heard.said, app
        finally:
            logger.removeHandler(heard)

    yield started
    for app in apps:
        governance_of(app).close()


def a_file(tmp_path, content):
    Terminal(None, tmp_path, None).write(content, "config.json")
    return str(tmp_path / "config.json")


def test_start_makes_every_folder_for_its_owner_alone(start, tmp_path):
    instance, database = tmp_path / "a/b/instance", tmp_path / "c/d"
    config = a_file(tmp_path, KEY_WITHOUT_VALUE)
    warnings, _, _ = start(instance=str(instance), database_url=f"sqlite:///{database}/limits.db", config=config)
    assert warnings == []
    made = [*list(instance.parents)[:2], instance, database.parent, database]
    assert {folder.stat().st_mode & 0o777 for folder in made} == {0o700}
    assert (instance / "virtual-keys.txt").stat().st_mode & 0o777 == 0o600


def test_folder_that_is_there_keeps_its_mode(start, tmp_path):
    instance = tmp_path / "shared"
    instance.mkdir(0o755)
    start(instance=str(instance))
    assert instance.stat().st_mode & 0o777 == 0o755


def test_sync_of_key_without_value_makes_missing_folder(start, tmp_path):
    instance = tmp_path / "a/instance"
    _, _, app = start(instance=str(instance), database_url=f"sqlite:///{tmp_path}/limits.db")
    instance.rmdir()
    terminal = Terminal(app, tmp_path, None)
    assert terminal.run("sync", a_file(tmp_path, KEY_WITHOUT_VALUE), "--yes").code == 0
    assert (instance / "virtual-keys.txt").read_text().startswith("team\tsk-gov-")


def test_admin_key_that_cannot_be_written_is_warning_where_limits_are_stored(start, api, settings):
    api.create("kept")
    settings.admin_key_file.mkdir()
    warnings, said, app = start(admin_key=None)
    assert warnings == [NO_KEY]
    assert IN_THE_WAY.format(settings.admin_key_file) in said
    assert NO_KEY in said
    with governance_of(app).database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM api_keys").scalar() == 0


def test_admin_key_that_cannot_be_written_ends_start_without_limits(start, app, settings):
    settings.admin_key_file.mkdir()
    with pytest.raises(
        NotReady, match=r"^Make the folder writable, or set GOVERNANCE_ADMIN_KEY: .*admin\.key, Is a directory"
    ):
        start(admin_key=None)


def test_instance_folder_that_cannot_be_made_is_warning_where_limits_are_stored(start, api, settings, tmp_path):
    api.create("kept")
    (tmp_path / "file").write_text("in the way")
    changed = {"instance": str(tmp_path / "file/instance"), "database_url": f"sqlite:///{settings.database_path}"}
    warnings, said, _ = start(**changed)
    assert warnings == [NO_FOLDER]
    assert any(f"The folder {tmp_path}/file/instance cannot be made: " in sentence for sentence in said)


def test_values_that_cannot_be_written_are_warning_where_limits_are_stored(start, api, settings, tmp_path):
    api.create("kept")
    (settings.instance_path / "virtual-keys.txt").mkdir()
    warnings, said, _ = start(config=a_file(tmp_path, KEY_WITHOUT_VALUE))
    assert warnings == [NOT_WRITTEN.format("config.json")]
    assert any("virtual-keys.txt: Is a directory" in sentence for sentence in said)
    assert api.list()["total_count"] == 1
    assert api.get("virtual-keys").get_json()["total_count"] == 0


def test_values_that_cannot_be_written_end_start_without_limits(start, app, settings, tmp_path):
    (settings.instance_path / "virtual-keys.txt").mkdir()
    with pytest.raises(NotReady, match=r"virtual-keys\.txt: Is a directory"):
        start(config=a_file(tmp_path, KEY_WITHOUT_VALUE))


def test_start_with_stored_key_writes_nothing(start, api, terminal):
    """So a full disk does not prevent the start of a service that has all that it needs."""
    assert api.post("/api/api-keys", {"name": "ops", "scopes": ["admin"]}).status_code == 200
    before = terminal.revision()
    assert start(admin_key=None)[0] == []
    assert terminal.revision() == before


def test_first_line_of_log_tells_version(start, tmp_path):
    _, said, _ = start(config=a_file(tmp_path, nested({"model_name": "a", "budgets": [budget()]})))
    assert said[0].startswith(f"model limits {__version__} made a new, empty database: ")
    assert said[1] == f"model limits {__version__} starts"
    assert said[2].startswith("config.json was applied: ")


def test_faulty_file_at_reload_keeps_limits_and_warns(app, api, governance, terminal, tmp_path):
    path = tmp_path / "config.json"
    path.write_text("{")
    (warning,) = governance.sync.at_reload(path)
    assert warning.startswith("config.json was not applied, faults: 1; the limits of before are in force. ")
    terminal.write(nested({"model_name": "a"}), path.name)
    assert governance.sync.at_reload(path) == []
    assert api.list()["total_count"] == 1
