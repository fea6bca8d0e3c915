"""The rows that the import reads from the SQLite database of Bifrost, an LLM gateway.

A field contains the value that SQLite returned, which may be of any SQLite type. A field is None if the database, which
may be older or newer, has no such column.
"""

from typing import Any, NamedTuple


class KeyRow(NamedTuple):
    """A row of `governance_virtual_keys`. Only older databases have the columns `budget_id` and `rate_limit_id`."""

    id: Any = None
    name: Any = None
    description: Any = None
    value: Any = None
    value_hash: Any = None
    encryption_status: Any = None
    is_active: Any = None
    calendar_aligned: Any = None
    expires_at: Any = None
    team_id: Any = None
    customer_id: Any = None
    budget_id: Any = None
    rate_limit_id: Any = None
    created_at: Any = None
    updated_at: Any = None


class LimitRow(NamedTuple):
    """A row of `governance_model_configs`. Only older databases have the column `budget_id`."""

    id: Any = None
    model_name: Any = None
    provider: Any = None
    scope: Any = None
    scope_id: Any = None
    calendar_aligned: Any = None
    budget_id: Any = None
    rate_limit_id: Any = None
    config_hash: Any = None
    created_at: Any = None
    updated_at: Any = None


class BudgetRow(NamedTuple):
    """A row of `governance_budgets`.

    Either the row contains the id of its owner, or the row of an owner contains the id of the budget. Some versions of
    Bifrost set for each budget whether its windows follow the calendar. Only the databases of these versions have the
    column `calendar_aligned`.
    """

    id: Any = None
    max_limit: Any = None
    reset_duration: Any = None
    last_reset: Any = None
    current_usage: Any = None
    override_amount: Any = None
    override_mode: Any = None
    reset_config_json: Any = None
    calendar_aligned: Any = None
    model_config_id: Any = None
    virtual_key_id: Any = None
    team_id: Any = None
    customer_id: Any = None
    provider_config_id: Any = None
    config_hash: Any = None
    created_at: Any = None
    updated_at: Any = None


class RateLimitRow(NamedTuple):
    """A row of `governance_rate_limits`.

    Either the row of an owner contains the id of the rate limit, or `model_config_id` is the id of its limit.
    """

    id: Any = None
    model_config_id: Any = None
    metric: Any = None
    token_max_limit: Any = None
    token_reset_duration: Any = None
    token_current_usage: Any = None
    token_last_reset: Any = None
    request_max_limit: Any = None
    request_reset_duration: Any = None
    request_current_usage: Any = None
    request_last_reset: Any = None
    config_hash: Any = None
    created_at: Any = None
    updated_at: Any = None


class ProviderRow(NamedTuple):
    """A row of `config_providers`. In older databases it contains the ids of a budget and a rate limit."""

    id: Any = None
    name: Any = None
    budget_id: Any = None
    rate_limit_id: Any = None
    created_at: Any = None
    updated_at: Any = None


class ProviderConfigRow(NamedTuple):
    """A row of `governance_virtual_key_provider_configs`: the settings of a virtual key for one provider."""

    id: Any = None
    virtual_key_id: Any = None
    provider: Any = None
    budget_id: Any = None
    rate_limit_id: Any = None


class PriceRow(NamedTuple):
    """A row of `governance_pricing_overrides`. `pricing_patch_json` contains the prices in dollars per token."""

    id: Any = None
    name: Any = None
    scope_kind: Any = None
    provider_id: Any = None
    match_type: Any = None
    pattern: Any = None
    request_types_json: Any = None
    pricing_patch_json: Any = None
    created_at: Any = None
    updated_at: Any = None


class BifrostReference(NamedTuple):
    """A reference to a budget (`budget_id`) or a rate limit (`rate_limit_id`).

    Apart from such references, the import does not read the table that contains the reference.
    """

    table: str
    column: str
    id: Any


class UnreadColumn(NamedTuple):
    """A column that the import does not read although it may contain limits.

    `rows` is the number of rows that have a value in the column. If `column` is None, the import does not read the
    table at all, and `rows` is the number of its rows.
    """

    table: str
    column: str | None
    rows: int


class BifrostRows(NamedTuple):
    """All rows that the import reads from Bifrost's database, and the columns that it does not read."""

    virtual_keys: tuple[KeyRow, ...] = ()
    limits: tuple[LimitRow, ...] = ()
    budgets: tuple[BudgetRow, ...] = ()
    rate_limits: tuple[RateLimitRow, ...] = ()
    providers: tuple[ProviderRow, ...] = ()
    provider_configs: tuple[ProviderConfigRow, ...] = ()
    prices: tuple[PriceRow, ...] = ()
    references: tuple[BifrostReference, ...] = ()
    unread: tuple[UnreadColumn, ...] = ()
