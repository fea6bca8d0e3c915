"""The service as commands find it: on a database that is there, and of this code's schema."""

from collections.abc import Iterator
from contextlib import contextmanager

from governance.cli.terminal.output import faults_told
from governance.storage.sqlite.files import start_check
from governance.storage.sqlite.locks import service_lock
from governance.web.http.context import Governance, governance


@contextmanager
def opened() -> Iterator[Governance]:
    """The service to act with; whatever it refuses ends the command with exit code 1 and a sentence."""
    with held() as service:
        start_check.check_for_command(service.settings.database_path, service.settings.busy_timeout)
        service.health.refuse_unready()
        yield service


@contextmanager
def held() -> Iterator[Governance]:
    """The service, with nothing put in its database's place until all that the block opened is closed."""
    with faults_told():
        service = governance()
        with service_lock.opened_by_command(service.settings.database_path, service.settings.busy_timeout):
            try:
                yield service
            finally:
                service.database.engine.dispose()
