"""The tables of the database. Instants are microseconds, money is nano-dollars, and ids are text.

In a unique index, two NULLs are never equal. So columns that identify a row are not nullable: `''` stands for a missing
value. This file is long because it is one schema: its tables refer to each other, and a test compares it with the
migrations.
"""

from sqlalchemy import BigInteger as SQLBigInteger
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    column,
    literal,
)

from governance.domain.history.usage import UsageAmounts

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Big = SQLBigInteger().with_variant(Integer, "sqlite")

LARGEST_SUM = 2**62
"""The largest sum in a counter, and of a counter's ledger rows (docs/contract.md §1). SQLite's integers end at 2^63."""

config_revision = Table(
    "config_revision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", Big, nullable=False),
    Column("touched_at", Big, nullable=False, server_default="0"),
    CheckConstraint("id = 1", name="one_row"),
    comment="The config revision, raised first by every management write; and what the last write noted on counters.",
)

database_identity = Table(
    "database_identity",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("database_id", Text, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    comment="Which database this is: the marker beside the file has it too, so a lost or another one is told.",
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("entity", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("revision", Big, nullable=False, index=True),
    PrimaryKeyConstraint("entity", "id"),
    comment="What was deleted at which revision, for the memory of other workers.",
)

model_limits = Table(
    "model_limits",
    metadata,
    Column("id", Text, primary_key=True),
    Column("model_name", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("scope_id", Text, nullable=False),
    Column("calendar_aligned", Boolean, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("config_hash", Text),
    Column("source", Text, nullable=False, server_default=literal("")),
    Column("place", Text),
    Column("created_at", Big, nullable=False),
    Column("updated_at", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("search_name", Text, nullable=False),
    Column("match_provider", Text, nullable=False),
    Column("match_name", Text, nullable=False),
    Column("revision", Big, nullable=False, index=True),
    UniqueConstraint("scope", "scope_id", "match_provider", "match_name", name="uq_model_limits_identity"),
    CheckConstraint("scope IN ('global', 'virtual_key', 'user')", name="scope"),
    CheckConstraint("(scope = 'global') = (scope_id = '')", name="scope_id"),
    Index("ix_model_limits_created", "created_at", "id"),
    Index("ix_model_limits_name", "search_name", "id"),
    Index("ix_model_limits_scope_created", "scope", "created_at", "id"),
    Index("ix_model_limits_scope_id_created", "scope_id", "created_at", "id"),
    Index("ix_model_limits_provider_created", "provider", "created_at", "id"),
    comment="Whom a limit concerns. search_name and match_* are folded by us. source: the owner of the file that made "
    "it, or ''. place: where that file lay, '' where the owner was given by name, NULL where it is not known.",
)

rules = Table(
    "rules",
    metadata,
    Column("id", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("model_limit_id", Text, ForeignKey("model_limits.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("max_limit", Big, nullable=False),
    Column("reset_duration", Text, nullable=False),
    Column("anchor", Big, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("config_hash", Text),
    Column("created_at", Big, nullable=False),
    Column("updated_at", Big, nullable=False),
    PrimaryKeyConstraint("id", "metric"),
    CheckConstraint("metric IN ('cost', 'tokens', 'requests')", name="metric"),
    CheckConstraint("max_limit > 0", name="max_limit"),
    Index("ix_rules_model_limit", "model_limit_id", "position"),
    Index("ix_rules_metric_created", "metric", "created_at", "id"),
    comment="A budget is one rule of metric cost; a rate limit is one or two, tokens and requests, that share an id.",
)

counters = Table(
    "counters",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule_id", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("window_start", Big, nullable=False),
    Column("window_end", Big, nullable=False),
    Column("used", Big, nullable=False, server_default="0"),
    Column("reserved", Big, nullable=False, server_default="0"),
    Column("folded", Big, nullable=False, server_default="0"),
    Column("touched_at", Big, nullable=False, index=True),
    Column("reset_at", Big, nullable=False, server_default="0"),
    Column("max_limit", Big),
    ForeignKeyConstraint(["rule_id", "metric"], ["rules.id", "rules.metric"], ondelete="CASCADE"),
    UniqueConstraint("rule_id", "metric", "generation", "window_start", name="uq_counters_window"),
    CheckConstraint("used >= 0", name="used"),
    CheckConstraint("reserved >= 0", name="reserved"),
    CheckConstraint(f"used + reserved <= {LARGEST_SUM}", name="sum"),
    CheckConstraint("window_start < window_end", name="window"),
    sqlite_autoincrement=True,
    comment="What was used of a rule in a window. A window's end is no event: the next one has another row. max_limit: "
    "the rule's maximum, of a closed window the last one before its end; NULL where it is not known.",
)

virtual_keys = Table(
    "virtual_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text),
    Column("digest", Text, nullable=False, unique=True),
    Column("value_prefix", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("calendar_aligned", Boolean, nullable=False),
    Column("expires_at", Big),
    Column("config_hash", Text),
    Column("source", Text, nullable=False, server_default=literal("")),
    Column("place", Text),
    Column("created_at", Big, nullable=False),
    Column("updated_at", Big, nullable=False),
    Column("search_name", Text, nullable=False),
    Column("revision", Big, nullable=False, index=True),
    Index("ix_virtual_keys_created", "created_at", "id"),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("config_hash", Text),
    Column("source", Text, nullable=False, server_default=literal("")),
    Column("place", Text),
    Column("created_at", Big, nullable=False),
    Column("updated_at", Big, nullable=False),
    Column("search_name", Text, nullable=False),
    Column("revision", Big, nullable=False, index=True),
    Index("ix_users_created", "created_at", "id"),
)

prices = Table(
    "prices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider", Text),
    Column("model", Text, nullable=False),
    Column("same_as_provider", Text),
    Column("same_as_model", Text),
    Column("rates", Text, nullable=False),
    Column("effective_from", Big, nullable=False),
    Column("match_provider", Text, nullable=False),
    Column("match_model", Text, nullable=False),
    Column("config_hash", Text),
    Column("source", Text, nullable=False, server_default=literal("")),
    Column("place", Text),
    Column("created_at", Big, nullable=False),
    Column("updated_at", Big, nullable=False),
    Column("search_name", Text, nullable=False),
    Column("revision", Big, nullable=False, index=True),
    UniqueConstraint("match_provider", "match_model", "effective_from", name="uq_prices_model"),
    CheckConstraint("(rates = '') = (same_as_model IS NOT NULL)", name="rates"),
    Index("ix_prices_created", "created_at", "id"),
    comment="Prices that come before the list's: rates as JSON, or an alias. effective_from: 0 (always), or when.",
)

unpriced_models = Table(
    "unpriced_models",
    metadata,
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("count", Big, nullable=False),
    Column("last_at", Big, nullable=False),
    PrimaryKeyConstraint("provider", "model"),
    comment="Models whose price a call needed and nobody knew: statistics for doctor, at most one poll behind.",
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("key_prefix", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("expires_at", Big),
    Column("last_used_at", Big),
    Column("created_at", Big, nullable=False),
    Column("revision", Big, nullable=False, index=True),
    Index("ix_api_keys_created", "created_at", "id"),
)

_is_open = column("status") == "open"

reservations = Table(
    "reservations",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text),
    Column("virtual_key_id", Text),
    Column("user_id", Text),
    Column("requests", Big, nullable=False),
    Column("held_tokens", Big, nullable=False),
    Column("held_cost", Big, nullable=False),
    Column("used_tokens", Big, nullable=False),
    Column("used_cost", Big, nullable=False),
    Column("created_at", Big, nullable=False),
    Column("expires_at", Big, nullable=False),
    Column("settled_at", Big),
    Column("late", Boolean, nullable=False),
    Column("ended_at", Big),
    Column("price", Text),
    Column("cost_source", Text, nullable=False, server_default=literal("none")),
    Column("input_tokens", Big, nullable=False, server_default="0"),
    Column("output_tokens", Big, nullable=False, server_default="0"),
    Column("cached_tokens", Big, nullable=False, server_default="0"),
    CheckConstraint("status IN ('open', 'settled', 'released', 'expired', 'reported')", name="status"),
    Index("ix_reservations_open", "expires_at", sqlite_where=_is_open, postgresql_where=_is_open),
    Index("ix_reservations_created", "created_at"),
    sqlite_autoincrement=True,
    comment="Reservations, and (reported) usage that had none. seq rises with admission and names them in the ledger.",
)

usage_series = Table(
    "usage_series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("virtual_key_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    UniqueConstraint("provider", "model", "virtual_key_id", "user_id", name="uq_usage_series_whole"),
    comment="Who used what: canonical provider and model, virtual key and user, '' for none.",
)

usage_series_days = Table(
    "usage_series_days",
    metadata,
    Column("day", Integer, nullable=False),
    Column("series_id", Integer, nullable=False),
    PrimaryKeyConstraint("day", "series_id"),
    sqlite_with_rowid=False,
    comment="Which series are kept apart in a UTC day (days since 1970). The others are added together.",
)


def _usage(name: str, comment: str) -> Table:
    """Return a table of summed usage. It has one row for each start of a period and each series."""
    return Table(
        name,
        metadata,
        Column("start", Big, nullable=False),
        Column("series_id", Integer, nullable=False),
        *(Column(amount, Big, nullable=False) for amount in UsageAmounts._fields),
        PrimaryKeyConstraint("start", "series_id"),
        sqlite_with_rowid=False,
        comment=comment,
    )


usage_buckets = _usage("usage_buckets", "What was used in 15 minutes (UTC, of admission) by a series.")
usage_days = _usage("usage_days", "Sums of buckets over closed days of the time zone in usage_sums.")
usage_months = _usage("usage_months", "Sums of days over closed months of the time zone in usage_sums.")

usage_sums = Table(
    "usage_sums",
    metadata,
    Column("period", Text, nullable=False),
    Column("start", Big, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("is_current", Boolean, nullable=False),
    PrimaryKeyConstraint("period", "start"),
    CheckConstraint("period IN ('day', 'month')", name="period"),
    comment="Which days and months are summed. A late correction raises generation; the sum is then not current.",
)

usage_bounds = Table(
    "usage_bounds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pruned_until", Big, nullable=False),
    Column("buckets_since", Big, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    comment="Reservations admitted before pruned_until may be gone; buckets before buckets_since are.",
)

ledger = Table(
    "ledger",
    metadata,
    Column("seq", Integer, nullable=False),
    Column("counter_id", Integer, nullable=False),
    Column("held", Big, nullable=False),
    Column("used", Big, nullable=False),
    PrimaryKeyConstraint("seq", "counter_id"),
    sqlite_with_rowid=False,
    comment="What each reservation holds and used of each counter; rows of a counter that is gone are pruned.",
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("api_key_id", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("created_at", Big, nullable=False, index=True),
    PrimaryKeyConstraint("api_key_id", "path", "key"),
    sqlite_with_rowid=False,
    comment="Answers that versions before schema 0007 kept: read for their repeats, until the last has left.",
)

answers = Table(
    "answers",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("created_at", Big, nullable=False),
    Column("texts", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    comment="The first answer to an effect, compressed, for its repeats. seq is the reservation's, so it rises.",
)

answer_texts = Table(
    "answer_texts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("text", LargeBinary, nullable=False),
    Column("last_use", Integer, nullable=False),
    comment="What answers have in common, stored once. last_use: the seq of an answer that uses it, now and then.",
)

denials = Table(
    "denials",
    metadata,
    Column("model_limit_id", Text, ForeignKey("model_limits.id", ondelete="CASCADE"), primary_key=True),
    Column("count", Big, nullable=False),
    Column("last_at", Big, nullable=False),
    comment="How often each limit refused a call: statistics, at most one poll behind.",
)

verifications = Table(
    "verifications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Big, nullable=False),
    Column("counters", Big, nullable=False),
    Column("differences", Big, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    comment="The last result of `flask governance verify`.",
)

session_secret = Table(
    "session_secret",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("secret", Text, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    comment="What signs the sessions of the dashboard.",
)

sent_forms = Table(
    "sent_forms",
    metadata,
    Column("form_id", Text, primary_key=True),
    Column("sent_at", Big, nullable=False),
    Index("ix_sent_forms_sent_at", "sent_at"),
    comment="The forms of the dashboard that were sent, for as long as a session lasts: none is taken twice.",
)

sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("address", Text, nullable=False),
    Column("attempted_at", Big, nullable=False),
    Index("ix_sign_in_attempts_address", "address", "attempted_at"),
    comment="The attempts to sign in of the last minute, which all workers count together.",
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("at", Big, nullable=False),
    Column("actor", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("changes", Text, nullable=False),
    Index("ix_audit_entity", "entity", "entity_id", "seq"),
    Index("ix_audit_actor", "actor", "seq"),
    Index("ix_audit_at", "at", "seq"),
    sqlite_autoincrement=True,
    comment="Who changed what, when, old → new (JSON), written with the change itself. Never a secret.",
)
