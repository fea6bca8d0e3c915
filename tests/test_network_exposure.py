"""The start warns if other machines could read API keys on the network."""

import pytest

from governance.network_exposure import exposure
from governance.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_word_on_tls(host):
    assert exposure(Settings(host=host)) == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "192.0.2.1", "2001:db8::1", "no-such-host.invalid"])  # noqa: S104
def test_listening_beyond_loopback_is_a_warning(host):
    said = exposure(Settings(host=host))
    assert said.startswith(f"{host} can be reached from other machines")
    assert "TLS" in said
    assert said.endswith("HOST=127.0.0.1.")


def test_a_named_proxy_is_the_word_on_tls():
    environ = {"HOST": "0.0.0.0", "GOVERNANCE_TRUSTED_PROXIES": "10.0.0.0/8"}  # noqa: S104
    assert exposure(Settings.from_environ(environ)) == ""
