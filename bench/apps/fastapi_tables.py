"""The service's tables as ORM classes of SQLAlchemy, with the relationships that a page of limits needs."""

from functools import lru_cache

from sqlalchemy import ForeignKey, ForeignKeyConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "M": 30 * 86400, "Y": 365 * 86400}


class Base(DeclarativeBase):
    """The base class of the ORM classes."""


class VirtualKey(Base):
    """A virtual key. Only its name is shown."""

    __tablename__ = "virtual_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class User(Base):
    """A user. Only the name is shown."""

    __tablename__ = "users"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class Counter(Base):
    """The usage of a rule in one time window."""

    __tablename__ = "counters"
    __table_args__ = (ForeignKeyConstraint(["rule_id", "metric"], ["rules.id", "rules.metric"]),)
    id: Mapped[int] = mapped_column(primary_key=True)
    rule_id: Mapped[str]
    metric: Mapped[str]
    generation: Mapped[int]
    window_start: Mapped[int]
    window_end: Mapped[int]
    used: Mapped[int]
    reserved: Mapped[int]


class Rule(Base):
    """A budget, or the part of a rate limit for one metric (tokens or requests)."""

    __tablename__ = "rules"
    id: Mapped[str] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    model_limit_id: Mapped[str] = mapped_column(ForeignKey("model_limits.id"))
    position: Mapped[int]
    max_limit: Mapped[int]
    reset_duration: Mapped[str]
    anchor: Mapped[int]
    generation: Mapped[int]
    config_hash: Mapped[str | None]
    created_at: Mapped[int]
    updated_at: Mapped[int]
    counters: Mapped[list[Counter]] = relationship()

    def window(self, now: int) -> tuple[int, int, int, int]:
        """Return the start and the end of the current window, then its used amount and its reserved amount."""
        for counter in self.counters:
            if counter.generation == self.generation:
                return counter.window_start, counter.window_end, counter.used, counter.reserved
        length = _length(self.reset_duration)
        start = now - (now - self.anchor) % length
        return start, start + length, 0, 0


class ModelLimit(Base):
    """A limit with all values that a response contains."""

    __tablename__ = "model_limits"
    id: Mapped[str] = mapped_column(primary_key=True)
    model_name: Mapped[str]
    provider: Mapped[str]
    scope: Mapped[str]
    scope_id: Mapped[str]
    calendar_aligned: Mapped[bool]
    timezone: Mapped[str]
    config_hash: Mapped[str | None]
    created_at: Mapped[int]
    updated_at: Mapped[int]
    rules: Mapped[list[Rule]] = relationship(order_by=Rule.position)
    virtual_key: Mapped[VirtualKey | None] = relationship(
        primaryjoin="and_(foreign(ModelLimit.scope_id) == VirtualKey.id, ModelLimit.scope == 'virtual_key')",
        viewonly=True,
    )
    user: Mapped[User | None] = relationship(
        primaryjoin="and_(foreign(ModelLimit.scope_id) == User.id, ModelLimit.scope == 'user')", viewonly=True
    )

    @property
    def scope_name(self) -> str | None:
        """The name of the virtual key or user to whom the limit applies, or None."""
        named = self.virtual_key or self.user
        return named.name if named else None


@lru_cache
def _length(duration: str) -> int:
    return int(duration[:-1]) * UNITS[duration[-1]] * 1_000_000
