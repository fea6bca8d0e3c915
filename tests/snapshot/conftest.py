"""The log of the snapshot. After an app was made, its logger passes nothing to the handlers of the root logger."""

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
