"""The actor of a change is set for a block, only in its own thread, and only until the end of the block."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from governance.services.actor import SERVICE, acting_as, current


def test_where_nobody_asked_the_service_itself_acts():
    assert current() == SERVICE


def test_a_block_has_its_actor_and_an_inner_one_its_own():
    with acting_as("command:sync"):
        with acting_as("file:limits.json"):
            assert current() == "file:limits.json"
        assert current() == "command:sync"
    assert current() == SERVICE


def test_a_block_that_fails_leaves_no_actor_behind():
    with pytest.raises(ValueError, match="no"), acting_as("key:1"):
        raise ValueError("no")
    assert current() == SERVICE


def test_another_thread_has_an_actor_of_its_own():
    with acting_as("key:1"), ThreadPoolExecutor(1) as threads:
        assert threads.submit(current).result() == SERVICE
