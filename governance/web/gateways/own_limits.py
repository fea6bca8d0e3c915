"""`/gateway/self`: a virtual key's own limits, for the holder of the key."""

from flask import Blueprint

from governance.container import governance
from governance.domain.errors import Code
from governance.web.gateways import credentials
from governance.web.http.answers import secret
from governance.web.http.context import the_request
from governance.web.http.flask_app import HttpResponse
from governance.web.http.operation import operation
from schemas.limits import own_limits
from schemas.responses.own_limits import OwnLimitsShown

blueprint = Blueprint("gateway", __name__, url_prefix="/gateway")


@blueprint.get("/self")
@operation(
    "Read the limits of one's own virtual key",
    scope=None,
    answer=OwnLimitsShown(),
    refusals=(
        Code.VIRTUAL_KEY_REQUIRED,
        Code.INVALID_VIRTUAL_KEY,
        Code.VIRTUAL_KEY_INACTIVE,
        Code.VIRTUAL_KEY_EXPIRED,
        Code.DATABASE_UNAVAILABLE,
    ),
)
def own_limits_of_key() -> HttpResponse:
    """Return the limits on the virtual key in the request, and what is left of these limits.

    The key is in one of the headers in which `/gateway/authorize` accepts a virtual key.
    """
    key, rules = governance().own_limits.of(credentials.virtual_key(the_request()))
    return secret(own_limits.shown(key, rules))
