"""Streams pass as they come, and are charged what the table says, however they end."""

import pytest

from tests.gateways.model_server import FIRST, SECOND

SETTLED = {"openai": 18, "anthropic": 18}


@pytest.mark.parametrize("text", ["Hello", "Close"])
def test_stream_passes_chunk_by_chunk_and_is_charged(gateway, limits, provider, text):
    """With `proxy_buffering on`, nginx holds back a stream without chunked encoding until its end."""
    key = limits.key(budget={"max_limit": 5, "reset_duration": "1d"})
    pieces = gateway.client(provider, key).stream(text)
    assert next(pieces) == FIRST
    gateway.models.go_on.set()
    assert list(pieces) == [SECOND]
    held = limits.ended(key)
    expected = SETTLED[provider] if gateway.row.settles else held["tokens"]["reserved"]
    assert (held["status"], held["tokens"]["used"]) == ("settled", expected)


def test_stream_too_long_to_copy_is_charged_the_usage_at_its_ends(gateway, limits, provider):
    key = limits.key()
    gateway.models.go_on.set()
    assert sum(map(len, gateway.client(provider, key).stream("Long 6"))) == 6_000_000 + len(FIRST)
    held = limits.ended(key)
    assert held["tokens"]["used"] == (SETTLED[provider] if gateway.row.settles else held["tokens"]["reserved"])


def test_stream_that_breaks_off_is_not_free(gateway, limits, provider):
    key = limits.key(budget={"max_limit": 5, "reset_duration": "1d"})
    client = gateway.client(provider, key)
    gateway.models.go_on.set()
    with pytest.raises(Exception, match=r"(?i)connection|peer|closed|incomplete|terminated"):
        list(client.stream("Break"))
    limits.is_charged_or_held(key)


def test_stream_whose_reader_goes_away_is_not_free(gateway, limits, provider):
    key = limits.key(budget={"max_limit": 5, "reset_duration": "1d"})
    client = gateway.client(provider, key)
    pieces = client.stream("Hello")
    assert next(pieces) == FIRST
    client.library.close()
    gateway.models.go_on.set()
    limits.is_charged_or_held(key)
