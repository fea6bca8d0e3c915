"""Warns if API keys may travel over the network without TLS."""

import socket
from ipaddress import ip_address

from governance.settings import Settings


def exposure(settings: Settings) -> str:
    """Return a warning if other machines can reach the service and no trusted proxy is set. Otherwise return ''."""
    if settings.trusted_proxies or _is_loopback(settings.host):
        return ""
    return (
        f"{settings.host} can be reached from other machines, and this service speaks no TLS: API keys travel "
        "readable. Put a proxy with TLS in front and name it in GOVERNANCE_TRUSTED_PROXIES, or set HOST=127.0.0.1."
    )


def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)
