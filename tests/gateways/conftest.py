"""A real proxy per row of the table, in front of this service and a model server that the tests direct."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.gateways.model_server import ModelServer
from tests.gateways.proxies import Proxy
from tests.gateways.table import Row, rows
from tests.process.service import Service, until

FOLDER = Path(__file__).parent
ROWS = [pytest.param(row, id=row.recipe, marks=pytest.mark.xdist_group(row.recipe)) for row in rows()]
PRICES = {
    ("openai", "gpt-4o-mini"): {"input": 2, "output": 10},
    ("anthropic", "claude-haiku-4-5"): {"input": 1, "output": 5},
    ("openai", "gpt-4o"): {"input": 20, "output": 100},
}
"""Dollars per million tokens."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs real proxies."""
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.gateways)


class VirtualKey(NamedTuple):
    """A virtual key of a test's own."""

    id: str
    value: str


class Limits:
    """The limits service, as its administrator sees it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.numbers = count(1)
        self.since = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.service.call(method, f"/api/{path}", body)
        assert answer.status == status, answer
        return answer.body

    def meter_key(self) -> str:
        body = {"name": f"proxy {next(self.numbers)}", "scopes": ["meter"]}
        return str(self.ask("POST", "api-keys", body)["api_key"]["key"])

    def key(self, **fields: Any) -> VirtualKey:
        """A new virtual key, with a limit of its own on all models."""
        made = self.ask("POST", "governance/virtual-keys", {"name": f"key {next(self.numbers)}"})["virtual_key"]
        if fields:
            self.limit(made["id"], **fields)
        return VirtualKey(made["id"], made["value"])

    def limit(self, key: str, **fields: Any) -> str:
        """A limit of a virtual key on all models; its id."""
        body = {"model_name": "*", "scope": "virtual_key", "scope_id": key, **fields}
        return str(self.ask("POST", "governance/model-configs", body)["model_config"]["id"])

    def reservations(self, key: VirtualKey) -> list[dict[str, Any]]:
        path = f"governance/reservations?limit=100&since={self.since}&virtual_key_id={key.id}"
        return list(self.ask("GET", path)["reservations"])

    def ended(self, key: VirtualKey) -> dict[str, Any]:
        """The only reservation of a key, once it is no longer open."""
        until(lambda: [each["status"] for each in self.reservations(key)] not in ([], ["open"]))
        (found,) = self.reservations(key)
        return found

    def is_charged_or_held(self, key: VirtualKey) -> None:
        """Check that a call is not free: its estimate is used, or stays held until the reservation expires.

        A proxy reports within a second; a release would come in that time too.
        """
        (before,) = until(lambda: self.reservations(key))
        with suppress(AssertionError):
            until(lambda: self.reservations(key)[0]["status"] != "open", seconds=1)
        (held,) = self.reservations(key)
        assert held["status"] in {"open", "settled"}
        assert held["tokens"]["used"] in ({held["tokens"]["reserved"]} if held["status"] == "settled" else {0, None})
        assert held["cost"]["reserved"] == before["cost"]["reserved"] > 0


@pytest.fixture(scope="session")
def limits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limits]:
    service = Service(tmp_path_factory.mktemp("limits"), GOVERNANCE_POLL_INTERVAL="0.2")
    try:
        made = Limits(service.start())
        for (provider, model), price in PRICES.items():
            made.ask("POST", "governance/prices", {"provider": provider, "model": model, **price})
        yield made
    finally:
        service.end()


@pytest.fixture(scope="session")
def models() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.stop()


@pytest.fixture(params=ROWS)
def row(request: pytest.FixtureRequest) -> Row:
    return request.param


Starter = Callable[..., Proxy]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, limits: Limits, models: ModelServer) -> Iterator[Starter]:
    """Starts proxies, each way once; the ports are of another service and model server than ours, or of none."""
    started: dict[tuple[str, int, int, bool], Proxy] = {}
    ours, theirs = limits.service.port, models.server_port

    def start(recipe: str, *, limits_port: int = ours, models_port: int = theirs, fail_open: bool = False) -> Proxy:
        wanted = (recipe, limits_port, models_port, fail_open)
        if wanted not in started:
            ports = {"limits": limits_port, "models": models_port}
            folder = tmp_path_factory.mktemp(recipe)
            started[wanted] = Proxy(recipe, folder, **ports, key=limits.meter_key(), fail_open=fail_open)
        return started[wanted]

    yield start
    for proxy in started.values():
        proxy.end()


class Gateway(NamedTuple):
    """A row's proxy, the model server behind it, and real clients before it."""

    row: Row
    url: str
    models: ModelServer
    start: Starter
    clients: ExitStack

    def client(self, provider: str, key: VirtualKey | str, *, url: str = "", max_retries: int = 0) -> Any:
        """A real client with a virtual key. The clients are installed under `make gateways` alone."""
        value = key if isinstance(key, str) else key.value
        make = import_module("tests.gateways.clients").client
        made = make(self.row, url or self.url, provider, value, max_retries=max_retries)
        self.clients.callback(made.library.close)
        return made


@pytest.fixture
def gateway(row: Row, running: Starter, models: ModelServer) -> Iterator[Gateway]:
    """What the upstream saw before is forgotten, and streams pause again."""
    models.requests.clear()
    models.go_on.clear()
    with ExitStack() as clients:
        yield Gateway(row, running(row.recipe).url, models, partial(running, row.recipe), clients)


@pytest.fixture(params=["openai", "anthropic"])
def provider(request: pytest.FixtureRequest) -> str:
    return request.param
