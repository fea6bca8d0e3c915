"""A call that never reached the upstream is not charged; one that did, and got no answer, may have been billed."""

import pytest

from tests.process.service import free_port

DAY_BUDGET = {"budget": {"max_limit": 5, "reset_duration": "1d"}}


@pytest.fixture(scope="session")
def no_model() -> int:
    """A port on which no model server listens."""
    return free_port()


def test_upstream_that_cannot_be_reached_is_charged_as_the_table_says(gateway, limits, no_model, provider):
    key = limits.key(**DAY_BUDGET)
    client = gateway.client(provider, key, url=gateway.start(models_port=no_model).url)
    with pytest.raises(client.errors.InternalServerError):
        client.ask("Hello")
    assert limits.ended(key)["status"] == ("released" if gateway.row.settles else "settled")


def test_upstream_that_takes_a_call_and_does_not_answer_is_not_free(gateway, limits, provider):
    key = limits.key(**DAY_BUDGET)
    client = gateway.client(provider, key)
    with pytest.raises(client.errors.InternalServerError):
        client.ask("Vanish")
    held = limits.ended(key)
    assert (held["status"], held["tokens"]["used"]) == ("settled", held["tokens"]["reserved"])
    assert len(gateway.models.requests) == 1


def test_client_that_goes_away_before_the_answer_does_not_call_for_free(gateway, limits, provider):
    key = limits.key(**DAY_BUDGET)
    client = gateway.client(provider, key)
    client.library = client.library.with_options(timeout=0.5)
    with pytest.raises(client.errors.APITimeoutError):
        client.ask("Wait")
    gateway.models.go_on.set()
    limits.is_charged_or_held(key)
