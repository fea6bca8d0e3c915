"""Defines the pages of model limits that `bench/list.py` requests, and starts the servers that return these pages.

Before a measurement, the responses of the servers are compared. A question is a page to request.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlencode

from bench import load, servers
from bench.data import Databases
from bench.rounds import CONNECTIONS, Case
from bench.servers import ASGI, Server

PATH = "/api/governance/model-configs"
PAGE = 25
DIFFERENT = 320
"""The number of different requests. Their responses (70 KB each) together are larger than the cache (16 MiB)."""
SETTLE = 10.0
"""All servers must return the same page at least once within this many seconds.

Their pages may differ for a moment, if a time window of a limit ends between two requests.
"""
BARE, RAW, AGAIN, MEMORY, DATABASE = "bare", "raw", "memory, again", "memory", "database"
FASTAPI, DATASETTE = "FastAPI + SQLAlchemy", "datasette"
DEEP = "deep page"
SAME_BYTES = (RAW, MEMORY, DATABASE, FASTAPI)


class Question(NamedTuple):
    """The query string of a page, the names of the servers to ask for the page, and the number of connections."""

    name: str
    query: str
    sources: tuple[str, ...]
    connections: int = CONNECTIONS


FIRST = Question("first page", "", (BARE, RAW, AGAIN, MEMORY, DATABASE, FASTAPI, DATASETTE))
FILTERED = Question("filtered page", "scope=virtual_key", (RAW, MEMORY, DATABASE))
SEARCHED = Question("searched page", "scope=virtual_key&search=mini", (RAW, MEMORY, DATABASE))
USED = Question("page by usage, one connection", "sort_by=usage", (MEMORY, DATABASE), connections=1)


def questions(size: int) -> list[Question]:
    """Return all questions for a database with `size` limits."""
    return [FIRST, FILTERED, SEARCHED, deep(size), USED]


def deep(size: int) -> Question:
    """Return the question for the page that comes after four fifths of all limits."""
    return Question(DEEP, f"offset={size * 8 // 10}", (RAW, MEMORY, DATABASE))


class Pages(NamedTuple):
    """The servers on one database with `size` limits, by name."""

    size: int
    by_source: Mapping[str, Server]
    headers: Mapping[str, str]

    def case(self, question: Question, source: str) -> Case:
        """Return the requests that ask the server `source` a question."""
        requests = self._different(question) if source == MEMORY else [self._request(question.query, source)]
        return Case(source, self.by_source[source], requests, connections=question.connections)

    def agreed(self, question: Question) -> bytes:
        """Ask the servers until all of them return the same page. Return this page.

        The bytes must be equal. Datasette's page has another form. Only its limits, the number of rules of each limit,
        and the total must be equal. Raises ValueError if the pages still differ after `SETTLE` seconds.
        """
        until = time.monotonic() + SETTLE
        while time.monotonic() < until:
            first, *others = [self._fetch(question, source) for source in SAME_BYTES if source in question.sources]
            theirs = [self._fetch(question, DATASETTE)] if DATASETTE in question.sources else []
            if all(other == first for other in others) and all(gist(other) == gist(first) for other in theirs):
                return first
            time.sleep(0.05)
        raise ValueError(f"{question.name}: not all give the same answer")

    def _different(self, question: Question) -> list[bytes]:
        """Return requests that no cache can answer: each one asks for a different page, or has a different header."""
        if question is FIRST:
            offsets = [number * (self.size - PAGE) // DIFFERENT for number in range(DIFFERENT)]
            return [self._request(f"offset={offset}", MEMORY) for offset in offsets]
        return [self._request(question.query, MEMORY, {"If-None-Match": f'"{number}"'}) for number in range(DIFFERENT)]

    def _request(self, query: str, source: str, headers: Mapping[str, str] | None = None) -> bytes:
        return load.request("GET", path(query, source), {**self.headers, **(headers or {})})

    def _fetch(self, question: Question, source: str) -> bytes:
        return self.by_source[source].fetch(path(question.query, source), self.headers)


def _as_text(headers: list[tuple[str, str]], body: bytes) -> tuple[list[tuple[str, str]], str]:
    return headers, body.decode()


def path(query: str, source: str) -> str:
    """Return the path of a page, including the query string, on the server `source`."""
    if source == DATASETTE:
        return f"/governance/page.json?{urlencode({'_shape': 'objects', '_json': 'rules', 'offset': 0})}"
    parts = [query] * bool(query) + ["from_memory=true"] * (source in {MEMORY, AGAIN})
    return f"{PATH}?{'&'.join(parts)}"


def gist(body: bytes) -> tuple[int, list[tuple[str, int]]]:
    """Return the total number of limits, then the id and the number of rules of each limit on the page."""
    answer = json.loads(body)
    if "rows" in answer:
        return answer["rows"][0]["total_count"], [(row["id"], len(row["rules"])) for row in answer["rows"]]
    return answer["total_count"], [(limit["id"], _rules(limit)) for limit in answer["model_configs"]]


def _rules(limit: Mapping[str, Any]) -> int:
    maxima = ("token_max_limit", "request_max_limit")
    sides = sum(item[name] is not None for item in limit["rate_limits"] for name in maxima)
    return len(limit["budgets"]) + sides


@contextmanager
def serving(size: int, databases: Databases, core: int) -> Iterator[Pages]:
    """Start all servers on a database of `size` limits."""
    with TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        database = {"BENCH_DATABASE": str(databases.copy(size, folder))}
        ours = stack.enter_context(servers.ours(folder, core))
        headers = servers.admin_headers(folder)
        raw = stack.enter_context(servers.app("raw", folder, core, database))
        fastapi = stack.enter_context(servers.app("fastapi_page", folder, core, database, *ASGI))
        datasette = stack.enter_context(servers.app("datasette_page", folder, core, database, *ASGI))
        answers = folder / "answers.json"
        known = path(FIRST.query, BARE)
        answers.write_text(json.dumps({known: _as_text(*ours.answer(known, headers))}), "utf-8")
        bare = stack.enter_context(servers.app("bare", folder, core, {"BENCH_ANSWERS": str(answers)}))
        by_source = {BARE: bare, RAW: raw, AGAIN: ours, MEMORY: ours, DATABASE: ours}
        yield Pages(size, {**by_source, FASTAPI: fastapi, DATASETTE: datasette}, headers)
