"""Measures decisions per second, and the dollars admitted beyond a budget (`make bench-decide`).

A decision says whether a call to a model is within its limits. *reserve* asks the service for a decision before a call.
*settle* reports the real usage to the service after the call. *no-op* is a Flask POST endpoint that checks the key,
parses and answers as the service does, but makes no decision. *Flask-Limiter* first checks two limits in Redis, and
then does the same as *no-op*. Redis counts no money here, and writes nothing to disk. The service stores many limits.
Four of them (with eight counters) apply to every call.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from bench import cpu, load, machine, overspend, redis, servers
from bench.data import Databases
from bench.overspend import RESERVATIONS
from bench.results import Bars, Part, table
from bench.rounds import Bench, Case, Measured, Pace, by_cpu_rate, by_rate, measure
from bench.servers import Server
from bench.targets import Target, worst

SIZES, QUICK_SIZES = (1_000, 10_000, 100_000), (1_000,)
CLIENTS = 32
WORKERS = {"WEB_CONCURRENCY": "2", "THREADS": "16"}
FULL, NORMAL = "full", "normal"
MEASURE = Pace(rounds=5, warm_up=0.3, seconds=1.5)
QUICK = Pace(rounds=1, warm_up=0.2, seconds=0.5)
ASK = orjson.dumps({"model": "the-model", "provider": "the-provider", "tokens": 1000, "cost": 0.001})
TIERS = (("the-model", "the-provider"), ("the-model", None), ("*", "the-provider"), ("*", None))
ROOM = 1_000_000_000
HEAD = ("", "requests/s", "least–most", "p50 ms", "p99 ms", "worst ms", "CPU µs", "rate ÷ no-op")
NOOP, LIMITER = "no-op", "Flask-Limiter, 2 limits in Redis"
RESERVE, BOTH = "reserve ({})", "reserve + settle ({})"
WITHOUT_REDIS = "Flask-Limiter was not measured: this machine has no redis-server, and Debian's could not be fetched."

CALM = 0.1
"""The share of the servers' core that other processes may use during a measurement.

