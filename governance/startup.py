"""Prepares the start of the service: the master prepares the database, and each worker tunes its interpreter."""

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
"""The garbage collector runs each time after this many new objects.

With Python's default of 700, the collector took 4 % of the time, although requests leave little garbage.
"""
SWITCH = 0.0005
"""The time in seconds after which the interpreter may switch to another thread.

With Python's default of 5 ms, a short request could wait while another thread renders ten pages.
"""
NO_FOLDER = "The instance folder could not be made: look at the log."
NO_KEY = f"No admin key was made: look at the log, and make one with {admin_key.NEW_KEY}."


def tune() -> None:
    """Tune this process's interpreter, so that a poll that computes for milliseconds delays no short request."""
    gc.set_threshold(NEW_OBJECTS)
    sys.setswitchinterval(SWITCH)


def allow_files(wanted: int) -> None:
    """Raise this process's maximum number of open files to `wanted`, or to the highest value that the system allows.

    Workers inherit the maximum. If it stays below `wanted`, the log says so, and a worker accepts fewer connections
    (`web/worker/loop.py`).
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
    """The warnings and locks of the start, and the warnings of the last reload. `/readyz` reports the warnings.

    A reload applies the config file again. SIGHUP asks for a reload.
    """

    start: list[str] = field(default_factory=list)
    config: list[str] = field(default_factory=list)
    greeting: str = ""
    reload_asked: bool = False
    """Whether SIGHUP arrived before the start was complete."""
    database_lock: ServiceLock | None = None
    """The lock on the database. The service holds it as long as it runs."""
    metrics_folder: Path | None = None
    """The folder of the metrics. The service creates it when it starts and removes it when it stops."""

    @property
    def warnings(self) -> list[str]:
        """Return the warnings of the start and of the last reload."""
        return [*self.start, *self.config]

    def ask_for_reload(self, *_: object) -> None:
        """Handle SIGHUP until gunicorn installs its own handler."""
        self.reload_asked = True


found = StartFindings()
"""The only `StartFindings` of the process.

It is in a module because gunicorn runs its configuration file again at SIGHUP, but never reloads a module.
"""


def prepare(app: Flask) -> list[str]:
    """Prepare the database, and apply the config file.

    Return warnings for `/readyz`. Raises NotReady, whose message says what to do.
    """
    return [*make_ready(app), *apply_config(app)]


def make_ready(app: Flask, service: ServiceLock | None = None) -> list[str]:
    """Create the folders, the database and the first admin key.

    Return warnings for `/readyz`. Raises NotReady. `service` is the lock that this service holds on its database.
    """
    with service_of(app) as governance:
        settings = governance.settings
        folders = (settings.instance_path,)
        warnings = migrations.upgrade(settings.database_path, settings.busy_timeout, folders=folders, service=service)
        warnings += _make_instance(governance) + _create_first_key(governance)
        governance.history.refuse_another_zone()
    logger.info("model limits %s starts", __version__)
    for warning in warnings:
        logger.warning("%s", warning)
    return warnings


def apply_config(app: Flask) -> list[str]:
    """Apply the config file (GOVERNANCE_CONFIG) at the start. Return warnings for `/readyz`. Raises NotReady."""
    with service_of(app) as governance:
        path = governance.settings.config_path
        try:
            return [] if path is None else governance.sync.at_start(path)
        except Unavailable as error:
            raise NotReady(f"The file of GOVERNANCE_CONFIG could not be applied: {error.message}") from error


@contextmanager
def service_of(app: Flask) -> Iterator[Container]:
    """Yield the container of an app, which contains the objects of the service.

    At the end of the block, close all files of the container. SQLite's locks belong to a process, so a worker must not
    inherit an open connection from its parent process.
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
    """If limits are stored, log a fault and return the warning. Otherwise, raise NotReady with the fault."""
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
    """Raise NotReady if the service cannot listen on the address.

    Without this check, gunicorn would try five times, and its message would not name the setting.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET  # gunicorn chooses in the same way
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
    """Return the core with the fewest workers. Return None if the system cannot bind a process to a core."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    counts = Counter(taken)
    return min(sorted(os.sched_getaffinity(0)), key=lambda core: counts[core])
