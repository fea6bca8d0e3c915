"""The query string and the body of `/gateway/authorize` and `/gateway/settled`.

A reverse proxy asks the first endpoint before a call to a model, and reports to the second one after the call.
"""

from typing import Any

from marshmallow import Schema, post_load

from schemas.fields import BaseField, OneOf
from schemas.queries import Query

TRUST = ("model", "provider", "user", "input_tokens", "output_tokens", "uri")
"""The names that a proxy may list in the parameter `trust` of its URL.

Each name stands for a header. A listed name means that the proxy sets the header itself, so no client can forge it.
"""


class Trust(BaseField):
    """A comma-separated list of names from `TRUST`. The loaded value is a set."""

    default_error_messages = {"trust": "Give {field} as some of {choices}, separated by commas."}  # noqa: RUF012

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> frozenset[str]:
        words = frozenset(word.strip() for word in str(value).split(","))
        if not words <= set(TRUST):
            raise self.make_error("trust", choices=", ".join(TRUST))
        return words


class AuthorizeQuery(Query):
    """The query string. The operator of a proxy writes it into the proxy's configuration."""

    trust = Trust(
        metadata={
            "description": "Which of the headers X-Governance-Model, -Provider, -User, -Input-Tokens, -Output-Tokens "
            "and X-Forwarded-Uri count: the proxy sets these itself."
        },
    )
    deny = OneOf({"403": True}, load_default=False, metadata={"description": "403: every refusal has this status."})
    detail = OneOf(
        {"full": True}, load_default=False, metadata={"description": "full: refusals show the figures of all limits."}
    )
    settle = OneOf(
        {"never": False}, load_default=True, metadata={"description": "never: the estimate is charged at once."}
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the parameters under the names of the fields of `GatewayOptions`."""
        return {
            "trusted": data.get("trust", frozenset()),
            "denies_with_403": data["deny"],
            "shows_all": data["detail"],
            "settles": data["settle"],
        }


class CarriedBody(Schema):
    """A body that the proxy forwards: the request of a client, or the response of a model."""

    is_file = is_carried = True
    """The endpoint reads the body itself (`is_file`), and the OpenAPI document does not describe it (`is_carried`)."""
