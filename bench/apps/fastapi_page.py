"""The list of model limits as most developers would write it: FastAPI, pydantic models, SQLAlchemy's ORM.

The app checks no API keys. It reads the tables of the service. The rules of limits are loaded with `selectinload`, and
all other related rows with `joinedload`. When everything was loaded with `selectinload`, SQLite chose other indexes. In
a database with 100,000 limits, a page then took three times as long. The app returns the same bytes as the service if
the page is in the default order and no limit has time windows that follow the calendar. The environment variable
`BENCH_DATABASE` names the database file.
"""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session, joinedload, selectinload, sessionmaker

from bench.apps.fastapi_tables import Counter, ModelLimit, Rule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NANOS = 1_000_000_000

app = FastAPI()
engine = create_engine(f"sqlite:///{os.environ['BENCH_DATABASE']}")
new_session = sessionmaker(engine)


class BudgetOut(BaseModel):
    """A budget, as it appears in a response."""

    id: str
    max_limit: int | float
    reset_duration: str
    last_reset: datetime
    current_usage: int | float
    config_hash: str | None
    created_at: datetime
    updated_at: datetime
    calendar_aligned: bool
    team_id: str | None = None
    virtual_key_id: str | None
    provider_config_id: str | None = None
    model_config_id: str
    reserved: int | float
    resets_at: datetime


class RateLimitOut(BaseModel):
    """A rate limit, as it appears in a response."""

    id: str
    token_current_usage: int = 0
    token_last_reset: datetime | None = None
    request_current_usage: int = 0
    request_last_reset: datetime | None = None
    config_hash: str | None
    created_at: datetime
    updated_at: datetime
    token_max_limit: int | None = None
    token_reset_duration: str | None = None
    request_max_limit: int | None = None
    request_reset_duration: str | None = None
    token_reserved: int = 0
    token_resets_at: datetime | None = None
    request_reserved: int = 0
    request_resets_at: datetime | None = None


class ModelConfigOut(BaseModel):
    """A model limit, as it appears in a response."""

    id: str
    model_name: str
    provider: str | None
    scope: str
    scope_id: str | None
    scope_name: str | None
    calendar_aligned: bool
    timezone: str
    budgets: list[BudgetOut]
    budget: BudgetOut | None
    rate_limits: list[RateLimitOut]
    rate_limit: RateLimitOut | None
    config_hash: str | None
    created_at: datetime
    updated_at: datetime


class PageOut(BaseModel):
    """A page of model limits."""

    model_configs: list[ModelConfigOut]
    total_count: int
    count: int
    limit: int
    offset: int


def session() -> Iterator[Session]:
    """Yield a session for one request."""
    with new_session() as opened:
        yield opened


@app.get("/api/governance/model-configs")
def list_model_configs(
    database: Annotated[Session, Depends(session)],
    limit: Annotated[int, Query(ge=1, le=100)] = 25,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> PageOut:
    """Return a page of model limits, newest first."""
    now = time.time_ns() // 1000
    total = database.scalar(select(func.count()).select_from(ModelLimit)) or 0
    page = (
        select(ModelLimit)
        .options(
            selectinload(ModelLimit.rules).joinedload(Rule.counters.and_(Counter.window_end > now)),
            joinedload(ModelLimit.virtual_key),
            joinedload(ModelLimit.user),
        )
        .order_by(ModelLimit.created_at.desc(), ModelLimit.id.desc())
    )
    found = [_shown(stored, now) for stored in database.scalars(page.limit(limit).offset(offset))]
    return PageOut(model_configs=found, total_count=total, count=len(found), limit=limit, offset=offset)


def _shown(stored: ModelLimit, now: int) -> ModelConfigOut:
    budgets = [_budget(stored, rule, now) for rule in stored.rules if rule.metric == "cost"]
    sides: dict[str, list[Rule]] = {}
    for rule in stored.rules:
        if rule.metric != "cost":
            sides.setdefault(rule.id, []).append(rule)
    rate_limits = [_rate_limit(rules, now) for rules in sides.values()]
    return ModelConfigOut(
        id=stored.id,
        model_name=stored.model_name,
        provider=stored.provider or None,
        scope=stored.scope,
        scope_id=stored.scope_id or None,
        scope_name=stored.scope_name,
        calendar_aligned=stored.calendar_aligned,
        timezone=stored.timezone,
        budgets=budgets,
        budget=budgets[0] if budgets else None,
        rate_limits=rate_limits,
        rate_limit=rate_limits[0] if rate_limits else None,
        config_hash=stored.config_hash,
        created_at=_time(stored.created_at),
        updated_at=_time(stored.updated_at),
    )


def _budget(stored: ModelLimit, rule: Rule, now: int) -> BudgetOut:
    start, end, used, reserved = rule.window(now)
    return BudgetOut(
        id=rule.id,
        max_limit=_dollars(rule.max_limit),
        reset_duration=rule.reset_duration,
        last_reset=_time(start),
        current_usage=_dollars(used),
        config_hash=rule.config_hash,
        created_at=_time(rule.created_at),
        updated_at=_time(rule.updated_at),
        calendar_aligned=False,
        virtual_key_id=stored.scope_id if stored.scope == "virtual_key" else None,
        model_config_id=stored.id,
        reserved=_dollars(reserved),
        resets_at=_time(end),
    )


def _rate_limit(rules: list[Rule], now: int) -> RateLimitOut:
    shown = RateLimitOut(
        id=rules[0].id,
        config_hash=rules[0].config_hash,
        created_at=_time(rules[0].created_at),
        updated_at=_time(rules[0].updated_at),
    )
    for rule in rules:
        start, end, used, reserved = rule.window(now)
        if rule.metric == "tokens":
            shown.token_current_usage, shown.token_reserved = used, reserved
            shown.token_last_reset, shown.token_resets_at = _time(start), _time(end)
            shown.token_max_limit, shown.token_reset_duration = rule.max_limit, rule.reset_duration
        else:
            shown.request_current_usage, shown.request_reserved = used, reserved
            shown.request_last_reset, shown.request_resets_at = _time(start), _time(end)
            shown.request_max_limit, shown.request_reset_duration = rule.max_limit, rule.reset_duration
    return shown


def _time(instant: int) -> datetime:
    return EPOCH + timedelta(microseconds=instant)


def _dollars(nanos: int) -> int | float:
    return nanos / NANOS if nanos % NANOS else nanos // NANOS
