"""The options of `/gateway/authorize`. They are in the query string of the URL in the proxy's configuration."""

from typing import NamedTuple

TRUSTED = {
    "model": "HTTP_X_GOVERNANCE_MODEL",
    "provider": "HTTP_X_GOVERNANCE_PROVIDER",
    "user": "HTTP_X_GOVERNANCE_USER",
    "input_tokens": "HTTP_X_GOVERNANCE_INPUT_TOKENS",
    "output_tokens": "HTTP_X_GOVERNANCE_OUTPUT_TOKENS",
    "uri": "HTTP_X_FORWARDED_URI",
}
"""The headers that a proxy may set itself. The keys are the names of these headers in the option `trust`.

A header is used only if `trust` names it, because the client of the proxy can send the same header.
"""


class GatewayOptions(NamedTuple):
    """How a proxy wants its calls to be authorized. `trusted` contains keys of `TRUSTED` (the option `trust`)."""

    trusted: frozenset[str] = frozenset()
    denies_with_403: bool = False
    shows_all: bool = False
    settles: bool = True


USUAL = GatewayOptions()
