"""The service as commands find it: on a database that is there, and of this code's schema."""

from collections.abc import Iterator
from contextlib import contextmanager

from governance.cli.terminal.output import faults_told
from governance.container import Container, governance


@contextmanager
def opened() -> Iterator[Container]:
    """The service to act with; whatever it refuses ends the command with exit code 1 and a sentence."""
    with held() as service:
        service.database_file.check()
        service.health.refuse_unready()
        yield service


@contextmanager
def held() -> Iterator[Container]:
    """The service, with nothing put in its database's place until all that the block opened is closed."""
    with faults_told():
        service = governance()
        with service.database_file.opened():
            try:
                yield service
            finally:
                service.database.engine.dispose()
