"""What is done once: in the master before the workers start, for the database; in each worker, for its interpreter."""

import errno
import gc
import logging
import os
import resource
import socket
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flask import Flask

from governance import __version__
from governance.container import EXTENSION, Container
from governance.domain.errors import NotReady, Unavailable
from governance.services.keys import admin_key
from governance.settings import Settings
from governance.storage.limits.states import any_limits
from governance.storage.private_files import make_folder
from governance.storage.sqlite.files import migrations
from governance.storage.sqlite.files.service_lock import ServiceLock

logger = logging.getLogger("governance.startup")

NEW_OBJECTS = 20_000
"""Requests leave next to no cycles behind: looking for some after each 700 new objects took 4 % of the time."""
SWITCH = 0.0005
"""Seconds that a request waits at most for the interpreter while a refresh has it; Python's own 5 ms are ten pages."""
NO_FOLDER = "The instance folder could not be made: look at the log."
NO_KEY = f"No admin key was made: look at the log, and make one with {admin_key.NEW_KEY}."


def tune() -> None:
    """Set this process' interpreter for many short requests, beside a poll that computes for milliseconds."""
    gc.set_threshold(NEW_OBJECTS)
    sys.setswitchinterval(SWITCH)


def allow_files(wanted: int) -> None:
    """Raise this process' limit of open files (its workers inherit it) to what a worker needs, as far as it may.

    Where that is not far enough the log says so; a worker then takes fewer connections (`web/worker/loop.py`).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now < wanted:
        logger.warning(
            "each worker takes fewer connections: only %d files may be open, and %d are wanted (raise ulimit -n)",
            now,
            wanted,
        )


@dataclass
class StartFindings:
    """What the start and the last reload found, for `/readyz` to warn of."""

    start: list[str] = field(default_factory=list)
    config: list[str] = field(default_factory=list)
    greeting: str = ""
    reload_asked: bool = False
    """Whether SIGHUP came before the start was done."""
    database_lock: ServiceLock | None = None
    """What this service holds on its database for as long as it runs."""
    metrics_folder: Path | None = None
    """The folder that this service made for its metrics, and takes away when it ends."""

    @property
    def warnings(self) -> list[str]:
        """All of it."""
        return [*self.start, *self.config]

    def ask_for_reload(self, *_: object) -> None:
        """Handle SIGHUP until gunicorn does."""
        self.reload_asked = True


found = StartFindings()
"""Kept here, for gunicorn reads its configuration file anew at SIGHUP, and this module only once."""


def prepare(app: Flask) -> list[str]:
    """Make the database ready, and apply the file of limits; what `/readyz` shall warn of.

    Raises NotReady, which says what to do, where that cannot be.
    """
    return [*make_ready(app), *apply_config(app)]


def make_ready(app: Flask, service: ServiceLock | None = None) -> list[str]:
    """Make the folders, the database and the first admin key; what `/readyz` shall warn of. Raises NotReady.

    `service`: the lock that this service holds on its database.
    """
    with service_of(app) as governance:
        settings = governance.settings
        folders = (settings.instance_path,)
        warnings = migrations.upgrade(settings.database_path, settings.busy_timeout, folders=folders, service=service)
        warnings += _make_instance(governance) + _create_first_key(governance)
    logger.info("model limits %s starts", __version__)
    for warning in warnings:
        logger.warning("%s", warning)
    return warnings


def apply_config(app: Flask) -> list[str]:
    """Apply the file of GOVERNANCE_CONFIG at the start; what `/readyz` shall warn of. Raises NotReady."""
    with service_of(app) as governance:
        path = governance.settings.config_path
        try:
            return [] if path is None else governance.sync.at_start(path)
        except Unavailable as error:
            raise NotReady(f"The file of GOVERNANCE_CONFIG could not be applied: {error.message}") from error


@contextmanager
def service_of(app: Flask) -> Iterator[Container]:
    """The service of an app, and nothing of it open afterwards.

    A connection that is forked along holds SQLite's locks in the parent's name.
    """
    governance: Container = app.extensions[EXTENSION]
    try:
        yield governance
    finally:
        governance.close()


def _make_instance(governance: Container) -> list[str]:
    folder = governance.settings.instance_path
    try:
        make_folder(folder)
    except OSError as error:
        return _unless_empty(governance, f"The folder {folder} cannot be made: {error.strerror}.", NO_FOLDER)
    return []


def _create_first_key(governance: Container) -> list[str]:
    settings = governance.settings
    try:
        if settings.admin_key is None:
            governance.api_keys.create_first(settings.admin_key_file)
    except Unavailable as error:
        return _unless_empty(governance, f"The first admin key could not be stored: {error.message}", NO_KEY)
    except NotReady as error:
        return _unless_empty(governance, error.message, NO_KEY)
    return []


def _unless_empty(governance: Container, fault: str, warning: str) -> list[str]:
    """Log what cannot be written at the start; what to warn of. Raises NotReady where no limits are stored."""
    try:
        with governance.database.read() as connection:
            known = any_limits(connection)
    except Unavailable:
        known = False
    if not known:
        raise NotReady(fault)
    logger.warning("%s", fault)
    return [warning]


def check_address(settings: Settings) -> None:
    """Raise NotReady where nobody can listen on the address: gunicorn would try five times, and name no setting."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET  # as gunicorn has it
    try:
        found = socket.getaddrinfo(settings.host, settings.port, family, socket.SOCK_STREAM)
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[0][4])
            probe.listen()
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        wanted = "PORT to one that is free" if taken else "HOST to an address of this machine"
        raise NotReady(f"Set {wanted}: {settings.netloc} cannot be listened on, {error.strerror}.") from error


def freest_core(taken: Iterable[int | None]) -> int | None:
    """The core of this process that the fewest workers have; None where the system keeps no process on a core."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    counts = Counter(taken)
    return min(sorted(os.sched_getaffinity(0)), key=lambda core: counts[core])
