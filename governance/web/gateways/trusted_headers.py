"""Reads the headers that a proxy sets itself. The option `trust` in the URL of the proxy's request names these headers.

All other headers are ignored, because a client can send them too.
"""

from governance.domain.gateways.model_call import unreadable
from governance.domain.names import MAX_NAME, has_control
from governance.web.gateways.options import TRUSTED, GatewayOptions
from governance.web.http.flask_app import HttpRequest

NAMES = ("model", "provider", "user")


def told(request: HttpRequest, options: GatewayOptions) -> dict[str, str]:
    """Return the values of the trusted headers, by their names in `trust`. Empty values are left out.

    Raises InvalidRequest.
    """
    found = {name: _text(request, name) for name in options.trusted}
    return {name: text for name, text in found.items() if text}


def _text(request: HttpRequest, name: str) -> str:
    """Return the text of a header.

    WSGI has decoded the header as Latin-1, so it is decoded again as UTF-8. Raises InvalidRequest if the header is not
    UTF-8. Also raises InvalidRequest if the header must contain a name, and the text is not a valid name.
    """
    header = TRUSTED[name].removeprefix("HTTP_").replace("_", "-").title()
    try:
        text = str(request.environ.get(TRUSTED[name], "")).encode("latin-1").decode().strip()
    except UnicodeDecodeError as error:
        raise unreadable(f"Send {header} as UTF-8.", header) from error
    if name in NAMES and (len(text) > MAX_NAME or has_control(text)):
        raise unreadable(f"Give {header} 1 to {MAX_NAME} visible characters.", header)
    return text
