"""Addresses as people write and read them: of the service, and of a database."""

from ipaddress import ip_address


def netloc(host: str, port: int) -> str:
    """Host and port as one word; an IPv6 address is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def without_brackets(host: str) -> str:
    """`::1` for `[::1]`, as a URL writes an IPv6 address."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def reachable(host: str) -> str:
    """The address to call where a service listens on `host`: this machine's own where that is every address."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004 - IPv4


def without_secrets(url: str) -> str | None:
    """As much of a database URL as anyone may see: a user, a password or a key may stand in the rest."""
    scheme, mark, rest = url.partition(":")
    if not mark or "@" in scheme or not rest.startswith("//"):
        return None
    shown = rest.partition("?")[0] if scheme == "sqlite" and "@" not in rest else "//"
    return url if shown == rest else f"{scheme}:{shown}…"
