"""What goes out, described: OpenAPI is made from this, and the tests hold every answer against it.

The renderer (`render`, `keys`) writes the bytes; these schemas never dump.
"""

from marshmallow import Schema, fields

from governance.domain.keys import KeyScope
from governance.domain.limits.limit import Scope
from governance.domain.records.audit import Action, Entity


def _text(description: str = "", *, null: bool = False) -> fields.String:
    return fields.String(required=True, allow_none=null, metadata={"description": description} if description else {})


def _instant(description: str = "", *, null: bool = False) -> fields.String:
    return fields.String(required=True, allow_none=null, metadata={"format": "date-time", "description": description})


def _dollars(description: str) -> fields.Decimal:
    return fields.Decimal(required=True, metadata={"description": description, "type": "number"})


def _whole(description: str = "", *, null: bool = False) -> fields.Integer:
    return fields.Integer(required=True, allow_none=null, metadata={"description": description})


def _flag(description: str = "") -> fields.Boolean:
    return fields.Boolean(required=True, metadata={"description": description})


def _value() -> fields.Raw:
    kinds = ["string", "number", "boolean", "array"]
    return fields.Raw(required=True, allow_none=True, metadata={"type": kinds, "items": {"type": "string"}})


class Budget(Schema):
    """At most `max_limit` dollars in each window."""

    id = _text()
    max_limit = _dollars("Dollars, exact to the billionth.")
    reset_duration = _text("Such as 1d.")
    last_reset = _instant("Start of the current window.")
    current_usage = _dollars("Dollars used in the current window.")
    config_hash = _text("Hash of the file entry it came from.", null=True)
    created_at = _instant()
    updated_at = _instant("Moves with edits only.")
    calendar_aligned = _flag("Whether this window is aligned to the calendar.")
    team_id = _text("Always null here.", null=True)
    virtual_key_id = _text("The virtual key of a limit of that scope.", null=True)
    provider_config_id = _whole("Always null here.", null=True)
    model_config_id = _text("The limit it belongs to.")
    reserved = _dollars("Dollars that open reservations hold.")
    resets_at = _instant("End of the current window.")


class RateLimit(Schema):
    """At most so many tokens, or requests, or both, each in its own window."""

    id = _text()
    token_current_usage = _whole("Tokens used in the current window.")
    token_last_reset = _instant("Start of the current token window.", null=True)
    request_current_usage = _whole("Requests in the current window.")
    request_last_reset = _instant("Start of the current request window.", null=True)
    config_hash = _text("Hash of the file entry it came from.", null=True)
    created_at = _instant()
    updated_at = _instant("Moves with edits only.")
    token_max_limit = _whole(null=True)
    token_reset_duration = _text(null=True)
    request_max_limit = _whole(null=True)
    request_reset_duration = _text(null=True)
    token_reserved = _whole("Tokens that open reservations hold.")
    token_resets_at = _instant("End of the current token window.", null=True)
    request_reserved = _whole("Requests that open reservations hold.")
    request_resets_at = _instant("End of the current request window.", null=True)


class ModelLimit(Schema):
    """Whom a limit concerns, and all its budgets and rate limits."""

    id = _text()
    model_name = _text("* means all models.")
    provider = _text("null means all providers.", null=True)
    scope = fields.String(required=True, metadata={"enum": [scope.value for scope in Scope]})
    scope_id = _text("The virtual key or user.", null=True)
    scope_name = _text("Its current name, where known.", null=True)
    calendar_aligned = _flag()
    timezone = _text("IANA zone of calendar windows.")
    budgets = fields.List(fields.Nested(Budget), required=True, metadata={"description": "Shortest window first."})
    budget = fields.Nested(Budget, required=True, allow_none=True, metadata={"description": "The first, or null."})
    rate_limits = fields.List(
        fields.Nested(RateLimit), required=True, metadata={"description": "Shortest window first."}
    )
    rate_limit = fields.Nested(
        RateLimit, required=True, allow_none=True, metadata={"description": "The first, or null."}
    )
    config_hash = _text("Hash of the file entry it came from.", null=True)
    created_at = _instant()
    updated_at = _instant("Moves with edits only.")


class Done(Schema):
    """An act that has nothing to show."""

    message = _text()


class ModelLimitFound(Schema):
    """One model limit."""

    model_config = fields.Nested(ModelLimit, required=True)


class ModelLimitWritten(Done):
    """One model limit, stored."""

    model_config = fields.Nested(ModelLimit, required=True)


class Paged(Schema):
    """The numbers of a page."""

    total_count = _whole("How many match, before paging.")
    count = _whole("How many are on this page.")
    limit = _whole("The page size in effect.")
    offset = _whole()


class ModelLimitList(Paged):
    """A page of model limits."""

    model_configs = fields.List(fields.Nested(ModelLimit), required=True)


class BudgetList(Paged):
    """A page of budgets."""

    budgets = fields.List(fields.Nested(Budget), required=True)


