"""Reads the headers that the URL of a proxy names as its own.

All other headers are ignored, because a client can send them too.
"""

from governance.domain.gateways.model_call import unreadable
from governance.domain.names import MAX_NAME, has_control
from governance.web.gateways.options import TRUSTED, GatewayOptions
from governance.web.http.flask_app import HttpRequest

NAMES = ("model", "provider", "user")


def told(request: HttpRequest, options: GatewayOptions) -> dict[str, str]:
    """Return the values that are not empty, by their names in `trust`. Raises InvalidRequest."""
    found = {name: _text(request, name) for name in options.trusted}
    return {name: text for name, text in found.items() if text}


def _text(request: HttpRequest, name: str) -> str:
    """Return the text of a header, which WSGI decodes as Latin-1.

    Raises InvalidRequest if it is not UTF-8, or if it must be a name and is not a valid one.
    """
    header = TRUSTED[name].removeprefix("HTTP_").replace("_", "-").title()
    try:
        text = str(request.environ.get(TRUSTED[name], "")).encode("latin-1").decode().strip()
    except UnicodeDecodeError as error:
        raise unreadable(f"Send {header} as UTF-8.", header) from error
    if name in NAMES and (len(text) > MAX_NAME or has_control(text)):
        raise unreadable(f"Give {header} 1 to {MAX_NAME} visible characters.", header)
    return text
