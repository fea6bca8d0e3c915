"""The addresses on which a real gunicorn listens, and the addresses in the greeting."""

import socket
from contextlib import closing, suppress

import pytest

from tests.process.service import until

pytestmark = pytest.mark.process


def has_ipv6() -> bool:
    with suppress(OSError), closing(socket.socket(socket.AF_INET6)) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def answers(host: str, port: int) -> bool:
    with suppress(OSError), closing(socket.create_connection((host, port), timeout=5)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return client.recv(100).startswith(b"HTTP/1.1 200")
    return False


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_service_listens_on_ipv6_and_tells_its_url(service, host):
    made = service(HOST=host)
    made.launch()
    until(lambda: answers("::1", made.port))
    assert f"Model limits on http://[::1]:{made.port}, explained on http://[::1]:{made.port}/docs" in (
        made.stderr.read_text()
    )


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_ipv6_port_that_is_taken_stops_start(service):
    first = service(HOST="::1")
    first.launch()
    until(lambda: answers("::1", first.port))
    second = service(HOST="[::1]", PORT=str(first.port))
    assert second.launch().wait(30) == 1
    assert f"Set PORT to one that is free: [::1]:{first.port} cannot be listened on" in second.stderr.read_text()


def test_url_of_every_address_is_this_machine_s(service):
    made = service(HOST="0.0.0.0").start()  # noqa: S104 - the port is free, and the service ends with the test
    assert f"Model limits on http://127.0.0.1:{made.port}," in made.stderr.read_text()
