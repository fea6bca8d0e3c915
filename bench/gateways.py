"""Compares the request rates of `/gateway/authorize` and `POST /reservations` (`make bench-gateways`).

Both endpoints decide whether a call to a model is within its limits. The requests to both name the same numbers of
tokens, the same model and the same virtual key (a key that identifies the caller). The database contains 1,000 limits.
Four of them (with eight counters) apply to every call: the limits of `bench.decide`. Each round measures all kinds of
requests. A ratio in the results is the median of the ratios of the rounds.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from bench import cpu, load, process_exit, servers
from bench.data import Databases
from bench.decide import CALM, CLIENTS, MEASURE, WORKERS, apply_limits
from bench.overspend import RESERVATIONS
from bench.results import table
from bench.rounds import Bench, Case, by_cpu_rate, by_rate, measure
from bench.servers import Server

LIMITS = 1_000
TEXTS = (("system", "You are a helpful assistant. " * 10), ("user", "Say more of this word. " * 20))
CALL = {"model": "the-model", "max_tokens": 500, "messages": [{"role": role, "content": text} for role, text in TEXTS]}
BODY = orjson.dumps(CALL)
PRICE = {"model": "the-model", "provider": "the-provider", "input": 2, "output": 10}
AMOUNTS = {"model": "the-model", "provider": "the-provider", "input_tokens": len(BODY), "output_tokens": 500}
RESERVE, ASKS = "reserve", {"authorize": "?trust=provider", "authorize, settle=never": "?trust=provider&settle=never"}
HEAD = ("", "requests/s", "p99 ms", "rate ÷ reserve", "requests/CPU s ÷ reserve")


def run() -> str:
    """Measure all kinds of requests, and return the results as a table."""
    server_core, load_core = cpu.cores()
    with load.generator(load_core) as generator, TemporaryDirectory(prefix="bench-") as name:
        home = Path(name) / "home"
        Databases(Path(name)).copy(LIMITS, home)
        with servers.ours(home, server_core, WORKERS) as server:
            cases = _cases(server, servers.admin_headers(home))
            found = measure("authorize", cases, Bench(generator, MEASURE, server_core, CALM))
    rows = [
        (
            case,
            f"{figures.rate.middle:,.0f}",
            f"{figures.percentile(0.99) * 1000:.1f}",
            f"{figures.beside(found[RESERVE], by_rate):.2f}",
            f"{figures.beside(found[RESERVE], by_cpu_rate):.2f}",
        )
        for case, figures in found.items()
    ]
    return table(HEAD, rows)


def _cases(server: Server, headers: dict[str, str]) -> list[Case]:
    """Store the limits, a price and a virtual key. Return the requests to measure."""
    apply_limits(server, headers)
    server.fetch("/api/governance/prices", headers, "POST", orjson.dumps(PRICE))
    made = server.fetch("/api/governance/virtual-keys", headers, "POST", orjson.dumps({"name": "bench"}))
    value = orjson.loads(made)["virtual_key"]["value"]
    proxy = {
        "X-Governance-Key": headers["Authorization"].removeprefix("Bearer "),
        "X-Governance-Provider": "the-provider",
        "Authorization": f"Bearer {value}",
    }
    reserve = load.request("POST", RESERVATIONS, headers, orjson.dumps(AMOUNTS | {"virtual_key": value}))
    asked = {name: load.request("POST", f"/gateway/authorize{query}", proxy, BODY) for name, query in ASKS.items()}
    requests = {RESERVE: reserve, **asked}
    return [Case(name, server, [request], connections=CLIENTS) for name, request in requests.items()]


if __name__ == "__main__":
    process_exit.exit_on_sigterm()
    sys.stdout.write(f"{run()}\n")
