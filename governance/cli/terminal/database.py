"""Gives a command the services. They are available only if the database exists and has this version's schema."""

from collections.abc import Iterator
from contextlib import contextmanager

from governance.cli.terminal.output import exit_on_errors
from governance.container import Container, governance


@contextmanager
def opened() -> Iterator[Container]:
    """Yield the services. If they raise an error, print it as a sentence and end the command with exit code 1."""
    with unchecked() as service:
        service.database_file.check()
        service.health.refuse_unready()
        yield service


@contextmanager
def unchecked() -> Iterator[Container]:
    """Yield the services.

    Until the block has closed its connections, no other process can replace the database file.
    """
    with exit_on_errors():
        service = governance()
        with service.database_file.opened():
            try:
                yield service
            finally:
                service.database.engine.dispose()
