"""The services for a command. They are available only if the database exists and has the schema of this version."""

from collections.abc import Iterator
from contextlib import contextmanager

from governance.cli.terminal.output import exit_on_errors
from governance.container import Container, governance


@contextmanager
def opened() -> Iterator[Container]:
    """Yield the services. An error that they raise ends the command with exit code 1 and a sentence."""
    with unchecked() as service:
        service.database_file.check()
        service.health.refuse_unready()
        yield service


@contextmanager
def unchecked() -> Iterator[Container]:
    """Yield the services. No other process replaces the database file before the block's connections are closed."""
    with exit_on_errors():
        service = governance()
        with service.database_file.opened():
            try:
                yield service
            finally:
                service.database.engine.dispose()
