"""Runs a worker (`bench/worker.py`) in a separate process that is bound to one core."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from bench import cpu, process_exit
from bench.worker import Worker

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_workers: list[Worker] = []
"""The worker of this process, as the only item."""


class WorkerProcess:
    """Calls functions in the worker's process."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def do(
        self,
        act: Callable[Concatenate[Worker, Arguments], Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """Call a function in the worker's process, with the worker as its first argument.

        Return its result, or raise its error.
        """
        return self._pool.submit(_do, act, *arguments, **named).result()  # type: ignore[arg-type]


@contextmanager
def worker(folder: Path, size: int, core: int) -> Iterator[WorkerProcess]:
    """Start a worker on the database in a folder. Stop it at the end of the block."""
    with ProcessPoolExecutor(1, get_context("spawn"), _start, (folder, size, core)) as pool:
        yield WorkerProcess(pool)


def _start(folder: Path, size: int, core: int) -> None:
    cpu.stay_on(core)
    process_exit.exit_with_parent()
    _workers.append(Worker(folder, size))


def _do(act: Callable[..., Result], *arguments: object, **named: object) -> Result:
    return act(_workers[0], *arguments, **named)
