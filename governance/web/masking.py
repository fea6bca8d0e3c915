"""Paths as they may be logged and echoed: a key that somebody put into one is cut to what may be shown of it."""

import re
from collections.abc import Callable

from governance.domain.keys import shown_prefix

SECRET = re.compile(r"(?:gov|sk)-[A-Za-z0-9_\-]{16,}")
"""What looks like an API key or a gateway's key, wherever it stands."""


def masked(path: str, is_secret: Callable[[str], bool]) -> str:
    """A path without the secrets in it: what looks like one, and each segment that `is_secret` knows as one."""
    return "/".join(_shown(part) if is_secret(part) else SECRET.sub(_cut, part) for part in path.split("/"))


def _cut(match: re.Match[str]) -> str:
    return _shown(match[0])


def _shown(secret: str) -> str:
    return f"{shown_prefix(secret)}…"
