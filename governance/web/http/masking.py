"""What a client sent, as it may be logged and echoed: a key that somebody put into it is cut to what may be shown."""

import re
from collections.abc import Callable

from governance.domain.keys import shown_prefix

SECRET = re.compile(r"(?:gov|sk)-[A-Za-z0-9_\-]{16,}")
"""What looks like an API key or a gateway's key, wherever it stands."""
QUOTED = re.compile(r"'([^']+)'")


def masked(path: str, is_secret: Callable[[str], bool]) -> str:
    """A path without the secrets in it: what looks like one, and each segment that `is_secret` knows as one."""
    return "/".join(_shown(part) if is_secret(part) else SECRET.sub(_cut, part) for part in path.split("/"))


def masked_sentence(sentence: str, is_secret: Callable[[str], bool]) -> str:
    """A sentence without the secrets in it: what looks like one, and each quoted text that `is_secret` knows as one."""
    return QUOTED.sub(
        lambda quoted: f"'{_shown(quoted[1])}'" if is_secret(quoted[1]) else quoted[0], SECRET.sub(_cut, sentence)
    )


def _cut(match: re.Match[str]) -> str:
    return _shown(match[0])


def _shown(secret: str) -> str:
    return f"{shown_prefix(secret)}…"
