"""A real app on a database file of its own, a clock that only tests move, and a client with the admin key."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import copytree
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, insert, select
from werkzeug.routing import Map
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from governance.container import EXTENSION, Container
from governance.domain.limits.limit import current
from governance.domain.times import SECOND, parse_rfc3339
from governance.settings import Settings
from governance.startup import prepare
from governance.storage.limits import states
from governance.storage.limits.counters import touch
from governance.storage.sqlite.database import SqliteDatabase
from governance.storage.tables import counters
from tests.shared_routes import SharedRoutes, create_app_on

ADMIN_KEY = "gov-the-admin-key-of-the-tests-0123456789"
NOON = parse_rfc3339("2026-11-23T12:00:00Z")


class FakeClock:
    """A clock in microseconds since 1970. Only the test moves it."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    def set(self, text: str) -> None:
        self.now = parse_rfc3339(text)


class Api:
    """The test client with an API key. A path is relative to `/api/governance`, unless it begins with `/`."""

    def __init__(self, client: FlaskClient, key: str | None = ADMIN_KEY) -> None:
        self.client = client
        self.key = key

    def request(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        headers = dict(kwargs.pop("headers", {}))
        if self.key is not None:
            headers.setdefault("Authorization", f"Bearer {self.key}")
        url = path if path.startswith("/") else f"/api/governance/{path}"
        return self.client.open(url, method=method, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        return self.request("POST", path, **kwargs, **({} if json is None else {"json": json}))

    def put(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        return self.request("PUT", path, **kwargs, **({} if json is None else {"json": json}))

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self.request("DELETE", path, **kwargs)

    def create(self, model_name: str = "gpt-4o", **fields: Any) -> dict[str, Any]:
        """Create a model limit. Return the limit of the response."""
        response = self.post("model-configs", {"model_name": model_name, **fields})
        assert response.status_code == 200, response.text
        return dict(response.get_json()["model_config"])

    def list(self, query: str = "", *, memory: bool = False) -> dict[str, Any]:
        """Return a page of model limits."""
        joined = "&".join(part for part in (query, "from_memory=true" if memory else "") if part)
        response = self.get(f"model-configs?{joined}" if joined else "model-configs")
        assert response.status_code == 200, response.text
        return dict(response.get_json())

    def with_key(self, key: str | None) -> "Api":
        """Return the same client with another key, or without a key."""
        return Api(self.client, key)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(instance=str(tmp_path), admin_key=ADMIN_KEY, busy_timeout=0.3)


@pytest.fixture(scope="session")
def first_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """Return an app after its first start. It is closed, and no test calls it."""
    settings = Settings(instance=str(tmp_path_factory.mktemp("first_start")), admin_key=ADMIN_KEY)
    made = create_app_on(SharedRoutes(), settings, clock=FakeClock())
    prepare(made)
    governance_of(made).close()
    return made


@pytest.fixture(scope="session")
def first_start(first_app: Flask) -> Path:
    """Return the folder that a first start leaves.

    It is made once, because its migrations take as long as a whole test.
    """
    return Path(first_app.instance_path)


@pytest.fixture(scope="session")
def routes(first_app: Flask) -> Map:
    """Return the URL rules of all apps with a dashboard. A test that adds a rule overrides this fixture."""
    first_app.url_map.is_complete = True
    return first_app.url_map


@pytest.fixture
def build(routes: Map) -> Callable[..., Flask]:
    """Return a function like `create_app`. Its apps share their URL rules."""
    return partial(create_app_on, routes)


@pytest.fixture
def app(settings: Settings, clock: FakeClock, first_start: Path, build: Callable[..., Flask]):
    """Return the service after its first start.

    If the settings have no admin key, the service is started here, and creates one.
    """
    made = build(settings, clock=clock)
    if settings.admin_key:
        copytree(first_start, settings.instance, dirs_exist_ok=True)
    else:
        prepare(made)
    yield made
    governance_of(made).close()


@pytest.fixture
def api(app: Flask) -> Api:
    return Api(app.test_client())


@pytest.fixture
def governance(app: Flask) -> Container:
    return governance_of(app)


@pytest.fixture
def database(app: Flask) -> SqliteDatabase:
    return database_of(app)


def governance_of(app: Flask) -> Container:
    return app.extensions[EXTENSION]


def database_of(app: Flask) -> SqliteDatabase:
    return governance_of(app).database


@pytest.fixture
def count(database: SqliteDatabase, clock: FakeClock, governance: Container):
    """Return a function that adds usage to a rule's current window, as metering would.

    Money is in nano-dollars. The snapshot is refreshed.
    """

    def put(item_id: str, metric: str, used: int = 0, reserved: int = 0, at: int | None = None) -> None:
        with database.write() as connection:
            limit_id = connection.execute(
                select(states.rules.c.model_limit_id).where(
                    states.rules.c.id == item_id, states.rules.c.metric == metric
                )
            ).scalar_one()
            limit = states.by_ids(connection, [limit_id])[limit_id].limit
            rule = next(rule for rule in limit.rules if rule.key == (item_id, metric))
            start, end, *_ = current(rule, limit.alignment, None, clock() if at is None else at)
            row = {
                "rule_id": item_id,
                "metric": metric,
                "generation": rule.generation,
                "window_start": start,
            }
            connection.execute(delete(counters).filter_by(**row))
            connection.execute(
                insert(counters).values(
                    **row, window_end=end, used=used, reserved=reserved, touched_at=touch(connection, clock())
                )
            )
        governance.cache.refresh()

    return put


@pytest.fixture
def serve():
    """Return a function that serves WSGI apps on ports of their own. It returns their addresses."""
    servers = []

    def start(app):
        server = make_server("127.0.0.1", 0, app, threaded=True)
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
