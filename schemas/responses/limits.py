"""Describes the responses about model limits, and about their budgets and rate limits."""

from marshmallow import Schema, fields

from governance.domain.limits.limit import Scope
from schemas.responses.envelopes import Done, Paged
from schemas.responses.fields import dollars, flag, instant, text, whole


class Budget(Schema):
    """A budget: at most `max_limit` dollars in each window."""

    id = text()
    max_limit = dollars("Dollars, exact to the billionth.")
    reset_duration = text("Such as 1d.")
    last_reset = instant("Start of the current window.")
    current_usage = dollars("Dollars used in the current window.")
    config_hash = text("Hash of the file entry it came from.", null=True)
    created_at = instant()
    updated_at = instant("Moves with edits only.")
    calendar_aligned = flag("Whether this window is aligned to the calendar.")
    team_id = text("Always null here.", null=True)
    virtual_key_id = text("The virtual key of a limit of that scope.", null=True)
    provider_config_id = whole("Always null here.", null=True)
    model_config_id = text("The limit it belongs to.")
    reserved = dollars("Dollars that open reservations hold.")
    resets_at = instant("End of the current window.")


class RateLimit(Schema):
    """A rate limit: a maximum of tokens, of requests, or of both. Each maximum has its own window."""

    id = text()
    token_current_usage = whole("Tokens used in the current window.")
    token_last_reset = instant("Start of the current token window.", null=True)
    request_current_usage = whole("Requests in the current window.")
    request_last_reset = instant("Start of the current request window.", null=True)
    config_hash = text("Hash of the file entry it came from.", null=True)
    created_at = instant()
    updated_at = instant("Moves with edits only.")
    token_max_limit = whole(null=True)
    token_reset_duration = text(null=True)
    request_max_limit = whole(null=True)
    request_reset_duration = text(null=True)
    token_reserved = whole("Tokens that open reservations hold.")
    token_resets_at = instant("End of the current token window.", null=True)
    request_reserved = whole("Requests that open reservations hold.")
    request_resets_at = instant("End of the current request window.", null=True)


class ModelLimit(Schema):
    """A model limit with its budgets, its rate limits, and its scope, which says whose calls it applies to."""

    id = text()
    model_name = text("* means all models.")
    provider = text("null means all providers.", null=True)
    scope = fields.String(required=True, metadata={"enum": [scope.value for scope in Scope]})
    scope_id = text("The virtual key or user.", null=True)
    scope_name = text("Its current name, where known.", null=True)
    calendar_aligned = flag()
    timezone = text("IANA zone of calendar windows.")
    budgets = fields.List(fields.Nested(Budget), required=True, metadata={"description": "Shortest window first."})
    budget = fields.Nested(Budget, required=True, allow_none=True, metadata={"description": "The first, or null."})
    rate_limits = fields.List(
        fields.Nested(RateLimit), required=True, metadata={"description": "Shortest window first."}
    )
    rate_limit = fields.Nested(
        RateLimit, required=True, allow_none=True, metadata={"description": "The first, or null."}
    )
    config_hash = text("Hash of the file entry it came from.", null=True)
    created_at = instant()
    updated_at = instant("Moves with edits only.")


class ModelLimitFound(Schema):
    """The response to a request for one model limit."""

    model_config = fields.Nested(ModelLimit, required=True)


class ModelLimitWritten(Done):
    """The response to a create or an update: the stored model limit."""

    model_config = fields.Nested(ModelLimit, required=True)


class ModelLimitList(Paged):
    """A page of model limits."""

    model_configs = fields.List(fields.Nested(ModelLimit), required=True)


class BudgetList(Paged):
    """A page of budgets."""

    budgets = fields.List(fields.Nested(Budget), required=True)


class RateLimitList(Paged):
    """A page of rate limits."""

    rate_limits = fields.List(fields.Nested(RateLimit), required=True)
