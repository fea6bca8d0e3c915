"""The body and the response of `POST /what-if`, which computes how many past calls a limit would have refused."""

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import fields

from governance.domain.history.calendar import Span
from governance.domain.history.query import COLUMNS, Group, Names
from governance.domain.history.what_if import Bounds, RefusedCalls, RefusedGroup, WhatIf
from governance.domain.times import rfc3339
from schemas.history.rows import NAMES
from schemas.limits.model_limits import ModelLimitCreate
from schemas.loading import Body
from schemas.render import dollars
from schemas.time_fields import MomentField


class WhatIfBody(Body):
    """The body of `POST /what-if`: a limit that is not stored, and the time range of the past calls."""

    model_config = fields.Nested(
        ModelLimitCreate,
        required=True,
        error_messages={"required": "Give model_config: the limit as `POST /model-configs` takes it."},
        metadata={"description": "The limit, as `POST /model-configs` takes it. It is not stored."},
    )
    since = MomentField(
        metadata={
            "description": "Replay the calls admitted from this time on: a time, a day, or a while before now such as "
            "7d; the midnight 30 days before until where left out."
        }
    )
    until = MomentField(metadata={"description": "And before this time, given in the same forms; now where left out."})


def answer(found: WhatIf, span: Span, names: Names) -> dict[str, Any]:
    """Return the result of a what-if query as JSON."""
    return {
        "since": rfc3339(span.start),
        "until": rfc3339(span.end),
        "is_exact": found.is_exact,
        "calls": found.calls,
        "refused": _bounds(found.refused),
        "first_refused": {"earliest": _instant(found.earliest), "latest": _instant(found.latest)},
        "refused_by": {
            group.value: _group(group, refused, names.get(group, {})) for group, refused in found.refused_by.items()
        },
        "cost": {"all_calls": dollars(found.cost), "admitted_calls": _bounds(found.spent, dollars)},
        "tokens": {"all_calls": found.tokens, "admitted_calls": _bounds(found.spent_tokens)},
    }


def _group(group: Group, refused: RefusedGroup, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "top": [_refused(group, row, names) for row in refused.top],
        "others": {"count": refused.others, "refused": _bounds(refused.others_refused)},
    }


def _refused(group: Group, row: RefusedCalls, names: Mapping[str, str]) -> dict[str, Any]:
    named = {NAMES[group]: names.get(row.value)} if group in NAMES else {}
    return {COLUMNS[group]: row.value or None, **named, "calls": row.calls, "refused": _bounds(row.refused)}


def _bounds(found: Bounds, shown: Callable[[int], Any] = int) -> dict[str, Any]:
    return {"at_least": shown(found.least), "at_most": shown(found.most)}


def _instant(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
