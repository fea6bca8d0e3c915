"""The body and the response of `POST /what-if`."""

from collections.abc import Callable
from typing import Any

from marshmallow import fields

from governance.domain.history.calendar import Span
from governance.domain.history.what_if import Bounds, WhatIf
from governance.domain.times import rfc3339
from schemas.fields import Instant
from schemas.limits.model_limits import ModelLimitCreate
from schemas.loading import Body
from schemas.render import dollars


class WhatIfBody(Body):
    """A limit as it would be, and the time of the calls to replay."""

    model_config = fields.Nested(
        ModelLimitCreate,
        required=True,
        error_messages={"required": "Give model_config: the limit as `POST /model-configs` takes it."},
        metadata={"description": "The limit, as `POST /model-configs` takes it. It is not stored."},
    )
    since = Instant(required=True, metadata={"description": "Replay the calls admitted from this time on."})
    until = Instant(metadata={"description": "And before this time; now where left out."})


def answer(found: WhatIf, span: Span) -> dict[str, Any]:
    """Return the result of a what-if query as JSON."""
    return {
        "since": rfc3339(span.start),
        "until": rfc3339(span.end),
        "is_exact": found.is_exact,
        "calls": found.calls,
        "refused": _bounds(found.refused),
        "first_refused": {"earliest": _instant(found.earliest), "latest": _instant(found.latest)},
        "cost": {"without_limit": dollars(found.cost), **_bounds(found.spent, dollars)},
        "tokens": {"without_limit": found.tokens, **_bounds(found.spent_tokens)},
    }


def _bounds(found: Bounds, shown: Callable[[int], Any] = int) -> dict[str, Any]:
    return {"at_least": shown(found.least), "at_most": shown(found.most)}


def _instant(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
