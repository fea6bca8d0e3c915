"""Measures how many dollars many clients together spend beyond a budget, for two ways to charge calls.

The first way is that of the service: it reserves the cost before a call, and settles the real cost after the call. The
second way only charges the cost after the call.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from time import sleep
from typing import NamedTuple

import orjson

from bench import servers
from bench.load import HOST, PATIENCE
from bench.servers import Server

CLIENTS = 64
CALLS_EACH = 20
CALL_SECONDS = 0.02
CENT = 10_000_000
CAP_CENTS = 100
CALL_CENTS = 3
"""The price of a call in cents. With a budget of 100 cents, an exact service admits 33 calls."""
RESERVATIONS = "/api/governance/reservations"


class Spent(NamedTuple):
    """The number of admitted calls, and the sum of their prices in cents."""

    calls: int
    cents: int

    @property
    def over(self) -> int:
        """The number of cents above the budget."""
        return max(0, self.cents - CAP_CENTS)


def ours(folder: Path, core: int) -> Spent:
    """Measure the service with two workers. Each client reserves, calls, and settles."""
    with servers.ours(folder, core, {"WEB_CONCURRENCY": "2", "THREADS": "32"}) as server:
        headers = servers.admin_headers(folder)
        limit = {"model_name": "gpt-4o", "budgets": [{"max_limit": CAP_CENTS / 100, "reset_duration": "1d"}]}
        server.fetch("/api/governance/model-configs", headers, "POST", orjson.dumps(limit))
        return _spent(server, lambda connection: _reserved(connection, headers))


def charge_after(folder: Path, core: int) -> Spent:
    """Measure an app that checks the budget before the call and charges after it."""
    environ = {"BENCH_CAP": str(CAP_CENTS * CENT), "BENCH_CALL_SECONDS": str(CALL_SECONDS), "THREADS": str(CLIENTS)}
    with servers.app("charge_after", folder, core, environ) as server:
        return _spent(server, _charged_after)


def _spent(server: Server, call: Callable[[HTTPConnection], bool]) -> Spent:
    def client(_: int) -> int:
        connection = HTTPConnection(HOST, server.port, timeout=PATIENCE)
        try:
            return sum(call(connection) for _ in range(CALLS_EACH))
        finally:
            connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        calls = sum(pool.map(client, range(CLIENTS)))
    return Spent(calls, calls * CALL_CENTS)


def _reserved(connection: HTTPConnection, headers: dict[str, str]) -> bool:
    cost = CALL_CENTS / 100
    status, answer = _post(connection, RESERVATIONS, headers, {"model": "gpt-4o", "cost": cost})
    if status != 200:  # noqa: PLR2004
        return False
    sleep(CALL_SECONDS)
    settle = f"{RESERVATIONS}/{answer['reservation']['id']}/settle"
    return _post(connection, settle, headers, {"cost": cost})[0] == 200  # noqa: PLR2004


def _charged_after(connection: HTTPConnection) -> bool:
    return _post(connection, "/call", {}, {"nanos": CALL_CENTS * CENT})[0] == 200  # noqa: PLR2004


def _post(
    connection: HTTPConnection, path: str, headers: dict[str, str], body: dict[str, object]
) -> tuple[int, dict[str, dict[str, str]]]:
    connection.request("POST", path, orjson.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, orjson.loads(content) if content else {}
