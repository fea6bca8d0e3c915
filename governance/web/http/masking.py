"""Masks secrets in text from clients, before the text is logged or returned.

The first characters of a secret are public, and stay visible.
"""

import re
from collections.abc import Callable

from governance.domain.keys import shown_prefix

SECRET = re.compile(r"(?:gov|sk)-[A-Za-z0-9_\-]{16,}")
"""Matches text that looks like an API key or a virtual key."""
QUOTED = re.compile(r"'([^']+)'")


def masked(path: str, is_secret: Callable[[str], bool]) -> str:
    """Return a path with secrets masked.

    Secrets are text that looks like a key, and segments for which `is_secret` is true.
    """
    return "/".join(_shown(part) if is_secret(part) else SECRET.sub(_cut, part) for part in path.split("/"))


def masked_sentence(sentence: str, is_secret: Callable[[str], bool]) -> str:
    """Return a sentence with secrets masked.

    Secrets are text that looks like a key, and quoted text for which `is_secret` is true.
    """
    return QUOTED.sub(
        lambda quoted: f"'{_shown(quoted[1])}'" if is_secret(quoted[1]) else quoted[0], SECRET.sub(_cut, sentence)
    )


def _cut(match: re.Match[str]) -> str:
    return _shown(match[0])


def _shown(secret: str) -> str:
    return f"{shown_prefix(secret)}…"