This share is twice the default of `bench/rounds.py`, because the kernel's threads use the core to write to the disk.
"""

Figures = dict[str, Measured]


def run(databases: Databases, *, quick: bool) -> Part:
    """Measure decisions with each number of limits. Then measure the dollars spent beyond a budget."""
    server_core, load_core = cpu.cores()
    pace, sizes = (QUICK, QUICK_SIZES) if quick else (MEASURE, SIZES)
    found: dict[int, Figures] = {}
    with load.generator(load_core) as generator:
        bench = Bench(generator, pace, server_core, CALM)
        for size in sizes:
            with _serving(size, databases, server_core) as cases:
                found[size] = measure(f"{size:,} limits, decisions", cases, bench)
    spent = _overspend(server_core)
    texts = [_preamble(pace, quick=quick), *(_text(size, figures) for size, figures in found.items()), _dollars(spent)]
    return Part("decide", "\n\n".join(texts), targets(found, spent["reserve + settle (ours)"].over / 100), _bars(found))


@contextmanager
def _serving(size: int, databases: Databases, core: int) -> Iterator[list[Case]]:
    """Start all servers. The service has a database with `size` limits. Yield the requests to measure."""
    with TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        cases = []
        for synchronous in (FULL, NORMAL) if size == SIZES[0] else (FULL,):
            home = folder / synchronous
            databases.copy(size, home)
            server = stack.enter_context(servers.ours(home, core, {**WORKERS, "GOVERNANCE_SYNCHRONOUS": synchronous}))
            headers = servers.admin_headers(home)
            apply_limits(server, headers)
            asked = [load.request("POST", RESERVATIONS, headers, ASK)]
            cases += [
                Case(RESERVE.format(synchronous), server, asked, connections=CLIENTS),
                Case(BOTH.format(synchronous), server, asked, connections=CLIENTS, settles=True),
            ]
        own, answer = server.answer(RESERVATIONS, headers, "POST", ASK)
        said = {"BENCH_ANSWER": answer.decode(), "BENCH_HEADERS": orjson.dumps(own).decode()}
        environ = {"BENCH_KEY": headers["Authorization"][7:], **said, **WORKERS}
        noop = stack.enter_context(servers.app("noop", folder, core, environ))
        beside = [Case(NOOP, noop, asked, connections=CLIENTS)]
        limiter = stack.enter_context(_limiter(folder, core, environ))
        beside += [Case(LIMITER, limiter, asked, connections=CLIENTS)] if limiter else []
        yield [*beside, *cases]


@contextmanager
def _limiter(folder: Path, core: int, environ: dict[str, str]) -> Iterator[Server | None]:
    """Start Redis, and the app with Flask-Limiter. Yield the app's server, or None on a machine without Redis.

    The processor time of Redis is counted as processor time of the server.
    """
    with redis.serving(folder, core) as store:
        if store is None:
            yield None
            return
        address = f"redis://{load.HOST}:{store.port}"
        with servers.app("limiter", folder, core, {**environ, "BENCH_REDIS": address}) as server:
            yield server._replace(workers=(*server.workers, store.pid))


def apply_limits(server: Server, headers: dict[str, str]) -> None:
    """Store four limits that apply to every call. Each has two counters, and its maximums are never reached."""
    for model, provider in TIERS:
        body = {
            "model_name": model,
            "provider": provider,
            "budgets": [{"max_limit": ROOM, "reset_duration": "1d"}],
            "rate_limits": [{"token_max_limit": ROOM * 1_000_000, "token_reset_duration": "1h"}],
        }
        server.fetch("/api/governance/model-configs", headers, "POST", orjson.dumps(body))


def _overspend(core: int) -> dict[str, overspend.Spent]:
    with TemporaryDirectory(prefix="bench-") as first, TemporaryDirectory(prefix="bench-") as second:
        return {
            "reserve + settle (ours)": overspend.ours(Path(first), core),
            "charge after the call": overspend.charge_after(Path(second), core),
        }


def targets(found: dict[int, Figures], over: float) -> list[Target]:
    """Return the targets for decisions, with the measured values.

    Some figures have two targets: the original one and a stricter one. `over` is the dollars spent beyond the budget.
    """
    full = {size: figures[RESERVE.format(FULL)] for size, figures in found.items()}
    rate = {size: measured.rate.middle for size, measured in full.items()}
    share = {size: measured.beside(found[size][NOOP], by_rate) for size, measured in full.items()}
    ahead = {size: full[size].beside(of[LIMITER], by_rate) for size, of in found.items() if LIMITER in of}
    work = {size: measured.beside(found[size][NOOP], by_cpu_rate) for size, measured in full.items()}
    p99 = {size: measured.percentile(0.99) * 1000 for size, measured in full.items()}
    longest = {size: measured.worst * 1000 for size, measured in full.items()}
    return [
        *(worst("reserve ÷ no-op, requests/s", share, least, least=True) for least in (0.5, 0.65)),
        worst("reserve ÷ no-op, requests/CPU s", work, 0.5, least=True),
        worst("reserve", rate, 2_000, least=True, unit="requests/s"),
        worst("reserve, p99", p99, 30, unit="ms"),
        *(worst("reserve, worst of all", longest, most, unit="ms") for most in (250, 150)),
        *(_growth(share, size, most) for size, most in ((10_000, 1.2), (100_000, 1.1)) if size in share),
        *([worst("reserve ÷ Flask-Limiter on Redis, requests/s", ahead, 1, least=True)] if ahead else []),
        Target("dollars over a cap", over, 0, unit="dollars"),
    ]


def _growth(share: dict[int, float], size: int, most: float) -> Target:
    small = min(share)
    return Target(f"reserve ÷ no-op, at {small:,} ÷ at {size:,} limits", share[small] / share[size], most)


def _preamble(pace: Pace, *, quick: bool) -> str:
    what = " ".join((__doc__ or "").partition("\n\n")[2].split())
    how = (
        f"{what} Every server has two workers on one core, under the flags of `gunicorn.conf.py`; the load of "
        f"{CLIENTS} clients comes from the other. Medians of {pace.rounds} interleaved rounds of {pace.seconds:g} s, "
        "for ÷ of each round's own ratio; *worst* is of all rounds; CPU is that of the workers, and of the Redis, and "
        "requests/CPU s are those in a second of it. A reservation and its settle count as two requests. *full* "
        "survives a power cut, *normal* a crash (`GOVERNANCE_SYNCHRONOUS`)."
    )
    return f"## Decide (`make bench-decide`)\n\n{machine.described(quick=quick)}\n\n{how}"


def _text(size: int, figures: Figures) -> str:
    disturbed = max(measured.disturbance for measured in figures.values())
    without = "" if LIMITER in figures else f" {WITHOUT_REDIS}"
    return (
        f"### {size:,} limits\n\nOthers, the kernel's writing included, used at most {disturbed:.0%} of the core."
        f"{without}\n\n{table(HEAD, _rows(figures))}"
    )


def _rows(figures: Figures) -> Iterator[list[str]]:
    for name, measured in figures.items():
        rate = measured.rate
        latencies = (measured.percentile(0.5), measured.percentile(0.99), measured.worst)
        yield [
            name,
            f"{rate.middle:,.0f}",
            f"{rate.least:,.0f}–{rate.most:,.0f}",
            *(f"{latency * 1000:.1f}" for latency in latencies),
            f"{measured.cost.middle:,.0f}",
            f"{measured.beside(figures[NOOP], by_rate):.2f}",
        ]


def _dollars(spent: dict[str, overspend.Spent]) -> str:
    rows = [
        [name, f"{found.calls}", f"${found.cents / 100:.2f}", f"${found.over / 100:.2f}"]
        for name, found in spent.items()
    ]
    what = (
        f"### Dollars over a cap\n\n{overspend.CLIENTS} clients at once, calls of ${overspend.CALL_CENTS / 100:.2f} "
        f"and {overspend.CALL_SECONDS * 1000:.0f} ms against a cap of ${overspend.CAP_CENTS / 100:.2f}. "
        "*Charge after* is the algorithm of the gateways that test past usage before a call: here one process, "
        "with a lock, so that nothing but the algorithm is at fault."
    )
    return f"{what}\n\n{table(('', 'calls let through', 'spent', 'over the cap'), rows)}"


def _bars(found: dict[int, Figures]) -> Bars:
    size, figures = max(found.items())
    drawn = (NOOP, RESERVE.format(FULL), BOTH.format(FULL), LIMITER)
    rates = {name: figures[name].rate.middle for name in drawn if name in figures}
    return {f"Decisions among {size:,} limits, requests/s": rates}
