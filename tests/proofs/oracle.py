"""A second, simple implementation of docs/contract.md §5 and §6: one caller after another, with lists and no storage.

It shares no code with `governance`. Money is kept in whole nano-dollars and shown as Fractions of a dollar. Instants
are in microseconds. The calendar zones are those in which every day has exactly one midnight.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

SECOND = 10**6
DAY = 86_400 * SECOND
NANOS = 10**9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LENGTHS = {
    "30s": 30 * SECOND,
    "1m": 60 * SECOND,
    "1h": 3600 * SECOND,
    "1d": DAY,
    "2d": 2 * DAY,
    "1w": 7 * DAY,
    "1M": 30 * DAY,
    "3M": 90 * DAY,
}
ALIGNABLE = {"1d", "2d", "1w", "1M", "3M"}
PLACES = {"user": 0, "virtual_key": 1, "global": 2}
DEFAULT_TTL = 600
RETENTION = 7 * DAY
SHORT_COUNTERS_KEPT, LONG_COUNTERS_KEPT = 7 * DAY, 400 * DAY
SHORTEST_DAY = 23 * 3600 * SECOND
LARGEST_SUM = 2**62


def counter_kept(start: int, end: int) -> int:
    """Return the time in microseconds for which the counter of a closed window is kept (docs/contract.md §10).

    A calendar day has 23 hours where summer time begins.
    """
    return LONG_COUNTERS_KEPT if end - start >= SHORTEST_DAY else SHORT_COUNTERS_KEPT


@dataclass(eq=False)
class Window:
    """A rule's counter in one window. `forgiven` is the usage that resets have removed."""

    start: int
    end: int
    used: int = 0
    reserved: int = 0
    forgiven: int = 0

    def may_pass(self, more: int) -> bool:
        """Return whether the sum may be too large with this addition. The service may count the forgiven usage too."""
        return more > 0 and self.used + self.reserved + self.forgiven + more > LARGEST_SUM

    def must_pass(self, more: int) -> bool:
        """Return whether the sum is certainly too large with this addition."""
        return more > 0 and self.used + self.reserved + more > LARGEST_SUM


@dataclass(eq=False)
class Rule:
    """A rule with the windows that have counts, the newest last. `closed` has those of earlier settings."""

    id: str
    metric: str
    most: int
    duration: str
    anchor: int
    windows: list[Window] = field(default_factory=list)
    closed: list[Window] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return "budget" if self.metric == "cost" else "rate_limit"


@dataclass(eq=False)
class Limit:
    """A stored limit."""

    id: str
    model: str
    provider: str | None
    scope: str
    scope_id: str | None
    aligned: bool
    zone: str
    rules: list[Rule] = field(default_factory=list)

    @property
    def identity(self) -> tuple[Any, ...]:
        return self.scope, self.scope_id, canonical(self.provider), canonical_model(self.model, self.provider)

    def item(self, item_id: str) -> list[Rule]:
        return [rule for rule in self.rules if rule.id == item_id]


@dataclass
class Key:
    """A virtual key. Its value is `sk-` and its id."""

    id: str
    active: bool = True
    expires_at: int | None = None


class Ask(NamedTuple):
    """A call after validation. Two bodies with equal fields are equal.

    A missing amount is None, which differs from 0.
    """

    model: str
    provider: str | None = None
    key_id: str | None = None
    by_value: bool = False
    user_id: str | None = None
    cost: int | None = 0
    tokens: int | None = 0
    requests: int = 1
    ttl: int = DEFAULT_TTL

    def given(self, metric: str) -> int | None:
        return {"cost": self.cost, "tokens": self.tokens, "requests": self.requests}[metric]

    def of(self, metric: str) -> int:
        return self.given(metric) or 0


@dataclass(eq=False)
class Entry:
    """The reserved and charged amounts of a reservation in one window.

    `forgiven` is the charged amount that a reset has removed.
    """

    metric: str
    window: Window
    held: int
    used: int
    forgiven: bool = False

    def charge(self, used: int) -> int:
        """Return the amount to add to the usage. An amount that a reset has forgiven is not subtracted again."""
        delta = used - self.used
        return max(0, delta) if self.forgiven else delta

    def end(self, used: int) -> None:
        """End the reserved amount, and charge this amount."""
        self.window.used += self.charge(used)
        self.window.reserved -= self.held
        self.held, self.used = 0, used


