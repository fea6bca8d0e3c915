"""Measures a worker process that has a copy of 100,000 limits in its memory (`make bench-scale`).

The copy is called the snapshot. A worker loads it once. After that, a regular *poll* reads what has changed in the
database into the snapshot. The app runs in a separate process, which calls it as gunicorn does. Only *RSS a worker* is
measured in a real gunicorn worker. Pages are read from the snapshot, and no cache can answer the requests. The pages
are measured with two numbers of limits in turn, in five rounds. *first* is the time of the first run, and *p50* is the
median of the other runs.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench import cpu, machine, servers, worker_process, worker_timings
from bench.data import Databases
from bench.results import Bars, Part, table
from bench.rounds import tell
from bench.targets import Target
from bench.worker import CHANGES, DEPTHS, TOGETHER, edited, used
from bench.worker_process import WorkerProcess
from bench.worker_timings import QUERIES, SEARCH, Reads, Times

SIZES, QUICK_SIZES = (1_000, 100_000), (1_000, 10_000)
ROUNDS = 5
DRAWN = ("first page", f"pages at {DEPTHS} depths in turn", "scope", "provider", "sort_by=usage")


class Worker(NamedTuple):
    """The measured times of a worker with one number of limits, in seconds."""

    loaded_in: float
    idle_poll: float
    pages: dict[str, Times]


class Following(NamedTuple):
    """How fast polls bring changes into the larger snapshot, and how much they delay other threads.

    Times are in seconds. `mib` is the memory of a real worker in MiB.
    """

    polls: dict[str, Times]
    held: dict[str, float]
    reads: dict[str, Reads]
    mib: float


Found = Mapping[int, Worker]


def run(databases: Databases, *, quick: bool) -> Part:
    """Measure workers with both numbers of limits, and the memory of a real worker."""
    small, large = QUICK_SIZES if quick else SIZES
    times = 4 if quick else 20
    core, _ = cpu.cores()
    with TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        tell(f"{large:,} limits, a real worker's memory")
        mib = _worker_mib(databases.copy(large, Path(name) / "worker").parent, core)
        workers = {}
        for size in (small, large):
            folder = databases.copy(size, Path(name) / str(size)).parent
            workers[size] = stack.enter_context(worker_process.worker(folder, size, core))
        found = _workers(workers, times)
        following = _following(workers[large], times, mib)
    texts = [_preamble(quick=quick), _cost(found, mib), _pages(found), _followed(large, following)]
    return Part("scale", "\n\n".join(texts), targets(found, following), _bars(found))


def _worker_mib(folder: Path, core: int) -> float:
    """Return the memory in MiB of a real worker that has loaded its snapshot and read 40 pages from the snapshot."""
    with servers.ours(folder, core) as server:
        headers = servers.admin_headers(folder)
        for offset in range(0, 1000, 25):
            server.fetch(f"/api/governance/model-configs?from_memory=true&offset={offset}", headers)
        (pid,) = server.workers
        lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def _workers(workers: Mapping[int, WorkerProcess], times: int) -> Found:
    pages: dict[int, dict[str, Times]] = {size: {} for size in workers}
    for name in QUERIES:
        tell(f"from memory: {name}")
        seconds: dict[int, list[float]] = {size: [] for size in workers}
        for _ in range(ROUNDS):
            for size, worker in workers.items():
                seconds[size] += worker.do(worker_timings.asked, name, DEPTHS // ROUNDS if name != SEARCH else times)
        for size in workers:
            pages[size][name] = Times.of(seconds[size])
    return {
        size: Worker(
            worker.do(worker_timings.loaded), Times.of(worker.do(worker_timings.idle, 5 * times)).middle, pages[size]
        )
        for size, worker in workers.items()
    }


def _following(worker: WorkerProcess, times: int, mib: float) -> Following:
    polls = {}
    for name in CHANGES:
        tell(f"a poll that finds {TOGETHER} {name}")
        polls[name] = Times.of(worker.do(worker_timings.followed, name, times))
    tell("the longest holds of the interpreter")
    held = worker.do(worker_timings.held, min(times, ROUNDS))
    tell("reads, while nothing happens and during refreshes")
    quiet, refreshing = (
        worker.do(read, 2 * times) for read in (worker_timings.read_quietly, worker_timings.read_during_refreshes)
    )
    return Following(polls, held, {"quiet": quiet, "during refreshes": refreshing}, mib)


def targets(found: Found, following: Following) -> list[Target]:
    """Return the targets for a worker, with the measured values."""
    small, large = found.values()
    size = max(found)
    longest = max(following.held, key=lambda name: following.held[name])
    slowest = max(edited.__name__, used.__name__, key=lambda name: following.polls[name].middle)
    quiet, refreshing = following.reads.values()
    shares = {name: large.pages[name].middle / small.pages[name].middle for name in QUERIES if name != SEARCH}
    most = f"p50 at {size:,} ÷ {min(found):,}"
    return [
        Target(f"first load of {size:,} limits", large.loaded_in, 10, unit="s"),
        Target(f"RSS a worker with {size:,} limits", following.mib, 400, unit="MiB"),
        Target("an idle poll", large.idle_poll * 1000, 1, unit="ms"),
        Target(f"{TOGETHER} limits {slowest}, until visible", following.polls[slowest].middle * 1000, 50, unit="ms"),
        Target("from memory, p99 during refreshes ÷ quiet", refreshing.p99 / quiet.p99, 3),
        Target(f"longest hold of the interpreter ({longest})", following.held[longest] * 1000, 5, unit="ms"),
        *(Target(f"from memory, {name}, {most}", share, 1.2) for name, share in shares.items()),
        Target(f"from memory, {SEARCH}, of {size:,}", large.pages[SEARCH].middle * 1000, 5, unit="ms"),
    ]


def _preamble(*, quick: bool) -> str:
    what = " ".join((__doc__ or "").partition("\n\n")[2].split())
    return f"## Scale (`make bench-scale`)\n\n{machine.described(quick=quick)}\n\n{what}"


def _cost(found: Found, mib: float) -> str:
    rows = [[f"{size:,} limits", f"{of.loaded_in:.2f}", f"{of.idle_poll * 1000:.2f}", ""] for size, of in found.items()]
    rows[-1][-1] = f"{mib:.0f}"
    return f"### A worker\n\n{table(('', 'first load s', 'idle poll ms', 'RSS MiB'), rows)}"


def _pages(found: Found) -> str:
    small, large = found.values()
    rows = [
        [name, *_shown(before), *_shown(after), f"{after.middle / before.middle:.2f}"]
        for name, before, after in ((name, small.pages[name], large.pages[name]) for name in QUERIES)
    ]
    head = ("", *(f"{word} at {size:,}" for size in found for word in ("first", "p50")), "p50 ÷ p50")
    return f"### Pages of 25 from memory, ms\n\n{table(head, rows)}"


def _shown(times: Times) -> Iterator[str]:
    return (f"{seconds * 1000:,.2f}" for seconds in (times.first, times.middle))


def _followed(size: int, following: Following) -> str:
    polls = [
        [f"{TOGETHER} {name}", f"{times.middle * 1000:.1f}", f"{times.longest * 1000:.1f}"]
        for name, times in following.polls.items()
    ]
    held = [[name, f"{seconds * 1000:.1f}"] for name, seconds in following.held.items()]
    reads = [
        [name, f"{of.number:,}", *(f"{seconds * 1000:.2f}" for seconds in of[1:])]
        for name, of in following.reads.items()
    ]
    return "\n\n".join(
        [
            f"### Following the database at {size:,} limits",
            table(("a poll that finds", "p50 ms", "worst ms"), polls),
            "The longest single hold of the interpreter, as another thread notices it:",
            table(("", "ms"), held),
            f"Reads, one every 2 ms, and polls that each find {TOGETHER} limits edited and {TOGETHER} used:",
            table(("", "reads", "p50 ms", "p99 ms", "worst ms"), reads),
        ]
    )


def _bars(found: Found) -> Bars:
    p50 = {f"{name}: {size:,}": of.pages[name].middle * 1000 for name in DRAWN for size, of in found.items()}
    return {f"Pages from memory of {' and '.join(f'{size:,}' for size in found)} limits, p50 in ms": p50}
