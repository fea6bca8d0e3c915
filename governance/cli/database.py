"""The service as commands find it: on a database that is there, and of this code's schema."""

from collections.abc import Iterator
from contextlib import contextmanager

from governance.cli.output import faults_told
from governance.web.context import Governance, governance


@contextmanager
def opened() -> Iterator[Governance]:
    """The service to act with; whatever it refuses ends the command with exit code 1 and a sentence."""
    with faults_told():
        service = governance()
        service.health.refuse_unready()
        yield service