@dataclass(eq=False)
class Reservation:
    """A reservation. `used` has the amounts charged now."""

    id: str
    ask: Ask
    created_at: int
    expires_at: int
    entries: list[Entry]
    status: str = "open"
    requests: int = 1
    used_cost: int = 0
    used_tokens: int = 0
    settled_at: int | None = None
    ended_at: int | None = None
    late: bool = False
    settled_cost: int | None = None

    def is_late(self, now: int) -> bool:
        return self.status == "expired" or (self.status == "open" and now >= self.expires_at)

    def end(self, status: str, now: int, *, requests: int, cost: int, tokens: int) -> None:
        """Release the reserved amounts, and correct the charged amounts to these."""
        self.status, self.ended_at = status, now
        self.requests, self.used_cost, self.used_tokens = requests, cost, tokens
        for entry in self.entries:
            entry.end({"cost": cost, "tokens": tokens, "requests": requests}[entry.metric])

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": self.status,
            "model": self.ask.model.strip(),
            "provider": self.ask.provider and self.ask.provider.strip(),
            "virtual_key_id": self.ask.key_id,
            "user_id": self.ask.user_id,
            "requests": self.requests,
            "tokens": {"reserved": self.ask.of("tokens"), "used": self.used_tokens},
            "cost": {"reserved": dollars(self.ask.of("cost")), "used": dollars(self.used_cost)},
            "overrun": {
                "tokens": max(0, self.used_tokens - self.ask.of("tokens")),
                "cost": dollars(max(0, self.used_cost - self.ask.of("cost"))),
            },
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at),
            "settled_at": None if self.settled_at is None else rfc3339(self.settled_at),
            "late": self.late,
            "cost_source": "none" if self.ask.cost is None and self.settled_cost is None else "given",
            "price": None,
        }


