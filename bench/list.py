"""`make bench-list`: pages of model limits from memory and from the database, against hand-written servers.

Measured side by side in one run: *bare* (gunicorn and the bytes of our answer), *raw* (sqlite3 and orjson by hand,
on the same file), *memory* and *database* (the service). All stand under the same gunicorn flags on one core; the
load comes from another.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench import cpu, data, ending, load, machine, results, servers
from bench.load import Generator
from bench.rounds import CONNECTIONS, Case, Measured, Pace, measure
from bench.servers import Server

PATH = "/api/governance/model-configs"
SIZES = (1_000, 10_000)
FULL = Pace(rounds=7, warm_up=0.3, seconds=1.5)
QUICK = Pace(rounds=5, warm_up=0.2, seconds=0.5)
SETTLE = 10.0
"""Seconds in which ours and raw must once agree: they do, unless a window ends between the two questions."""
HEAD = ("", "requests/s", "least–most", "p50 ms", "p99 ms", "CPU µs", "least–most", "rate ÷ bare", "CPU ÷ raw")
LEAST_OF_BARE = 0.5
MOST_OF_RAW = 3.0

Figures = dict[str, Measured]


class Question(NamedTuple):
    """A page that is asked for, and of whom."""

    name: str
    query: str
    sources: tuple[str, ...]


class Bench(NamedTuple):
    """The servers on one database, by the source that they are."""

    by_source: Mapping[str, Server]
    headers: Mapping[str, str]

    def case(self, question: Question, source: str) -> Case:
        """A question to one of the servers."""
        request = load.request("GET", _path(question, source), self.headers)
        return Case(source, self.by_source[source], [request])

    def fetch(self, question: Question, source: str) -> bytes:
        """One answer."""
        return self.by_source[source].fetch(_path(question, source), self.headers)


def main() -> None:
    """Measure, print, and (unless it was a quick run) write RESULTS.md."""
    arguments = argparse.ArgumentParser(prog="bench.list", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="under a minute; RESULTS.md stays as it is")
    quick = arguments.parse_args().quick
    ending.in_order()
    text = report(QUICK if quick else FULL, quick=quick)
    print(text)
    if not quick:
        results.write("list", text)


def report(pace: Pace, *, quick: bool) -> str:
    """The section of RESULTS.md: what was measured, how, and which targets were met."""
    server_core, load_core = cpu.cores()
    parts, verdicts = [], []
    with load.generator(load_core) as generator:
        for size in SIZES:
            with _servers(size, server_core) as bench:
                for question in _questions(size)[: 1 if quick else None]:
                    body = _agreed(bench, question)
                    figures = _measured(bench, question, generator, pace, server_core)
                    parts.append(_part(size, question, body, figures))
                    verdicts += _verdicts(size, question, figures)
    return "\n\n".join([*_preamble(pace, server_core, load_core), *parts, "### Targets", "\n".join(verdicts)])


def _questions(size: int) -> list[Question]:
    return [
        Question("first page", "", ("bare", "raw", "memory", "database")),
        Question("filtered page", "scope=virtual_key&search=mini", ("raw", "memory", "database")),
        Question("deep page", f"offset={size * 8 // 10}", ("raw", "memory", "database")),
    ]


def _path(question: Question, source: str) -> str:
    parts = [question.query] * bool(question.query) + ["from_memory=true"] * (source == "memory")
    return f"{PATH}?{'&'.join(parts)}"


@contextmanager
def _servers(size: int, core: int) -> Iterator[Bench]:
    """Ours, raw and bare on a database of `size` limits."""
    with TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        database = folder / "governance.db"
        data.fill(database, size, time.time_ns() // 1000)
        ours = stack.enter_context(servers.ours(folder, core))
        headers = {"Authorization": f"Bearer {(folder / 'admin.key').read_text('ascii').strip()}"}
        raw = stack.enter_context(servers.app("raw", folder, core, {"BENCH_DATABASE": str(database)}))
        answers = folder / "answers.json"
        path = _path(_questions(size)[0], "bare")
        answers.write_text(json.dumps({path: ours.fetch(path, headers).decode()}), "utf-8")
        bare = stack.enter_context(servers.app("bare", folder, core, {"BENCH_ANSWERS": str(answers)}))
        yield Bench({"bare": bare, "raw": raw, "memory": ours, "database": ours}, headers)


def _agreed(bench: Bench, question: Question) -> bytes:
    """The page, once raw and both our sources have given the very same bytes. Raises ValueError where they do not."""
    until = time.monotonic() + SETTLE
    while time.monotonic() < until:
        first, *others = [bench.fetch(question, source) for source in ("raw", "memory", "database")]
        if others == [first, first]:
            return first
        time.sleep(0.05)
    raise ValueError(f"{question.name}: raw and ours do not give the same bytes")


def _measured(bench: Bench, question: Question, generator: Generator, pace: Pace, core: int) -> Figures:
    return measure([bench.case(question, source) for source in question.sources], generator, pace, core)


def _preamble(pace: Pace, server_core: int, load_core: int) -> list[str]:
    how = (
        f"The server is one gunicorn worker on core {server_core}, under the flags of `gunicorn.conf.py`; the load "
        f"comes from a process on core {load_core}, over {CONNECTIONS} kept-alive connections that each send their "
        f"next request when the last is answered. Medians of {pace.rounds} interleaved rounds of {pace.seconds:g} s. "
        "Time in which others ran on the server's core does not count for requests/s (it does for latencies). CPU is "
        "the worker's own processor time a request. *bare* answers with the bytes of our first page; *raw* is "
        "sqlite3 and orjson by hand on the same file, and gave the very same bytes as *memory* and *database* before "
        "anything was timed. Each limit has two budgets and a rate limit (tokens and requests); a third are in use."
    )
    return ["## List (`make bench-list`)", "\n".join(f"- {line}" for line in machine.described()), how]


def _part(size: int, question: Question, body: bytes, figures: Figures) -> str:
    disturbed = max(measured.disturbance for measured in figures.values())
    query = f" (`?{question.query}`)" if question.query else ""
    return (
        f"### {size:,} limits, {question.name}{query}\n\n"
        f"{json.loads(body)['count']} limits, {len(body):,} bytes; others used at most {disturbed:.0%} of the core.\n\n"
        f"{results.table(HEAD, (_row(source, figures) for source in figures))}"
    )


def _row(source: str, figures: Figures) -> list[str]:
    measured = figures[source]
    rate, cost = measured.rate, measured.cost
    middle, high = (measured.spread(lambda sample: sample.percentile(share)).middle for share in (0.5, 0.99))  # noqa: B023
    bare, raw = figures.get("bare"), figures.get("raw")
    return [
        source,
        f"{rate.middle:,.0f}",
        f"{rate.least:,.0f}–{rate.most:,.0f}",
        f"{middle * 1000:.2f}",
        f"{high * 1000:.2f}",
        f"{cost.middle:,.0f}",
        f"{cost.least:,.0f}–{cost.most:,.0f}",
        f"{rate.middle / bare.rate.middle:.2f}" if bare else "",
        f"{cost.middle / raw.cost.middle:.2f}" if raw else "",
    ]


def _verdicts(size: int, question: Question, figures: Figures) -> list[str]:
    """The targets, where this question is one they are about."""
    if "bare" not in figures:
        return []
    rate = figures["memory"].rate.middle / figures["bare"].rate.middle
    cost = figures["database"].cost.middle / figures["raw"].cost.middle
    where = f"- {size:,} limits, {question.name}:"
    wanted = {True: "met", False: "missed"}
    fast, cheap = wanted[rate >= LEAST_OF_BARE], wanted[cost <= MOST_OF_RAW]
    return [
        f"{where} memory serves {rate:.2f} × the requests/s of bare (wanted: ≥ {LEAST_OF_BARE:g}): **{fast}**.",
        f"{where} database costs {cost:.2f} × the CPU of raw (wanted: ≤ {MOST_OF_RAW:g}): **{cheap}**.",
    ]


if __name__ == "__main__":
    main()
