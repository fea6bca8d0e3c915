"""Without the service a call is refused, or passes where that was chosen; a body over the bound is refused."""

import socket
from time import monotonic

import pytest

from tests.gateways.conftest import ROWS
from tests.gateways.proxies import KEYS
from tests.process.service import free_port

WITHOUT_SERVICE = {
    "envoy": (503, None),
    "nginx": (503, "The limits service does not answer"),
    "nginx-auth-request": (503, "The limits service does not answer"),
    "traefik": (500, None),
    "caddy": (502, None),
}
"""The status that a client gets, and the sentence if the proxy has one."""
TIMEOUT, TRAEFIK_TIMEOUT = 5, 30
"""Seconds that a recipe waits for the service. Traefik has no setting for its own."""
TOO_LONG = "x" * 17 * 1024 * 1024
LONG = "x" * 3 * 1024 * 1024


@pytest.fixture(scope="session")
def nobody() -> int:
    """A port on which no service listens."""
    return free_port()


def test_without_the_service_a_call_is_refused(gateway, nobody, provider):
    client = gateway.client(provider, "sk-gov-any", url=gateway.start(limits_port=nobody).url)
    status, sentence = WITHOUT_SERVICE[gateway.row.recipe]
    with pytest.raises(client.errors.InternalServerError, match=sentence) as told:
        client.ask("Hello")
    assert told.value.status_code == status
    assert gateway.models.requests == []


@pytest.mark.parametrize("row", [each for each in ROWS if each.values[0].may_fail_open], indirect=True)
def test_without_the_service_a_call_passes_where_that_was_chosen(gateway, nobody, provider):
    client = gateway.client(provider, "sk-gov-any", url=gateway.start(limits_port=nobody, fail_open=True).url)
    assert client.ask("Hello", headers={"X-Governance-User": "me"}) == "Hello"
    (seen,) = gateway.models.requests
    assert not [name for name in seen.headers if "governance" in name]
    assert "sk-gov-any" not in str(seen.headers)
    assert KEYS[f"{provider.upper()}_API_KEY"] in str(seen.headers)


def test_service_that_hangs_holds_a_call_no_longer_than_its_timeout(gateway):
    with socket.create_server(("127.0.0.1", 0), backlog=10) as deaf:
        client = gateway.client("openai", "sk-gov-any", url=gateway.start(limits_port=deaf.getsockname()[1]).url)
        client.library = client.library.with_options(timeout=2 * TRAEFIK_TIMEOUT)
        began = monotonic()
        with pytest.raises(client.errors.InternalServerError):
            client.ask("Hello")
    longest = TRAEFIK_TIMEOUT if gateway.row.recipe == "traefik" else TIMEOUT
    assert longest - 1 < monotonic() - began < longest + 1
    assert gateway.models.requests == []


def test_long_request_passes(gateway, limits):
    assert gateway.client("openai", limits.key()).ask(LONG) == "Hello"
    assert len(gateway.models.requests) == 1


def test_request_over_the_bound_is_refused(gateway, limits):
    key = limits.key()
    client = gateway.client("openai", key)
    with pytest.raises((client.errors.APIStatusError, client.errors.APIConnectionError)):
        client.ask(TOO_LONG)
    assert gateway.models.requests == []
