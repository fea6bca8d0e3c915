"""Finds the address of a request's client: the address of the peer, or the address that a trusted proxy names.

The peer is the other end of the connection. It is the client itself, or a proxy.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from wsgiref.types import WSGIEnvironment

Network = IPv4Network | IPv6Network


def peer(environ: WSGIEnvironment) -> str:
    """Return the address of the peer, or an empty string over a Unix socket."""
    return str(environ.get("REMOTE_ADDR", ""))


def forwarded_for(environ: WSGIEnvironment, trusted: tuple[Network, ...] | None) -> str | None:
    """Return the client's address from X-Forwarded-For.

    Return None if the peer is not a trusted proxy. Each proxy appends the address of its own peer to the header. A
    client can send the header with invented addresses, but these stand before the addresses that proxies append. So the
    client is the last address in the header that is not a trusted proxy.
    """
    if not trusted or not _is_among(trusted, _address(peer(environ))):
        return None
    for told in reversed(str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")):
        address = _address(told.strip())
        if address is None:
            return None
        if not _is_among(trusted, address):
            return str(address)
    return None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _is_among(networks: tuple[Network, ...], address: IPv4Address | IPv6Address | None) -> bool:
    return address is not None and any(address in network for network in networks)
