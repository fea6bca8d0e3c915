"""Compares the CPU time of requests between the working tree and a commit (`make bench AGAINST=<commit>`).

Each tree has a server with one worker. Both servers run at the same time, on one core. Every round sends every kind of
request to both servers, and computes the ratio of the two CPU times for each kind. The server that comes first changes
from round to round. A change in the machine's speed affects both servers, so it hardly changes the ratio. The rounds
stop when the 95 % confidence interval of every ratio is narrow enough, or after `MOST` rounds.

To *reserve* is to ask before a call to a model whether the call is within its limits. To *settle* is to report the real
usage after that call.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from bench import cpu, load, servers, trees
from bench.intervals import Interval, of_ratios
from bench.results import table
from bench.rounds import Bench, Case, Pace, sample, tell
from bench.servers import Server
from bench.trees import Tree

LEAST, MOST = 20, 60
"""The smallest and the largest number of rounds. Sixty rounds take six minutes."""
NARROW = 0.015
"""The interval of a ratio is narrow enough if its ends differ from the ratio by at most this share (1.5 %)."""
PACE = Pace(rounds=LEAST, warm_up=0.1, seconds=0.4)
LIMITS = 1_000
ROOM = 1_000_000_000
CLIENTS = 16
WORKER = {"WEB_CONCURRENCY": "1", "THREADS": "16"}
LIST = "/api/governance/model-configs"
RESERVATIONS = "/api/governance/reservations"
MODEL = {"model": "gpt-4o", "provider": "openai"}
"""A model whose price the service knows."""
CALL = orjson.dumps({**MODEL, "tokens": 1000, "cost": 0.001})
CALL_BY_KIND = orjson.dumps({**MODEL, "input_tokens": 800, "cached_input_tokens": 300, "output_tokens": 200})
TIERS = (("gpt-4o", "openai"), ("gpt-4o", None), ("*", "openai"), ("*", None))
REPEATED, NEW, DATABASE = "repeated page", "new page", "database page"
RESERVE, KEYED, BOTH, SETTLE = "reserve", "reserve with Idempotency-Key", "reserve + settle", "settle"
BY_KIND = "reserve with tokens by kind"
HEAD = ("CPU µs a request", "before", "now", "now ÷ before", "95 % interval", "")

Costs = dict[str, float]
"""The worker's processor time per request, in microseconds, by kind of request."""


def run(commit: str, allowed: float) -> str:
    """Measure both trees. Return a table with a row for each kind of request.

    A row has a mark if the whole interval of its ratio is at or above 1 + `allowed`.
    """
    before, now = trees.of_commit(commit), trees.this()
    server_core, load_core = cpu.cores()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        bench = Bench(stack.enter_context(load.generator(load_core)), PACE, server_core)
        cases = [stack.enter_context(_serving(tree, folder / str(at), bench)) for at, tree in enumerate((before, now))]
        rounds = list(_rounds(cases, bench))
    ratios = {name: _ratio(name, rounds) for name in rounds[0][0]}
    means = [{name: sum(costs[at][name] for costs in rounds) / len(rounds) for name in ratios} for at in (0, 1)]
    rows = [_row(name, means[0][name], means[1][name], ratios[name], allowed) for name in ratios]
    return f"{now.name} against {before.name}, {len(rounds)} rounds\n\n{table(HEAD, rows)}"


def _row(name: str, before: float, now: float, ratio: Interval, allowed: float) -> list[str]:
    verdict = f"**worse by more than {allowed:.0%}**" if ratio.is_worse_than(allowed) else ""
    interval = f"{ratio.low:.3f}–{ratio.high:.3f}"
    return [name, f"{before:,.0f}", f"{now:,.0f}", f"{ratio.ratio:.3f}", interval, verdict]


@contextmanager
def _serving(tree: Tree, folder: Path, bench: Bench) -> Iterator[list[Case]]:
    """Start the service of a tree. Yield the requests to measure.

    The service keeps its data in `folder`, and reads its limits from a file.
    """
    folder.mkdir()
    file = folder / "limits.json"
    file.write_text(json.dumps({"model_configs": list(_limits())}), "utf-8")
    environ = {**WORKER, "GOVERNANCE_CONFIG": str(file)}
    with servers.ours(folder, bench.core, environ, tree.folder, tree.python) as server:
        yield _cases(server, servers.admin_headers(folder))


def _cases(server: Server, headers: Mapping[str, str]) -> list[Case]:
    def page(query: str) -> bytes:
        return load.request("GET", f"{LIST}?{query}", headers)

    reserve = load.request("POST", RESERVATIONS, headers, CALL)
    return [
        Case(REPEATED, server, [page("from_memory=true")]),
        Case(NEW, server, [page(f"from_memory=true&offset={offset}") for offset in range(0, LIMITS - 25, 3)]),
        Case(DATABASE, server, [page("limit=25")]),
        Case(RESERVE, server, [reserve], connections=CLIENTS),
        Case(KEYED, server, [reserve], connections=CLIENTS, keyed=True),
        Case(BY_KIND, server, [load.request("POST", RESERVATIONS, headers, CALL_BY_KIND)], connections=CLIENTS),
        Case(BOTH, server, [reserve], connections=CLIENTS, settles=True),
    ]


def _limits() -> Iterator[dict[str, object]]:
    """Yield limits that apply to no call and are only listed. Then yield four limits that apply to every call.

    Each limit has two counters.
    """
    for number in range(LIMITS - len(TIERS)):
        yield _limit(f"model-{number}", f"provider-{number % 7}")
    for model, provider in TIERS:
        yield _limit(model, provider)


def _limit(model: str, provider: str | None) -> dict[str, object]:
    return {
        "model_name": model,
        "provider": provider,
        "budgets": [{"max_limit": ROOM, "reset_duration": "1d"}],
        "rate_limits": [{"token_max_limit": ROOM * 1_000_000, "token_reset_duration": "1h"}],
    }


def _rounds(cases: list[list[Case]], bench: Bench) -> Iterator[tuple[Costs, Costs]]:
    """Yield the CPU times of both trees for each round. Stop when all intervals are narrow, or after `MOST` rounds."""
    done: list[tuple[Costs, Costs]] = []
    while len(done) < MOST and not (len(done) >= LEAST and _is_narrow(done)):
        tell(f"round {len(done) + 1} of {LEAST} to {MOST}")
        costs: tuple[Costs, Costs] = ({}, {})
        for pair in zip(*cases, strict=True):
            for at in (0, 1) if len(done) % 2 else (1, 0):
                costs[at][pair[at].name] = sample(pair[at], bench).cost
        for each in costs:
            each[SETTLE] = 2 * each[BOTH] - each[RESERVE]
        done.append(costs)
        yield costs


def _is_narrow(rounds: list[tuple[Costs, Costs]]) -> bool:
    return all(_ratio(name, rounds).width <= NARROW for name in rounds[0][0])


def _ratio(name: str, rounds: list[tuple[Costs, Costs]]) -> Interval:
    """Return the ratio of the two trees' CPU times for one kind of request.

    The CPU time of a settle is computed as the difference of two measurements. If other processes disturbed a round,
    the difference may be negative. Rounds with such a difference are left out.
    """
    return of_ratios([now[name] / before[name] for before, now in rounds if min(now[name], before[name]) > 0])
