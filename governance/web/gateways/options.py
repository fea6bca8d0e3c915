"""The options of `/gateway/authorize`, which the proxy's own configuration gives in the URL."""

from typing import NamedTuple

TRUSTED = {
    "model": "HTTP_X_GOVERNANCE_MODEL",
    "provider": "HTTP_X_GOVERNANCE_PROVIDER",
    "user": "HTTP_X_GOVERNANCE_USER",
    "input_tokens": "HTTP_X_GOVERNANCE_INPUT_TOKENS",
    "output_tokens": "HTTP_X_GOVERNANCE_OUTPUT_TOKENS",
    "uri": "HTTP_X_FORWARDED_URI",
}
"""The headers that count only if the URL names them, by their names in `trust`: a client can send them too."""


class GatewayOptions(NamedTuple):
    """How a proxy wants its calls authorized. `trusted` are keys of `TRUSTED`."""

    trusted: frozenset[str] = frozenset()
    denies_with_403: bool = False
    shows_all: bool = False
    settles: bool = True


USUAL = GatewayOptions()
