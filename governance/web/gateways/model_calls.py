"""Reads a proxied call to a model from its path, its body, and the headers that the proxy sets itself."""

import re
from collections.abc import Mapping

from governance.domain import names
from governance.domain.errors import Code, Forbidden
from governance.domain.gateways import forms
from governance.domain.gateways.forms import Form
from governance.domain.gateways.model_call import HoldSizes, ModelCall, unreadable, whole
from governance.settings import Settings
from governance.web.gateways import bodies
from governance.web.gateways.bodies import ReadBody
from governance.web.http.flask_app import HttpRequest

MIB = 1024 * 1024
PARTIAL = "HTTP_X_ENVOY_AUTH_PARTIAL_BODY"
CUT_OFF = "Let the proxy pass on the whole body: this one was cut off (in Envoy, raise max_request_bytes)."
UNKNOWN = "Use a path of a known call to a model, or set GOVERNANCE_GATEWAY_UNKNOWN=allow: {} is none that can be read."
NO_PROVIDER = (
    "Send the path of the call behind /gateway/authorize, or as X-Forwarded-Uri with ?trust=uri, or name the provider "
    "as X-Governance-Provider with ?trust=provider: without a provider, its limits would not apply."
)
LONGEST_SHOWN = 100
NUMBER = re.compile("[0-9]{1,15}")


def asked(
    request: HttpRequest, body: ReadBody, path: str | None, told: Mapping[str, str], settings: Settings
) -> ModelCall | None:
    """Return the call to a model that a proxied request makes.

    `path` is the path of the proxied request. It is None if the proxy does not send the path. `told` contains the
    headers that the proxy itself sets. Return None if the path is unknown, the proxy names no model, and the settings
    allow unknown paths. A call whose provider is not known is refused, because no limit on a provider would apply to
    the call. Raises InvalidRequest, Forbidden, RequestEntityTooLarge.
    """
    path = told["uri"].partition("?")[0] if "uri" in told else path
    found = (forms.NAMELESS, None) if path is None else forms.form_of(path)
    if found is None and not told.get("model"):
        if settings.gateway_unknown == "allow":
            return None
        raise Forbidden(UNKNOWN.format(str(path)[:LONGEST_SHOWN]), code=Code.CALL_UNKNOWN)
    if request.environ.get(PARTIAL, "").lower() == "true":
        raise unreadable(CUT_OFF)
    bodies.refuse_other_charset(request)
    data = bodies.plain(body, bodies.coding(request), settings.gateway_body_mb * MIB)
    form, model = found or (forms.NAMELESS, None)
    call = _with_told(_read(data, form, told.get("model") or model, settings), told)
    if not names.spelled(call.model, call.provider)[0]:
        raise Forbidden(NO_PROVIDER, code=Code.CALL_UNKNOWN)
    return call


def _read(data: bytes, form: Form, model: str | None, settings: Settings) -> ModelCall:
    """Read the call from a body. Without a body, the path or the proxy must name the model. Raises InvalidRequest."""
    sizes = HoldSizes(settings.hold_input_tokens, settings.hold_output_tokens)
    if data or model is None:
        return forms.read(data, form, model, sizes)
    named = forms.model_name(model)
    return ModelCall(named, forms.provider_of(form, named), sizes.outside_input, sizes.output, is_bound=False)


def _with_told(asked: ModelCall, told: Mapping[str, str]) -> ModelCall:
    """Replace values of a call by the values in the headers that the proxy itself sets. Raises InvalidRequest."""
    tokens_in, tokens_out = _number("Input", told.get("input_tokens")), _number("Output", told.get("output_tokens"))
    return ModelCall(
        asked.model,
        told.get("provider") or asked.provider,
        asked.input_tokens if tokens_in is None else tokens_in,
        asked.output_tokens if tokens_out is None else tokens_out,
        is_bound=asked.is_bound or (tokens_in is not None and tokens_out is not None),
    )


def _number(kind: str, value: str | None) -> int | None:
    """Parse a number of tokens from a header. Return None if the header is missing. Raises InvalidRequest."""
    if not value:
        return None
    return whole(f"X-Governance-{kind}-Tokens", int(value) if NUMBER.fullmatch(value) else value)