class RateLimitList(Paged):
    """A page of rate limits."""

    rate_limits = fields.List(fields.Nested(RateLimit), required=True)


class VirtualKey(Schema):
    """A gateway's key, without its value."""

    id = _text()
    name = _text()
    description = _text(null=True)
    value_prefix = _text("The first characters of its value.")
    is_active = _flag()
    calendar_aligned = _flag("What new limits on this key take over.")
    expires_at = _instant(null=True)
    created_at = _instant()
    updated_at = _instant()


class NewVirtualKey(VirtualKey):
    """A gateway's key with its value, shown once."""

    value = _text("In this answer alone.")


class VirtualKeyFound(Schema):
    """One virtual key."""

    virtual_key = fields.Nested(VirtualKey, required=True)


class VirtualKeyWritten(Done):
    """One virtual key, stored."""

    virtual_key = fields.Nested(VirtualKey, required=True)


class VirtualKeyCreated(Done):
    """One virtual key, new."""

    virtual_key = fields.Nested(NewVirtualKey, required=True)


class VirtualKeyList(Paged):
    """A page of virtual keys."""

    virtual_keys = fields.List(fields.Nested(VirtualKey), required=True)


class User(Schema):
    """A name for a user id."""

    id = _text()
    name = _text()
    created_at = _instant()
    updated_at = _instant()


class UserFound(Schema):
    """One user."""

    user = fields.Nested(User, required=True)


class UserWritten(Done):
    """One user, stored."""

    user = fields.Nested(User, required=True)


class UserList(Paged):
    """A page of users."""

    users = fields.List(fields.Nested(User), required=True)


class ApiKey(Schema):
    """A key of this API, without the key itself."""

    id = _text()
    name = _text()
    key_prefix = _text("The first characters of the key.")
    scopes = fields.List(fields.String(metadata={"enum": [scope.value for scope in KeyScope]}), required=True)
    expires_at = _instant(null=True)
    last_used_at = _instant("At most one poll behind.", null=True)
    created_at = _instant()


class NewApiKey(ApiKey):
    """A key of this API, shown once."""

    key = _text("In this answer alone.")


class ApiKeyCreated(Done):
    """One API key, new."""

    api_key = fields.Nested(NewApiKey, required=True)


class ApiKeyList(Paged):
    """A page of API keys."""

    api_keys = fields.List(fields.Nested(ApiKey), required=True)


class AuditChange(Schema):
    """A field that changed; null: it was not there before, or is gone."""

    field = _text("As answers name it; a rule stands under its window, such as budgets[1d].max_limit.")
    old = _value()
    new = _value()


class AuditEntry(Schema):
    """One thing that one write changed."""

    seq = _whole("Rises with every entry.")
    at = _instant()
    actor = _text("key:<id of the API key>, command:<name>, file:<name>, or service.")
    entity = fields.String(required=True, metadata={"enum": [entity.value for entity in Entity]})
    entity_id = _text()
    action = fields.String(required=True, metadata={"enum": [action.value for action in Action]})
    changes = fields.List(fields.Nested(AuditChange), required=True)


class AuditList(Paged):
    """A page of the audit."""

    audit = fields.List(fields.Nested(AuditEntry), required=True)


class ErrorBody(Schema):
    """What was refused, and what to do."""

    type = _text("The kind of refusal.")
    code = _text("Finer, and stable.")
    message = _text("One plain sentence that says what to do.")
    param = _text("The field or query parameter.", null=True)


class Error(Schema):
    """The one shape of every refusal."""

    is_bifrost_error = _flag("Always false.")
    status_code = _whole("The HTTP status.")
    error = fields.Nested(ErrorBody, required=True)
    extra_fields = fields.Dict(required=True, metadata={"description": "`errors` lists all faults of several."})


class TokenAmounts(Schema):
    """Tokens held at admission, and charged now."""

    reserved = _whole()
    used = _whole()


class CostAmounts(Schema):
    """Dollars held at admission, and charged now."""

    reserved = _dollars("Dollars held at admission.")
    used = _dollars("Dollars charged now.")


class Overrun(Schema):
    """What was used beyond what was held."""

    tokens = _whole()
    cost = _dollars("Dollars.")


class ReservationShown(Schema):
    """A hold on every rule that applied to a call."""

    id = _text()
    status = fields.String(required=True, metadata={"enum": ["open", "settled", "released", "expired"]})
    model = _text()
    provider = _text(null=True)
    virtual_key_id = _text(null=True)
    user_id = _text(null=True)
    requests = _whole("Calls that it counts as: 1, or 0 once released.")
    tokens = fields.Nested(TokenAmounts, required=True)
    cost = fields.Nested(CostAmounts, required=True)
    overrun = fields.Nested(Overrun, required=True)
    created_at = _instant()
    expires_at = _instant("From then on a settle or release is late.")
    settled_at = _instant(null=True)
    late = _flag("Whether it ended after it had expired.")


