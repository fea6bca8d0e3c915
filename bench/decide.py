"""`make bench-decide`: reservations a second, and dollars let through a cap.

Side by side in one run: *no-op* (a Flask POST that authenticates, parses and answers the same), and the service with
1,000 and 10,000 stored limits of which 4 apply, with 8 counters, once fully durable and once not: *reserve*, and
*reserve + settle*. Every server has two workers on one core; the load of 32 clients comes from another.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from bench import cpu, data, ending, load, machine, overspend, results, servers
from bench.overspend import RESERVATIONS
from bench.rounds import Case, Measured, Pace, measure
from bench.servers import Server

SIZES = (1_000, 10_000)
CLIENTS = 32
WORKERS = {"WEB_CONCURRENCY": "2", "THREADS": "16"}
SYNCHRONOUS = ("full", "normal")
FULL = Pace(rounds=3, warm_up=0.3, seconds=1.5)
QUICK = Pace(rounds=1, warm_up=0.3, seconds=1.0)
ASK = {"model": "the-model", "provider": "the-provider", "tokens": 1000, "cost": 0.001}
TIERS = (("the-model", "the-provider"), ("the-model", None), ("*", "the-provider"), ("*", None))
ROOM = 1_000_000_000
HEAD = ("", "requests/s", "least–most", "p50 ms", "p99 ms", "worst ms", "CPU µs", "rate ÷ no-op")
LEAST_OF_NOOP, MOST_WORST_MS, MOST_GROWTH = 0.5, 250, 1.2

CALM = 0.3
"""Writing to the disk is work of the kernel's own threads, on the server's core too: no disturbance here."""

Figures = dict[str, Measured]


def main() -> None:
    """Measure, print, and (unless it was a quick run) write RESULTS.md."""
    arguments = argparse.ArgumentParser(prog="bench.decide", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="under a minute; RESULTS.md stays as it is")
    quick = arguments.parse_args().quick
    ending.in_order()
    text = report(QUICK if quick else FULL)
    print(text)
    if not quick:
        results.write("decide", text)


def report(pace: Pace) -> str:
    """The section of RESULTS.md."""
    server_core, load_core = cpu.cores()
    with load.generator(load_core) as generator, _servers(server_core) as cases:
        figures = measure(cases, generator, pace, server_core, CALM)
    spent = _overspend(server_core)
    return "\n\n".join(
        [*_preamble(pace), results.table(HEAD, _rows(figures)), spent, "### Targets", _verdicts(figures)]
    )


@contextmanager
def _servers(core: int) -> Iterator[list[Case]]:
    """All cases, on servers that run side by side."""
    with TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        cases: list[Case] = []
        for size in SIZES:
            for synchronous in SYNCHRONOUS:
                folder = Path(name) / f"{size}-{synchronous}"
                folder.mkdir()
                data.fill(folder / "governance.db", size, time.time_ns() // 1000)
                environ = {**WORKERS, "GOVERNANCE_SYNCHRONOUS": synchronous}
                server = stack.enter_context(servers.ours(folder, core, environ))
                headers = _headers(folder)
                _apply_limits(server, headers)
                cases += _cases(f"{size:,}, {synchronous}", server, headers)
        answer = server.fetch(RESERVATIONS, headers, "POST", orjson.dumps(ASK))
        noop = {"BENCH_KEY": headers["Authorization"][7:], "BENCH_ANSWER": answer.decode(), **WORKERS}
        bare = stack.enter_context(servers.app("noop", Path(name), core, noop))
        yield [Case("no-op", bare, [_request(headers)], connections=CLIENTS), *cases]


def _headers(folder: Path) -> dict[str, str]:
    return {"Authorization": f"Bearer {(folder / 'admin.key').read_text('ascii').strip()}"}


def _request(headers: Mapping[str, str]) -> bytes:
    return load.request("POST", RESERVATIONS, headers, orjson.dumps(ASK))


def _cases(name: str, server: Server, headers: Mapping[str, str]) -> list[Case]:
    asked = [_request(headers)]
    return [
        Case(f"reserve ({name})", server, asked, connections=CLIENTS),
        Case(f"reserve + settle ({name})", server, asked, connections=CLIENTS, settles=True),
    ]


def _apply_limits(server: Server, headers: Mapping[str, str]) -> None:
    """Four limits that apply to every call, with two counters each, and room for all of them."""
    for model, provider in TIERS:
        body = {
            "model_name": model,
            "provider": provider,
            "budgets": [{"max_limit": ROOM, "reset_duration": "1d"}],
            "rate_limits": [{"token_max_limit": ROOM * 1_000_000, "token_reset_duration": "1h"}],
        }
        server.fetch("/api/governance/model-configs", headers, "POST", orjson.dumps(body))


def _rows(figures: Figures) -> list[list[str]]:
    noop = figures["no-op"].rate.middle
    rows = []
    for name, measured in figures.items():
        rate = measured.rate
        at = [measured.spread(lambda sample, share=share: sample.percentile(share)).middle for share in (0.5, 0.99)]
        worst = max(sample.latencies[-1] for sample in measured.samples)
        rows.append(
            [
                name,
                f"{rate.middle:,.0f}",
                f"{rate.least:,.0f}–{rate.most:,.0f}",
                *(f"{value * 1000:.1f}" for value in (*at, worst)),
                f"{measured.cost.middle:,.0f}",
                f"{rate.middle / noop:.2f}",
            ]
        )
    return rows


def _overspend(core: int) -> str:
    with TemporaryDirectory(prefix="bench-") as first, TemporaryDirectory(prefix="bench-") as second:
        spent = {
            "reserve + settle (ours)": overspend.ours(Path(first), core),
            "charge after the call": overspend.charge_after(Path(second), core),
        }
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
    return f"{what}\n\n{results.table(('', 'calls let through', 'spent', 'over the cap'), rows)}"


def _preamble(pace: Pace) -> list[str]:
    how = (
        f"{(__doc__ or '').partition(chr(10) * 2)[2].strip()} Medians of {pace.rounds} interleaved rounds of "
        f"{pace.seconds:g} s; *worst* is of all rounds. A reservation and its settle count as two requests. "
        "`synchronous`: *full* survives a power cut, *normal* a crash."
    ).replace("\n", " ")
    return ["## Decide (`make bench-decide`)", "\n".join(f"- {line}" for line in machine.described()), how]


def _verdicts(figures: Figures) -> str:
    noop = figures["no-op"].rate.middle
    small, large = (figures[f"reserve ({size:,}, full)"] for size in SIZES)
    worst = max(sample.latencies[-1] for found in (small, large) for sample in found.samples) * 1000
    share, growth = large.rate.middle / noop, small.rate.middle / large.rate.middle
    judged = [
        (f"reserve is {share:.2f} × the no-op (wanted: ≥ {LEAST_OF_NOOP})", share >= LEAST_OF_NOOP),
        (f"the worst took {worst:.0f} ms (wanted: ≤ {MOST_WORST_MS})", worst <= MOST_WORST_MS),
        (f"from 1,000 to 10,000 limits: {growth:.2f} × (wanted: ≤ {MOST_GROWTH})", growth <= MOST_GROWTH),
    ]
    return "\n".join(f"- {what}: **{'met' if met else 'missed'}**." for what, met in judged)


if __name__ == "__main__":
    main()
