"""Adds up the metrics of all workers.

Each worker writes its counts, which are the values of its metrics, to a file, and reads the files of the other workers.
The multiprocess mode of prometheus_client (`PROMETHEUS_MULTIPROC_DIR`) is not used, because it maps sparse files into
memory. If the disk has no room for a page of such a file, the first write to that page kills the process (SIGBUS). In
this module, only counts are lost if a file cannot be written. Before a worker shows a total, it writes its own file. So
a total that another worker shows later contains these counts too, and is not smaller.
"""

import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import Metric

from governance.storage import private_files

logger = logging.getLogger("governance.services")

OURS = "governance_"
MADE = "_created"
ENDED = "ended"
"""The file in which the master process stores the counts of workers that have ended."""
Counts = dict[str, Any]
"""The counts of one worker, by metric.

Each metric has a type, a help text, and samples of the form [name, labels, value].
"""


class SharedCounts:
    """Reads the counts of this worker and, after a call of `share`, of all other workers."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._file: Path | None = None
        self._failed = False

    def share(self, folder: Path) -> None:
        """Publish the counts in a folder from now on. No other worker uses the same file name."""
        self._file = folder / f"{os.getpid()}-{time.time_ns()}.json"
        self.publish()

    def publish(self) -> None:
        """Write this worker's counts to its file. Only the first of several failures in a row is logged."""
        if self._file is None:
            return
        try:
            _write(self._file, self._own())
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.warning("the metrics of this worker cannot be shared with the others: %s", error)
            self._failed = True

    def collect(self) -> Iterable[Metric]:
        """Return the sums of all workers' counts. A gauge is not summed: it has one sample for each running worker."""
        self.publish()
        return _added([self._own(), *self._others()])

    def _own(self) -> Counts:
        return _counts(metric for metric in self._registry.collect() if metric.name.startswith(OURS))

    def _others(self) -> Iterator[Counts]:
        if self._file is None:
            return
        read = {file.name: _read(file) for file in self._file.parent.glob("*.json") if file != self._file}
        ended = _read(
            self._file.with_name(ENDED)
        )  # read this file last, so it contains the counts of worker files that were removed in the meantime
        folded = ended.pop("folded", [])
        yield ended
        for name, counts in read.items():
            if name not in folded:
                yield counts if _lives(name) else _without_gauges(counts)


def make_folder(instance: Path) -> Path | None:
    """Create a folder for the counts of this service's workers, and remove the folders of services that have ended.

    If the folder cannot be created, log a warning and return None. Then each worker shows only its own counts.
    """
    parent = instance / "metrics"
    folder = parent / str(os.getpid())
    try:
        private_files.make_folder(parent)
        for old in parent.iterdir():
            if old == folder or not _lives(old.name):
                shutil.rmtree(old, ignore_errors=True)
        private_files.make_folder(folder)
    except OSError as error:
        logger.warning("the metrics of the workers are not added up: %s", error)
        return None
    return folder


def remove_folder(folder: Path) -> None:
    """Remove the folder. Remove its parent too if no other service uses it."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def fold(folder: Path, pid: int) -> None:
    """Move the counts of a worker that has ended from its own file to the master's file."""
    with suppress(OSError):  # if this fails, the worker's file stays and is still read
        for file in folder.glob(f"{pid}-*.json"):
            target = folder / ENDED
            ended = _read(target)
            folded = [name for name in ended.pop("folded", []) if (folder / name).exists()]
            total = _counts(_added([ended, _without_gauges(_read(file))]))
            _write(target, total | {"folded": [*folded, file.name]})
            file.unlink()


def _added(several: Iterable[Counts]) -> list[Metric]:
    metrics: dict[str, Metric] = {}
    totals: dict[str, dict[Any, float]] = {}
    for counts in several:
        for name, told in counts.items():
            metrics.setdefault(name, Metric(name, told["help"], told["type"]))
            samples = totals.setdefault(name, {})
            for sample, labels, value in told["samples"]:
                own = len(samples) if told["type"] == "gauge" else 0
                place = (sample, tuple(sorted(labels.items())), own)
                samples[place] = samples.get(place, 0) + value
    for name, samples in totals.items():
        for (sample, labels, _), value in samples.items():
            metrics[name].add_sample(sample, dict(labels), value)
    return list(metrics.values())


def _counts(metrics: Iterable[Metric]) -> Counts:
    return {
        metric.name: {
            "type": metric.type,
            "help": metric.documentation,
            "samples": [(each.name, each.labels, each.value) for each in metric.samples if MADE not in each.name],
        }
        for metric in metrics
    }


def _without_gauges(counts: Counts) -> Counts:
    """Return the counts of a worker that has ended, without its gauges."""
    return {name: told for name, told in counts.items() if told["type"] != "gauge"}


def _read(file: Path) -> Counts:
    """Return the published counts of a worker. The result is empty if the file is missing or damaged."""
    try:
        return dict(orjson.loads(private_files.read(file)))
    except (OSError, ValueError):
        return {}


def _write(file: Path, counts: Counts) -> None:
    """Replace the file atomically. It is not flushed to the disk, so a crash may lose counts."""
    with private_files.beside(file) as part:
        part.write_bytes(orjson.dumps(counts))
        part.replace(file)


def _lives(name: str) -> bool:
    """Return whether a process still runs. The first part of `name` is the id of the process."""
    pid = name.partition("-")[0]
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # the process exists and belongs to another user
        return True
    return True
