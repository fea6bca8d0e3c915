"""Formats network addresses of the service, and hides the secrets in a database URL."""

from ipaddress import ip_address


def netloc(host: str, port: int) -> str:
    """Return `host:port`, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def without_brackets(host: str) -> str:
    """Return the host without the brackets that a URL puts around an IPv6 address: `::1` for `[::1]`."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def reachable(host: str) -> str:
    """Return the address at which clients can reach a service that listens on `host`.

    If `host` means all addresses (`0.0.0.0` or `::`), return a loopback address.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004 - IPv4


def without_secrets(url: str) -> str | None:
    """Return a database URL without the parts that may contain a user name, a password or a key.

    Return None if `url` is not a URL.
    """
    scheme, mark, rest = url.partition(":")
    if not mark or "@" in scheme or not rest.startswith("//"):
        return None
    shown = rest.partition("?")[0] if scheme == "sqlite" and "@" not in rest else "//"
    return url if shown == rest else f"{scheme}:{shown}…"