class ReservationFound(Schema):
    """One reservation."""

    reservation = fields.Nested(ReservationShown, required=True)


class ReservationList(Paged):
    """A page of reservations."""

    reservations = fields.List(fields.Nested(ReservationShown), required=True)


class StandingShown(Schema):
    """A rule that applied, in its current window; amounts of a budget are dollars."""

    rule_id = _text("The budget's or rate limit's id.")
    model_config_id = _text()
    kind = fields.String(required=True, metadata={"enum": ["budget", "rate_limit"]})
    metric = fields.String(required=True, metadata={"enum": ["cost", "tokens", "requests"]})
    model_name = _text()
    provider = _text(null=True)
    scope = _text()
    scope_id = _text(null=True)
    scope_name = _text(null=True)
    used = _dollars("Used in the current window.")
    reserved = _dollars("Held by open reservations, this one included where it was allowed.")
    requested = _dollars("What the call asks for.")
    limit = _dollars("The rule's maximum.")
    remaining = _dollars("What is left; never below 0.")
    resets_at = _instant("End of the current window.")


class UsedStanding(StandingShown):
    """A rule that a report was charged to."""

    over = _flag("Whether the rule is used up now.")


class Admitted(Schema):
    """A reservation that holds, and every rule that applied."""

    decision = fields.String(required=True, metadata={"enum": ["allow"]})
    reservation = fields.Nested(ReservationShown, required=True)
    limits = fields.List(fields.Nested(StandingShown), required=True)


class UsageRecorded(Done):
    """A charge, and every rule that applied."""

    limits = fields.List(fields.Nested(UsedStanding), required=True)


class UnmatchedLimit(Schema):
    """A limit of the same model or provider that did not apply."""

    model_config_id = _text()
    model_name = _text()
    provider = _text(null=True)
    scope = _text()
    scope_id = _text(null=True)
    reason = _text("Why it did not apply.")


class Unmatched(Schema):
    """How many such limits there are, and the first of them."""

    count = _whole()
    limits = fields.List(fields.Nested(UnmatchedLimit), required=True, metadata={"description": "At most 20."})


class Checked(Schema):
    """What a reservation would be answered."""

    decision = fields.String(required=True, metadata={"enum": ["allow", "deny"]})
    message = _text("What a reservation would be told instead of being held; null where it would hold.", null=True)
    limits = fields.List(fields.Nested(StandingShown), required=True)
    violations = fields.List(fields.Nested(StandingShown), required=True)
    unmatched = fields.Nested(Unmatched, required=True)


class ConfigDifference(Schema):
    """One thing that differs; null is nothing there."""

    what = _text()
    old = _text(null=True)
    new = _text(null=True)


class ConfigStep(Schema):
    """What becomes of one row."""

    action = fields.String(required=True, metadata={"enum": ["create", "change", "replace", "remove", "keep"]})
    entity = fields.String(required=True, metadata={"enum": ["model_limit", "virtual_key", "user"]})
    id = _text()
    title = _text()
    note = _text("What a reader may not expect.", null=True)
    differences = fields.List(fields.Nested(ConfigDifference), required=True)


class ConfigPlace(Schema):
    """A sentence about a place in the file."""

    line = _whole("The line in the file.", null=True)
    path = _text("The place, such as `governance.budgets[0].max_limit`.", null=True)
    message = _text()


class ConfigPlan(Schema):
    """What an apply of the file would do, or has done; no secret is in it."""

    applied = _flag("Whether it was done.")
    owner = _text("Whose the file's rows are; null where nobody's.", null=True)
    steps = fields.List(fields.Nested(ConfigStep), required=True)
    counts = fields.Dict(required=True, metadata={"description": "How many rows there are of each action."})
    gone = _whole("The owner's rows that the file does not have, where they are not pruned.")
    minted = _whole("New virtual keys without a value: each gets one, in `virtual-keys.txt` on the service's machine.")
    warnings = fields.List(fields.Nested(ConfigPlace), required=True)
    left_out = fields.List(fields.Nested(ConfigPlace), required=True)
    skipped = fields.List(fields.String(), required=True, metadata={"description": "Sections that are none of ours."})


class DenialFields(Schema):
    """What a denial says beyond its sentence."""

    decision = fields.String(required=True, metadata={"enum": ["deny"]})
    retryable = _flag("Whether the same call may pass later; Retry-After says when.")
    violations = fields.List(
        fields.Nested(StandingShown), required=True, metadata={"description": "Every rule without room."}
    )


class Denial(Schema):
    """A call that a limit has no room for: nothing was consumed."""

    type = _text("The denial's word, as in error.type.")
    is_bifrost_error = _flag("Always false.")
    status_code = _whole("The HTTP status.")
    error = fields.Nested(ErrorBody, required=True)
    extra_fields = fields.Nested(DenialFields, required=True)
