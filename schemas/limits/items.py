"""The schemas of the budgets and rate limits (called items) in the body of a model limit."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema

from governance.domain.limits.drafts import DraftItem, RuleSpec
from governance.domain.limits.limit import MAX_ITEMS, Metric
from schemas.fields import Boolean, BoundedList, Dollars, Maximum, Name, ReadOnly
from schemas.loading import Body
from schemas.time_fields import DurationField

WINDOW = {"description": "A window's length, such as 30s, 5m, 1h30m, 1d, 1w, 1M (a month) or 1Y."}
RATES = {Metric.TOKENS: "token", Metric.REQUESTS: "request"}


class BudgetBody(Body):
    """A budget: at most `max_limit` dollars in each window."""

    id = Name(metadata={"description": "In an update: the stored budget that this one stands for."})
    max_limit = Dollars(required=True, metadata={"description": "Dollars, above 0, at most 9 decimals."})
    reset_duration = DurationField(required=True, metadata=WINDOW)
    last_reset = ReadOnly()
    current_usage = ReadOnly()
    reserved = ReadOnly()
    resets_at = ReadOnly()
    config_hash = ReadOnly()
    created_at = ReadOnly()
    updated_at = ReadOnly()
    calendar_aligned = Boolean(metadata={"description": "The same as calendar_aligned of the limit as a whole."})
    team_id = ReadOnly()
    virtual_key_id = ReadOnly()
    provider_config_id = ReadOnly()
    model_config_id = ReadOnly()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> DraftItem:
        """Build the budget from the loaded body."""
        ceiling = RuleSpec(Metric.COST, data["max_limit"], data["reset_duration"])
        return DraftItem(data.get("id"), (ceiling,), data.get("calendar_aligned"))


class RateLimitBody(Body):
    """A rate limit: a maximum of tokens, of requests, or of both. Each maximum has its own window."""

    id = Name(metadata={"description": "In an update: the stored rate limit that this one stands for."})
    token_max_limit = Maximum(metadata={"description": "The most tokens in each window."})
    token_reset_duration = DurationField(metadata=WINDOW)
    request_max_limit = Maximum(metadata={"description": "The most requests in each window."})
    request_reset_duration = DurationField(metadata=WINDOW)
    token_current_usage = ReadOnly()
    token_reserved = ReadOnly()
    token_last_reset = ReadOnly()
    token_resets_at = ReadOnly()
    request_current_usage = ReadOnly()
    request_reserved = ReadOnly()
    request_last_reset = ReadOnly()
    request_resets_at = ReadOnly()
    config_hash = ReadOnly()
    created_at = ReadOnly()
    updated_at = ReadOnly()

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def pairs(self, _: Any, original: Any, **__: Any) -> None:
        """Refuse a maximum without its duration, a duration without its maximum, and a rate limit without a maximum."""
        if not isinstance(original, Mapping):
            return
        given = {name for name, value in original.items() if value is not None}
        sides = {prefix: (f"{prefix}_max_limit", f"{prefix}_reset_duration") for prefix in RATES.values()}
        missing = {
            name: [f"Give {name} too: a maximum and its duration belong together."]
            for pair in sides.values()
            for name in pair
            if name not in given and given & set(pair)
        }
        if missing:
            raise ValidationError(missing)
        if not any(given & set(pair) for pair in sides.values()):
            raise ValidationError("Give token_max_limit or request_max_limit, each with its reset duration.")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> DraftItem:
        """Build the rate limit from the loaded body."""
        ceilings = (
            RuleSpec(metric, data[f"{prefix}_max_limit"], data[f"{prefix}_reset_duration"])
            for metric, prefix in RATES.items()
            if f"{prefix}_max_limit" in data
        )
        return DraftItem(data.get("id"), tuple(ceilings))


def item_list(body: type[Body], what: str) -> fields.List[Any]:
    """Return the marshmallow field for a list of budgets or a list of rate limits."""
    return BoundedList(
        fields.Nested(body, error_messages={"null": "Give an object here: it cannot be null."}),
        most=MAX_ITEMS,
        error_messages={"invalid": f"Give {what} as a list of objects.", "most": f"Give at most {MAX_ITEMS} {what}."},
    )
