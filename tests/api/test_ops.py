"""The operator's endpoints, /healthz and /readyz, and the log line of a refused or failed request."""

import dataclasses
import json
import logging
import re
import sqlite3
from urllib.parse import unquote

import pytest

from app import create_app
from governance import __version__
from governance.domain.times import DAY
from governance.settings import Settings
from governance.web.http.logs import JsonLine, TextLine

SECRETS = ("hunter2", "gov-hunter2", "sk-hunter2")
LOGGED = re.compile(r' (\w+)=("(?:[^"\\]|\\.)*"|\S*)')
FIELDS = {"method", "path", "status", "code", "request_id", "ms"}


class Lines(logging.Handler):
    """A handler that keeps the formatted log lines."""

    def __init__(self, formatter):
        super().__init__()
        self.setFormatter(formatter)
        self.records = []
        self.lines = []

    def emit(self, record):
        self.records.append(record)
        self.lines.append(self.format(record))


class Broken:
    """A service object that raises an unexpected error at every use."""

    def __getattr__(self, _):
        raise RuntimeError("nobody foresaw this")


@pytest.fixture
def heard(app):
    """Return a function that returns the lines of a logger from now on: `heard("governance.requests", JsonLine())`."""
    listening = []

    def listen(name, formatter):
        lines = Lines(formatter)
        logging.getLogger(name).addHandler(lines)
        listening.append((name, lines))
        return lines

    yield listen
    for name, lines in listening:
        logging.getLogger(name).removeHandler(lines)


@pytest.fixture
def lines(heard):
    return heard("governance.requests", JsonLine())


@pytest.fixture
def nobody(api):
    return api.with_key(None)


def reasons(response):
    """Return the message of a 503 of /readyz."""
    body = response.get_json()
    assert (response.status_code, body["error"]["type"], body["error"]["code"]) == (503, "unavailable", "not_ready")
    assert int(response.headers["Retry-After"]) > 0
    return body["error"]["message"]


def fail(_):
    raise OSError("disk I/O error")


def test_healthz_answers_as_long_as_the_process_lives(nobody, settings):
    assert nobody.get("/healthz").get_json() == {"status": "ok", "version": __version__}
    settings.database_path.unlink()
    assert nobody.get("/healthz").status_code == 200


def test_readyz_is_ready_where_nothing_is_wrong(nobody):
    response = nobody.get("/readyz")
    listed = {"status": "loading", "version": None, "newest_price": None, "age_days": None}
    assert (response.status_code, response.get_json()) == (
        200,
        {"status": "ready", "warnings": [], "price_list": listed},
    )


def test_readyz_is_503_where_the_database_file_is_gone(nobody, settings):
    settings.database_path.unlink()
    sentence = reasons(nobody.get("/readyz"))
    assert "governance.db cannot be opened" in sentence
    assert settings.instance not in sentence


def test_readyz_is_503_where_the_database_file_is_no_database(nobody, settings, database):
    database.engine.dispose()
    for file in settings.instance_path.iterdir():
        file.unlink()
    settings.database_path.write_bytes(b"this is no database" * 1000)
    assert "no SQLite database" in reasons(nobody.get("/readyz"))


def test_readyz_is_503_before_the_database_was_made(tmp_path, nobody):
    app = create_app(Settings(instance=str(tmp_path / "new")))
    sentence = reasons(type(nobody)(app.test_client(), None).get("/readyz"))
    assert "governance.db cannot be opened" in sentence
    assert str(tmp_path) not in sentence