class Refused(Exception):
    """A response other than 200: status and code. For a denial also its extra_fields and Retry-After."""

    def __init__(
        self, status: int, code: str, extra: dict[str, Any] | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(status, code)
        self.status, self.code, self.extra, self.retry_after = status, code, extra, retry_after


class Oracle:
    """All stored data, and the acts on it."""

    def __init__(self, *, charge_expired: bool) -> None:
        self.charge_expired = charge_expired
        self.limits: dict[str, Limit] = {}
        self.keys: dict[str, Key] = {}
        self.reservations: dict[str, Reservation] = {}
        self.answers: dict[tuple[str, str], tuple[Ask, bytes, int]] = {}

    # The rules that apply.

    def applied(self, ask: Ask) -> list[tuple[Limit, Rule]]:
        """Return the rules of every limit that applies, the most specific first."""
        found = [(limit, rule) for limit in self.limits.values() if applies(limit, ask) for rule in limit.rules]
        return sorted(found, key=lambda pair: place(*pair))

    def refuse_key(self, ask: Ask, now: int) -> None:
        if ask.key_id is None:
            return
        key = self.keys.get(ask.key_id)
        if key is None:
            raise Refused(403, "virtual_key_unknown")
        if not key.active:
            raise Refused(403, "virtual_key_inactive")
        if key.expires_at is not None and key.expires_at <= now:
            raise Refused(403, "virtual_key_expired")

    # Decide and charge.

    def violations(self, ask: Ask, now: int) -> list[tuple[Limit, Rule]]:
        return [
            (limit, rule) for limit, rule in self.applied(ask) if not has_room(rule, limit, ask.given(rule.metric), now)
        ]

    def admit(self, ask: Ask, now: int) -> None:
        """Raise Refused if the call is not admitted. Change nothing."""
        self.refuse_key(ask, now)
        violated = self.violations(ask, now)
        if violated:
            raise self.denial(ask, violated, now)

    def denial(self, ask: Ask, violated: list[tuple[Limit, Rule]], now: int) -> Refused:
        metrics = {rule.metric for _, rule in violated}
        code = "rate_limited"
        if "cost" in metrics:
            code = "budget_exceeded"
        elif len(metrics) == 1:
            code = {"tokens": "token_limited", "requests": "request_limited"}[metrics.pop()]
        retryable = all(ask.of(rule.metric) <= rule.most for _, rule in violated)
        latest = max(current(rule, limit, now).end for limit, rule in violated)
        extra = {
            "decision": "deny",
            "retryable": retryable,
            "violations": [self.standing(limit, rule, ask, now) for limit, rule in violated],
        }
        seconds = max(1, ceil(Fraction(latest - now, SECOND))) if retryable else None
        return Refused(402 if code == "budget_exceeded" else 429, code, extra, seconds)

    def standing(self, limit: Limit, rule: Rule, ask: Ask, now: int) -> dict[str, Any]:
        """Return a rule that applied, in the form of a response."""
        window = current(rule, limit, now)
        show = dollars if rule.metric == "cost" else int
        key = self.keys.get(limit.scope_id or "") if limit.scope == "virtual_key" else None
        return {
            "rule_id": rule.id,
            "model_config_id": limit.id,
            "kind": rule.kind,
            "metric": rule.metric,
            "model_name": limit.model.strip(),
            "provider": limit.provider and limit.provider.strip(),
            "scope": limit.scope,
            "scope_id": limit.scope_id,
            "scope_name": key and f"name of {key.id}",
            "used": show(window.used),
            "reserved": show(window.reserved),
            "requested": show(ask.of(rule.metric)),
            "limit": show(rule.most),
            "remaining": show(max(0, rule.most - window.used - window.reserved)),
            "resets_at": rfc3339(window.end),
        }

    def standings(self, ask: Ask, now: int) -> list[dict[str, Any]]:
        return [self.standing(limit, rule, ask, now) for limit, rule in self.applied(ask)]

    def hold(self, ask: Ask, reservation_id: str, now: int) -> Reservation:
        """Return the reservation of an admitted call, with the id that the service gave it."""
        entries = []
        for limit, rule in self.applied(ask):
            window = counted(rule, limit, now)
            window.reserved += ask.of(rule.metric)
            entries.append(Entry(rule.metric, window, ask.of(rule.metric), 0))
        made = Reservation(reservation_id, ask, now, now + ask.ttl * SECOND, entries)
        self.reservations[reservation_id] = made
        return made

    def reported(self, ask: Ask, now: int) -> list[tuple[Window, int]]:
        """Return the amounts that a report adds, and their windows."""
        return [(current(rule, limit, now), ask.of(rule.metric)) for limit, rule in self.applied(ask)]

    def settled(self, reservation_id: str, cost: int | None, tokens: int | None) -> list[tuple[Window, int]]:
        """Return the amounts that a settle adds, and their windows. Deleted windows are left out."""
        held = self.reservations.get(reservation_id)
        if held is None or held.status in ("released", "settled"):
            return []
        living = {id(window) for _, window in self.windows()}
        amounts = {
            "cost": held.ask.of("cost") if cost is None else cost,
            "tokens": held.ask.of("tokens") if tokens is None else tokens,
            "requests": 1,
        }
        return [
            (each.window, each.charge(amounts[each.metric]) - each.held)
            for each in held.entries
            if id(each.window) in living
        ]

    def report(self, ask: Ask, now: int) -> None:
        for limit, rule in self.applied(ask):
            counted(rule, limit, now).used += ask.of(rule.metric)

    # Idempotency.

    def repeated(self, path: str, key: str | None, ask: Ask, now: int) -> bytes | None:
        """Return the first response under a key within the last day, or None. Raises Refused for another body."""
        if key is None or (path, key) not in self.answers:
            return None
        first, body, at = self.answers[path, key]
        if at <= now - DAY:
            return None
        if first != ask:
            raise Refused(422, "idempotency_key_reused")
        return body

    def keep(self, path: str, key: str | None, ask: Ask, body: bytes, now: int) -> None:
        if key is not None:
            self.answers[path, key] = (ask, body, now)

    # The life of a reservation.

    def found(self, reservation_id: str) -> Reservation:
        if reservation_id not in self.reservations:
            raise Refused(404, "reservation_not_found")
        return self.reservations[reservation_id]

    def settle(self, reservation_id: str, cost: int | None, tokens: int | None, now: int) -> Reservation:
        held = self.found(reservation_id)
        if held.status == "released":
            raise Refused(409, "already_released")
        if held.status == "settled":
            if cost not in (None, held.used_cost) or tokens not in (None, held.used_tokens):
                raise Refused(409, "already_settled")
            return held
        held.late, held.settled_at, held.settled_cost = held.is_late(now), now, cost
        held.end(
            "settled",
            now,
            requests=1,
            cost=held.ask.of("cost") if cost is None else cost,
            tokens=held.ask.of("tokens") if tokens is None else tokens,
        )
        return held

    def release(self, reservation_id: str, now: int) -> Reservation:
        held = self.found(reservation_id)
        if held.status == "settled":
            raise Refused(409, "already_settled")
        if held.status != "released":
            held.late = held.is_late(now)
            held.end("released", now, requests=0, cost=0, tokens=0)
        return held

    def extend(self, reservation_id: str, ttl: int, now: int) -> Reservation:
        held = self.found(reservation_id)
        if held.status in ("settled", "released"):
            raise Refused(409, f"already_{held.status}")
        if held.is_late(now):
            raise Refused(409, "reservation_expired")
        held.expires_at = max(held.expires_at, now + ttl * SECOND)
        return held

    def sweep(self, now: int) -> None:
        for held in self.reservations.values():
            if held.status == "open" and now >= held.expires_at:
                if self.charge_expired:
                    held.end("expired", now, requests=1, cost=held.ask.of("cost"), tokens=held.ask.of("tokens"))
                else:
                    held.end("expired", now, requests=0, cost=0, tokens=0)

    def prune(self, now: int, stored: set[str], slack: int) -> None:
        """Allow the deletion of reservations that ended a retention ago. Their counters keep their sums.

        `slack` is the time by which they may be deleted later. The service's `touched_at` never goes back, but the
        clock may have gone back.
        """
        for held in list(self.reservations.values()):
            since = 0 if held.ended_at is None else now - held.ended_at - RETENTION
            if held.id not in stored:
                assert since > 0, held
                del self.reservations[held.id]
            assert held.id not in stored or since <= slack, held
        self.answers = {key: kept for key, kept in self.answers.items() if kept[2] >= now - DAY}

    # Edits.

    def edit(self, limit: Limit, now: int, *, aligned: bool, zone: str, durations: dict[tuple[str, str], str]) -> None:
        """Give a limit's rules other windows. Open counters move into the current window, and closed ones stay."""
        before = {rule: frame(rule, limit) for rule in limit.rules}
        limit.aligned, limit.zone = aligned, zone
        for rule in limit.rules:
            rule.duration = durations.get((rule.id, rule.metric), rule.duration)
            if frame(rule, limit) != before[rule]:
                move(rule, limit, now)

    def reset_usage(self, limit: Limit, now: int) -> None:
        """Set the current usage to 0.

        A counter that starts more than a day ahead of the clock moves back to the current window.
        """
        for rule in limit.rules:
            ahead = [window for window in rule.windows if window.start > now + DAY]
            if ahead:
                self._bring_back(rule, limit, ahead, now)
            newest = rule.windows[-1] if rule.windows else None
            if newest is not None and newest.end > now:
                self._forgive(newest)

    def _forgive(self, window: Window) -> None:
        window.forgiven += window.used
        window.used = 0
        for held in self.reservations.values():
            for entry in held.entries:
                entry.forgiven |= entry.window is window and held.ended_at is not None

    def _bring_back(self, rule: Rule, limit: Limit, ahead: list[Window], now: int) -> None:
        kept = [window for window in rule.windows if window not in ahead]
        into = Window(*window_at(rule, limit, now))
        here = [window for window in kept if window.start == into.start]
        for window in ahead:
            self._forgive(window)
        for window in ahead + here:
            into.used += window.used
            into.reserved += window.reserved
            into.forgiven += window.forgiven
            for held in self.reservations.values():
                for entry in held.entries:
                    if entry.window is window:
                        entry.window = into
        kept = [window for window in kept if window not in here]
        rule.windows = sorted([*kept, into], key=lambda window: window.start)

    def windows(self) -> Iterator[tuple[Rule, Window]]:
        """Yield every counter."""
        for limit in self.limits.values():
            for rule in limit.rules:
                for window in rule.closed + rule.windows:
                    yield rule, window


def canonical(name: str | None) -> str | None:
    return None if name is None else name.strip().casefold()


def canonical_model(model: str, provider: str | None) -> str:
    name = model.strip().casefold()
    return name if provider is None else name.removeprefix(f"{canonical(provider)}/")


def bare(model: str, provider: str) -> str:
    """Return a model without any prefix of its provider. A model's own name may begin with the provider."""
    while model.startswith(f"{provider}/"):
        model = model.removeprefix(f"{provider}/")
    return model


def readings(ask: Ask) -> set[tuple[str | None, str]]:
    """Return (provider, model) as the call has it.

    A call `p/rest` without a provider also gives provider p and model rest.
    """
    provider, model = canonical(ask.provider), canonical_model(ask.model, ask.provider)
    found: set[tuple[str | None, str]] = {(provider, model)}
    if provider is None and "/" in model:
        head, _, rest = model.partition("/")
        found.add((head, rest))
    return found


def applies(limit: Limit, ask: Ask) -> bool:
    asked = {"global": None, "virtual_key": ask.key_id, "user": ask.user_id}[limit.scope]
    if limit.scope != "global" and (asked is None or asked != limit.scope_id):
        return False
    provider, model = canonical(limit.provider), canonical_model(limit.model, limit.provider)
    for given_provider, given_model in readings(ask):
        if provider not in (None, given_provider):
            continue
        if model in ("*", given_model):
            return True
        if given_provider and bare(model, given_provider) == bare(given_model, given_provider):
            return True
    return False


def place(limit: Limit, rule: Rule) -> tuple[Any, ...]:
    """Return the sort key: user, virtual key, global, then tier, then kind, window length and id."""
    tier = (2 if limit.provider else 3) if limit.model.strip() == "*" else (0 if limit.provider else 1)
    return PLACES[limit.scope], tier, rule.kind, LENGTHS[rule.duration], rule.id, rule.metric


def has_room(rule: Rule, limit: Limit, requested: int | None, now: int) -> bool:
    """Return whether a rule has room. 0 always has room. A missing amount needs some room. Other amounts must fit."""
    window = current(rule, limit, now)
    left = rule.most - window.used - window.reserved
    if requested is None:
        return left > 0
    return requested == 0 or requested <= left


def frame(rule: Rule, limit: Limit) -> tuple[Any, ...]:
    """Return the values that decide a rule's windows."""
    if limit.aligned and rule.duration in ALIGNABLE:
        return rule.duration, limit.zone
    return LENGTHS[rule.duration], rule.anchor


def window_at(rule: Rule, limit: Limit, now: int) -> tuple[int, int]:
    if limit.aligned and rule.duration in ALIGNABLE:
        return calendar(int(rule.duration[:-1]), rule.duration[-1], ZoneInfo(limit.zone), now)
    length = LENGTHS[rule.duration]
    start = rule.anchor + (now - rule.anchor) // length * length
    return start, start + length


def calendar(multiple: int, unit: str, zone: ZoneInfo, now: int) -> tuple[int, int]:
    """Return the calendar window.

    Days are counted from 1970-01-01, weeks from Monday 1970-01-05, and months from January 1970.
    """
    today = (EPOCH + timedelta(microseconds=now)).astimezone(zone).date()
    if unit == "M":
        months = ((today.year - 1970) * 12 + today.month - 1) // multiple * multiple
        first, last = (date(1970 + m // 12, m % 12 + 1, 1) for m in (months, months + multiple))
    else:
        origin = date(1970, 1, 5) if unit == "w" else date(1970, 1, 1)
        length = timedelta(days=multiple * (7 if unit == "w" else 1))
        first = origin + (today - origin) // length * length
        last = first + length
    return midnight(first, zone), midnight(last, zone)


def midnight(day: date, zone: ZoneInfo) -> int:
    return (datetime(day.year, day.month, day.day, tzinfo=zone) - EPOCH) // timedelta(microseconds=1)


def current(rule: Rule, limit: Limit, now: int) -> Window:
    """Return the window at `now`, or the newest window with counts if that one is later."""
    newest = rule.windows[-1] if rule.windows else None
    if newest is not None and newest.end > now:
        return newest
    return Window(*window_at(rule, limit, now))


def counted(rule: Rule, limit: Limit, now: int) -> Window:
    """Return the current window. From now on it has a counter."""
    window = current(rule, limit, now)
    if window not in rule.windows:
        rule.windows.append(window)
    return window


def move(rule: Rule, limit: Limit, now: int) -> None:
    newest = rule.windows.pop() if rule.windows and rule.windows[-1].end > now else None
    rule.closed += rule.windows
    rule.windows = []
    if newest is not None:
        newest.start, newest.end = window_at(rule, limit, now)
        rule.windows.append(newest)


def dollars(nanos: int) -> Fraction:
    return Fraction(nanos, NANOS)


def nanos(literal: str) -> int:
    """Return the dollars of a body in nano-dollars, rounded up."""
    return ceil(Fraction(literal) * NANOS)


def rfc3339(instant: int) -> str:
    return (EPOCH + timedelta(microseconds=instant)).isoformat().replace("+00:00", "Z")
