"""The options of `/gateway/authorize`. The proxy's configuration contains them in the URL."""

from typing import NamedTuple

TRUSTED = {
    "model": "HTTP_X_GOVERNANCE_MODEL",
    "provider": "HTTP_X_GOVERNANCE_PROVIDER",
    "user": "HTTP_X_GOVERNANCE_USER",
    "input_tokens": "HTTP_X_GOVERNANCE_INPUT_TOKENS",
    "output_tokens": "HTTP_X_GOVERNANCE_OUTPUT_TOKENS",
    "uri": "HTTP_X_FORWARDED_URI",
}
"""The headers that are used only if the URL names them, because a client can send them too.

The keys are their names in `trust`.
"""


class GatewayOptions(NamedTuple):
    """How a proxy wants its calls to be authorized. `trusted` contains keys of `TRUSTED`."""

    trusted: frozenset[str] = frozenset()
    denies_with_403: bool = False
    shows_all: bool = False
    settles: bool = True


USUAL = GatewayOptions()