@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_readyz_is_503_where_the_schema_is_not_this_codes(nobody, settings, revision):
    with sqlite3.connect(settings.database_path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
    connection.close()
    assert "schema" in reasons(nobody.get("/readyz"))


def test_readyz_is_503_where_the_memory_has_expired_and_cannot_be_reloaded(nobody, governance):
    governance.cache._loader = fail
    assert "memory has expired" in reasons(nobody.get("/readyz"))


def test_readyz_says_all_reasons_at_once(nobody, governance, settings):
    governance.cache._loader = fail
    settings.database_path.unlink()
    sentence = reasons(nobody.get("/readyz"))
    assert "governance.db cannot be opened" in sentence
    assert "memory has expired" in sentence


def test_a_failing_refresh_shows_in_readyz_while_the_last_good_snapshot_still_serves(nobody, governance):
    governance.cache.refresh()
    governance.cache._loader = fail
    governance.poller.poll()
    response = nobody.get("/readyz")
    assert response.status_code == 200
    assert "last refresh failed" in response.get_json()["warnings"][0]


def test_a_warning_of_readyz_is_gone_with_its_cause(nobody, governance):
    loader = governance.cache._loader
    governance.cache.refresh()
    governance.cache._loader = fail
    governance.poller.poll()
    governance.cache._loader = loader
    governance.poller.poll()
    assert nobody.get("/readyz").get_json()["warnings"] == []


def test_a_counter_that_starts_more_than_a_day_ahead_of_the_clock_shows_in_readyz(nobody, api, clock, count):
    limit = api.create(budgets=[{"max_limit": 5, "reset_duration": "1d"}])
    count(limit["budgets"][0]["id"], "cost", used=1, at=clock() + 3 * DAY)
    response = nobody.get("/readyz")
    assert response.status_code == 200
    assert "ahead of the clock" in response.get_json()["warnings"][0]
    assert limit["id"] not in response.text


def test_healthz_and_readyz_show_no_limit_no_name_and_no_key(nobody, api, governance, clock, count):
    limit = api.create("hunter2-model", budgets=[{"max_limit": 5, "reset_duration": "1d"}])
    api.post("virtual-keys", {"name": "hunter2", "value": "sk-hunter2-0123456789"})
    count(limit["budgets"][0]["id"], "cost", used=1, at=clock() + 3 * DAY)
    governance.cache._loader = fail
    governance.poller.poll()
    assert "hunter2" not in nobody.get("/healthz").text + nobody.get("/readyz").text


def test_readyz_does_not_repeat_what_an_unforeseen_error_says(nobody, governance):
    def stumble(_):
        raise KeyError("hunter2-model", "/srv/limits/instance/governance.db")

    governance.cache.refresh()
    governance.cache._loader = stumble
    governance.poller.poll()
    assert "hunter2" not in nobody.get("/readyz").text


@pytest.mark.parametrize(
    "request_and_line",
    [
        ("GET", "/api/governance/users", 401, "api_key_required"),
        ("GET", "/api/governance/users?limit=0", 400, "invalid_parameter"),
        ("POST", "/api/governance/users", 400, "invalid_body"),
        ("PATCH", "/api/governance/users", 405, "method_not_allowed"),
        ("GET", "/api/governance/users/unknown", 404, "user_not_found"),
        ("GET", "/nothing", 404, "route_not_found"),
        ("GET", "/api/governance/virtual-keys", 500, "internal_error"),
    ],
)
def test_a_refused_or_failed_request_logs_one_line_that_says_what_how_long_and_why(
    api, app, governance, lines, request_and_line
):
    method, path, status, code = request_and_line
    if status == 500:
        app.extensions["governance"] = dataclasses.replace(governance, virtual_keys=Broken())
    caller = api.with_key(None) if status == 401 else api
    response = caller.request(method, path, headers={"X-Request-Id": "req-42"})
    assert response.status_code == status
    (line,) = map(json.loads, lines.lines)
    assert line.keys() >= FIELDS
    milliseconds = line.pop("ms")
    assert 0 <= milliseconds < 10_000
    assert {name: line[name] for name in FIELDS - {"ms"}} == {
        "method": method,
        "path": path.partition("?")[0],
        "status": status,
        "code": code,
        "request_id": "req-42",
    }


def test_the_logged_request_id_is_the_one_of_the_answer(nobody, lines):
    response = nobody.get("users")
    assert json.loads(lines.lines[0])["request_id"] == response.headers["X-Request-Id"]


def test_a_request_that_went_well_logs_nothing(api, lines):
    etag = api.get("model-configs").headers["ETag"]
    api.post("users", {"name": "Ada"})
    assert api.get("model-configs", headers={"If-None-Match": etag}).status_code == 304
    assert api.get("/healthz").status_code == 200
    assert lines.lines == []


def test_a_mistake_of_the_service_is_an_error_in_the_log_and_a_refusal_is_not(api, app, governance, lines):
    api.get("users/unknown")
    app.extensions["governance"] = dataclasses.replace(governance, users=Broken())
    api.get("users")
    assert [record.levelname for record in lines.records] == ["INFO", "ERROR"]


def test_the_cause_of_a_500_is_in_the_log_with_its_stack_trace(api, app, governance, heard):
    lines = heard("governance", JsonLine())
    app.extensions["governance"] = dataclasses.replace(governance, users=Broken())
    api.get("users")
    traces = [json.loads(line)["exception"] for line in lines.lines if "exception" in line]
    assert len(traces) == 1
    assert "nobody foresaw this" in traces[0]


@pytest.mark.parametrize("formatter", [JsonLine(), TextLine()], ids=["json", "text"])
def test_the_log_never_holds_a_key_a_querys_secret_or_a_body(api, nobody, heard, formatter):
    lines = heard("governance", formatter)
    api.with_key("gov-hunter2").get("users")
    nobody.get("users", headers={"x-api-key": "sk-hunter2", "Cookie": "session=hunter2"})
    api.get("users?api_key=hunter2&limit=hunter2")
    api.post("users", data=b'{"name":"hunter2","hunter2":1')
    api.post("virtual-keys", {"name": "Team A", "value": "sk-hunter2", "hunter2": 1, "is_active": "hunter2"})
    api.post("virtual-keys", {"name": "Team A", "value": "sk-hunter2"})
    api.post("virtual-keys", {"name": "Team B", "value": "sk-hunter2"})
    assert len(lines.lines) == 6
    assert not [line for line in lines.lines for secret in SECRETS if secret in line]


def test_the_log_of_a_locked_database_holds_no_body(api, heard, settings, database):
    lines = heard("governance", JsonLine())
    holder = sqlite3.connect(settings.database_path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert api.post("virtual-keys", {"name": "hunter2", "value": "sk-hunter2"}).status_code == 503
    holder.close()
    assert [json.loads(line)["code"] for line in lines.lines] == ["database_unavailable"]
    assert "hunter2" not in lines.lines[0]


@pytest.mark.parametrize("path", ["/a%0Ab", "/a%0D%0Ab", "/a%20status=200", "/%E2%80%A8x", "/%00", "/%1b[31m", "/%22"])
def test_a_path_can_neither_break_its_line_nor_pass_for_another_field(nobody, heard, path):
    plain, as_json = heard("governance.requests", TextLine()), heard("governance.requests", JsonLine())
    nobody.get(path)
    assert plain.lines[0].isprintable()
    assert dict(LOGGED.findall(plain.lines[0]))["status"] == "404"
    assert "\n" not in as_json.lines[0]
    assert json.loads(as_json.lines[0])["path"] == unquote(path)


@pytest.mark.parametrize("style", ["json", "text"])
def test_the_setting_says_how_the_lines_on_standard_error_look(tmp_path, api, capsys, style):
    settings = Settings.from_environ({"GOVERNANCE_INSTANCE": str(tmp_path), "GOVERNANCE_LOG_FORMAT": style})
    caller = type(api)(create_app(settings).test_client(), None)
    capsys.readouterr()
    caller.get("/nothing")
    (line,) = capsys.readouterr().err.splitlines()
    words = json.loads(line) if style == "json" else dict(word.split("=") for word in line.split() if "=" in word)
    assert (str(words["status"]), words["code"]) == ("404", "route_not_found")


def test_a_json_line_says_when_how_grave_and_by_whom(nobody, lines):
    nobody.get("/nothing")
    line = json.loads(lines.lines[0])
    assert (line["level"], line["logger"]) == ("INFO", "governance.requests")
    assert line["time"].endswith("Z")
