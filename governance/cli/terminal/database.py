"""Gives a command access to the services of the app. `opened` checks the database before that."""

from collections.abc import Iterator
from contextlib import contextmanager

from governance.cli.terminal.output import exit_on_errors
from governance.container import Container, governance


@contextmanager
def opened() -> Iterator[Container]:
    """Yield the services, if the database exists and has the schema of this version.

    If the check or the block raises an error, print the error as a sentence and end the command with exit code 1.
    """
    with unchecked() as service:
        service.database_file.check()
        service.health.refuse_unready()
        yield service


@contextmanager
def unchecked() -> Iterator[Container]:
    """Yield the services without a check of the database. Errors are handled as in `opened`.

    No other process can replace the database file before the end of the block, when its connections are closed.
    """
    with exit_on_errors():
        service = governance()
        with service.database_file.opened():
            try:
                yield service
            finally:
                service.database.engine.dispose()
