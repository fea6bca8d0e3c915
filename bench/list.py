"""Compares how fast the service and other servers return pages of model limits (`make bench-list`).

*bare* is a WSGI app that always returns the bytes of the service's first page. *raw* is hand-written with `sqlite3`
and `orjson`. *FastAPI + SQLAlchemy* is the app that most developers would write: ORM, eager loading, pydantic models.
*datasette* serves the same rows, and does not suggest facets. The other rows are the service itself. *database* reads
the page from the database, which is the default. *memory, again* reads the same page from the service's memory each
time. *memory* also reads from memory, but with 320 different requests in turn, so that no cache can answer them. For
the first page, these requests have different offsets. For all other pages, they have different `If-None-Match` headers.
"""

import json
from collections.abc import Callable, Iterable

from bench import cpu, load, machine, pages
from bench.data import Databases
from bench.load import Sample
from bench.pages import AGAIN, BARE, DATABASE, DATASETTE, DEEP, FASTAPI, FILTERED, FIRST, MEMORY, RAW, Pages, Question
from bench.results import Bars, Part, table
from bench.rounds import CONNECTIONS, Bench, Measured, Pace, by_cost, by_cpu_rate, by_rate, measure
from bench.targets import Target, worst

SIZES, QUICK_SIZES = (1_000, 10_000, 100_000), (1_000,)
FULL = Pace(rounds=5, warm_up=0.25, seconds=0.6)
QUICK = Pace(rounds=1, warm_up=0.2, seconds=0.3)
HEAD = (
    "",
    "requests/s",
    "least–most",
    "p50 ms",
    "p99 ms",
    "worst ms",
    "CPU µs",
    "least–most",
    "rate ÷ bare",
    "CPU ÷ raw",
)
SLOW = 10
"""The rates of a server are shown with two decimal places if the lowest of them is at most this number."""

Figures = dict[str, Measured]
Found = dict[tuple[int, str], Figures]
"""The results, by number of limits and by name of the question (the page that is requested)."""


def run(databases: Databases, *, quick: bool) -> Part:
    """Measure all questions with all numbers of limits."""
    server_core, load_core = cpu.cores()
    found: Found = {}
    texts = [_preamble(QUICK if quick else FULL, quick=quick)]
    sizes = QUICK_SIZES if quick else SIZES
    with load.generator(load_core) as generator:
        bench = Bench(generator, QUICK if quick else FULL, server_core)
        for size in sizes:
            with pages.serving(size, databases, server_core) as servers:
                for question in pages.questions(size):
                    body = servers.agreed(question)
                    figures = _measured(servers, question, bench)
                    found[size, question.name] = figures
                    texts.append(_text(size, question, body, figures))
    return Part("list", "\n\n".join(texts), targets(found, sizes), _bars(found, sizes[-1]))


def _measured(servers: Pages, question: Question, bench: Bench) -> Figures:
    cases = [servers.case(question, source) for source in question.sources]
    return measure(f"{servers.size:,} limits, {question.name}", cases, bench)


def targets(found: Found, sizes: tuple[int, ...]) -> list[Target]:
    """Return the targets for pages, with the measured values."""
    first = {size: found[size, FIRST.name] for size in sizes}

    def to_bare(source: str, figure: Callable[[Sample], float]) -> dict[int, float]:
        return {size: figures[source].beside(figures[BARE], figure) for size, figures in first.items()}

    def cost(question: str, source: str) -> dict[int, float]:
        return {size: found[size, question][source].cost.middle for size in sizes}

    def share(these: dict[int, float], those: dict[int, float]) -> dict[int, float]:
        return {size: these[size] / those[size] for size in sizes}

    database_to_raw = {size: figures[DATABASE].beside(figures[RAW], by_cost) for size, figures in first.items()}
    deep_to_first = share(cost(DEEP, DATABASE), cost(FIRST.name, DATABASE))
    return [
        worst("from memory, the same page again, ÷ bare, requests/s", to_bare(AGAIN, by_rate), 0.85, least=True),
        worst("from memory, never the same page, ÷ bare, requests/s", to_bare(MEMORY, by_rate), 0.5, least=True),
        worst("from memory, the same page again, ÷ bare, requests/CPU s", to_bare(AGAIN, by_cpu_rate), 0.8, least=True),
        worst(
            "from memory, never the same page, ÷ bare, requests/CPU s", to_bare(MEMORY, by_cpu_rate), 0.4, least=True
        ),
        *(worst("from the database ÷ raw, first page, CPU", database_to_raw, most) for most in (3, 2.5)),
        worst("database, deep page ÷ first page, CPU", deep_to_first, 3),
        *(_grown(question.name, cost(question.name, DATABASE)) for question in (FIRST, FILTERED) if len(sizes) > 1),
    ]


def _grown(question: str, costs: dict[int, float]) -> Target:
    small, large = min(costs), max(costs)
    return Target(f"database, {question}, {large:,} ÷ {small:,} limits, CPU", costs[large] / costs[small], 1.5)


def _preamble(pace: Pace, *, quick: bool) -> str:
    what = " ".join((__doc__ or "").partition("\n\n")[2].split())
    how = (
        f"{what} All stand under the flags of `gunicorn.conf.py` (the two ASGI apps with uvicorn's worker, uvloop and "
        f"httptools), one worker on one core; the load comes from the other, over {CONNECTIONS} kept-alive connections "
        "that each send their next request when the last is answered. Ours checks an API key; the others check none. "
        f"Medians of {pace.rounds} interleaved rounds of {pace.seconds:g} s, for ÷ of each round's own ratio; *worst* "
        "is of all rounds; CPU is the worker's own processor time a request, and requests/CPU s are those in a second "
        "of it. Before anything was timed, raw, FastAPI, memory and database gave the very same bytes, and datasette "
        "the same limits, rules and total. Each limit has two budgets and a rate limit (tokens and requests); a third "
        "are in use."
    )
    return f"## List (`make bench-list`)\n\n{machine.described(quick=quick)}\n\n{how}"


def _text(size: int, question: Question, body: bytes, figures: Figures) -> str:
    disturbed = max(measured.disturbance for measured in figures.values())
    query = f" (`?{question.query}`)" if question.query else ""
    return (
        f"### {size:,} limits, {question.name}{query}\n\n"
        f"{json.loads(body)['count']} limits, {len(body):,} bytes; others used at most {disturbed:.0%} of the core.\n\n"
        f"{table(HEAD, _rows(figures))}"
    )


def _rows(figures: Figures) -> Iterable[list[str]]:
    bare, raw = figures.get(BARE), figures.get(RAW)
    for source, measured in figures.items():
        rate, cost = measured.rate, measured.cost
        digits = 0 if rate.least > SLOW else 2
        latencies = (measured.percentile(0.5), measured.percentile(0.99), measured.worst)
        yield [
            source,
            f"{rate.middle:,.{digits}f}",
            f"{rate.least:,.{digits}f}–{rate.most:,.{digits}f}",
            *(f"{latency * 1000:,.2f}" for latency in latencies),
            f"{cost.middle:,.0f}",
            f"{cost.least:,.0f}–{cost.most:,.0f}",
            f"{measured.beside(bare, by_rate):.2f}" if bare else "",
            f"{measured.beside(raw, by_cost):.2f}" if raw else "",
        ]


def _bars(found: Found, size: int) -> Bars:
    first = found[size, FIRST.name]
    drawn = (BARE, AGAIN, MEMORY, RAW, DATABASE, FASTAPI, DATASETTE)
    return {f"A page of 25 of {size:,} limits, requests/s": {name: first[name].rate.middle for name in drawn}}
