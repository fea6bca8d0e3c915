"""What is done once: in the master before the workers start, for the database; in each worker, for its interpreter."""

import errno
import gc
import os
import socket
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from flask import Flask

from governance.domain.errors import NotReady, Unavailable
from governance.settings import Settings
from governance.storage import migrations
from governance.web.context import EXTENSION, Governance

NEW_OBJECTS = 20_000
"""Requests leave next to no cycles behind: looking for some after each 700 new objects took 4 % of the time."""
SWITCH = 0.0005
"""Seconds that a request waits at most for the interpreter while a refresh has it; Python's own 5 ms are ten pages."""


def tune() -> None:
    """Set this process' interpreter for many short requests, beside a poll that computes for milliseconds."""
    gc.set_threshold(NEW_OBJECTS)
    sys.setswitchinterval(SWITCH)


def prepare(app: Flask) -> list[str]:
    """Make the database ready, and apply the file of limits; what `/readyz` shall warn of.

    Raises NotReady, which says what to do, where that cannot be.
    """
    governance: Governance = app.extensions[EXTENSION]
    settings = governance.settings
    migrations.upgrade(settings.database_path, settings.busy_timeout)
    try:
        _mint_first(governance)
        return _apply_file(governance)
    finally:
        governance.close()  # a connection that is forked along holds SQLite's locks in the parent's name


def _mint_first(governance: Governance) -> None:
    settings = governance.settings
    try:
        if settings.admin_key is None:
            governance.api_keys.mint_first(settings.admin_key_file)
    except Unavailable as error:
        raise NotReady(f"The first admin key could not be stored: {error.message}") from error


def _apply_file(governance: Governance) -> list[str]:
    path = governance.settings.config_path
    try:
        return [] if path is None else governance.sync.at_start(path)
    except Unavailable as error:
        raise NotReady(f"The file of GOVERNANCE_CONFIG could not be applied: {error.message}") from error


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


def greeting(settings: Settings) -> str:
    """Where the service is, where the admin key is, and the first command to try; never the key itself."""
    address = settings.url
    where, shell = _admin_key(settings)
    return (
        f"Model limits on {address}, explained on {address}/docs\n"
        f"The admin key is {where}. Try:\n"
        f'  curl -H "Authorization: Bearer {shell}" {address}/api/governance/model-configs\n'
    )


def _admin_key(settings: Settings) -> tuple[str, str]:
    """Where a person finds the admin key, and what a shell makes of it."""
    if settings.admin_key is not None:
        return "what you set as GOVERNANCE_ADMIN_KEY", "$GOVERNANCE_ADMIN_KEY"
    file = settings.admin_key_file
    if not file.exists():
        return f"one that was made earlier ({file.name} is gone from {settings.instance}/)", "$YOUR_KEY"
    here = Path.cwd()
    shown = file.relative_to(here) if file.is_relative_to(here) else file
    return f"in {shown}", f"$(cat {shown})"
