"""What the memory logs: its logger hands nothing to the root's handlers once an app was made."""

import logging
from collections.abc import Iterator

import pytest

from tests.snapshot.states import Records


@pytest.fixture
def log() -> Iterator[Records]:
    logger, records = logging.getLogger("governance.memory"), Records()
    logger.addHandler(records)
    yield records
    logger.removeHandler(records)
