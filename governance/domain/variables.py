"""Environment variables that look like settings of this service, and are none."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

PREFIX = "GOVERNANCE_"
OF_OTHERS = re.compile(r"GOVERNANCE_(URL|KEY|(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?))")
"""What clients read, and what Kubernetes makes of a Service whose name begins with `governance`
(https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables)."""


def misspelt(environ: Mapping[str, str], known: Collection[str]) -> list[str]:
    """A sentence for each variable with our prefix that is no setting; one that is empty counts as absent."""
    return [
        f"Unset {name}, or correct its name: there is no such setting{_did_you_mean(name, known)}."
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known and environ[name].strip() and not OF_OTHERS.fullmatch(name)
    ]


def _did_you_mean(name: str, known: Collection[str]) -> str:
    """The nearest name, compared without the prefix, which makes all names alike."""
    ours = {each.removeprefix(PREFIX): each for each in known}
    close = get_close_matches(name.removeprefix(PREFIX), ours, n=1)
    return f" (did you mean {ours[close[0]]}?)" if close else ""
