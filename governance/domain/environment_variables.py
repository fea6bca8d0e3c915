"""Finds misspelt settings: environment variables with the prefix GOVERNANCE_ that are not settings.

The service refuses to start with misspelt settings. Commands only warn.
"""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

PREFIX = "GOVERNANCE_"
OF_OTHERS = re.compile(r"GOVERNANCE_(URL|KEY|(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?))")
"""Matches variables that clients use, or that Kubernetes sets for a Service named `governance…`
(https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
"""


def misspelt(environ: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Return a sentence for each variable with the prefix GOVERNANCE_ that is not a setting.

    Empty variables are ignored.
    """
    return [
        f"Unset {name}, or correct its name: there is no such setting{_did_you_mean(name, known)}."
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known and environ[name].strip() and not OF_OTHERS.fullmatch(name)
    ]


def _did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a hint with the most similar name. The prefix GOVERNANCE_ is not compared."""
    ours = {each.removeprefix(PREFIX): each for each in known}
    close = get_close_matches(name.removeprefix(PREFIX), ours, n=1)
    return f" (did you mean {ours[close[0]]}?)" if close else ""
