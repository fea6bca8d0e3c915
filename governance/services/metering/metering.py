"""Deciding and charging: reserve before a call, report what had no reservation, and a dry run of both.

Rules come from memory, counts from the database: a call is matched against the snapshot, and the transaction that
counts compares the config revision with the snapshot's. Where it moved, the call is matched again.
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from governance.domain.errors import Code, Denied, Forbidden, GovernanceError, InvalidRequest, Unavailable
from governance.domain.limits.limit import Counter, current
from governance.domain.metering import matching
from governance.domain.metering.decision import Applied, Verdict, decide, stand
from governance.domain.metering.matching import Call
from governance.domain.metering.reservation import Reservation, Status
from governance.domain.names import spelled
from governance.domain.times import DAY, SECOND, Clock
from governance.services.metering import fingerprints
from governance.services.metering.matcher import Matched, Matcher
from governance.services.metering.statistics import Statistics
from governance.services.random_ids import Mint
from governance.snapshot.cache import SnapshotCache
from governance.snapshot.snapshot import Snapshot
from governance.storage import revisions
from governance.storage.limits import states
from governance.storage.store import Database, IdempotencyKey, MeteringStore, UnitOfWork
from schemas import metering as shown
from schemas import render
from schemas.metering import Ask

ATTEMPTS = 20
ANSWERS_KEPT = DAY
Result = TypeVar("Result")
Body = Callable[[], dict[str, Any]]
"""Makes the body of an answer."""


class Stale(GovernanceError):
    """The config revision is another than the snapshot's: match again. Never leaves this module."""

    def __init__(self) -> None:
        super().__init__("Match again.")


class Answer(NamedTuple):
    """The JSON of an answer, and whether it was given before."""

    body: bytes
    replayed: bool = False


class Denial(NamedTuple):
    """A verdict against a call, at an instant."""

    verdict: Verdict
    call: Call
    now: int


Outcome = Answer | Denial


class Metering:
    """The acts that decide and charge."""

    def __init__(
        self,
        database: Database,
        group: MeteringStore,
        cache: SnapshotCache,
        *,
        steady: Clock,
        mint: Mint,
        statistics: Statistics,
    ) -> None:
        self._database = database
        self._group = group
        self._cache = cache
        self._matcher = Matcher(cache)
        self._steady = steady
        self._mint = mint
        self._statistics = statistics

    def reserve(self, ask: Ask, repeat: IdempotencyKey | None) -> Answer:
        """Hold what a call asks for on every rule that applies, or nothing at all.

        Raises Denied with every rule that had no room; Forbidden where the virtual key may not be used.
        """
        return _answered(self._together(ask, partial(self._admit, ask, repeat), partial(self._counted, perf_counter())))

    def report(self, ask: Ask, repeat: IdempotencyKey | None) -> Answer:
        """Charge what was used without a reservation: always accepted."""
        return _answered(self._together(ask, partial(self._charge, ask, repeat), _rendered))

    def check(self, ask: Ask) -> dict[str, Any]:
        """What a reservation would be answered, without any effect, and why other limits did not apply."""
        return self._matching(ask, lambda matched, _: self._look(ask, matched))

    def _together(
        self, ask: Ask, act: Callable[[Matched, UnitOfWork], Outcome | Body], then: Callable[[Outcome | Body], Outcome]
    ) -> Outcome:
        """Do an act in the next batch, and after the commit what comes then."""
        return self._matching(ask, lambda matched, until: self._group.submit_then(partial(act, matched), then, until))

    def _matching(self, ask: Ask, act: Callable[[Matched, float], Result]) -> Result:
        """Do an act with rules that are as new as the database, and with the caller's deadline."""
        until = self._group.deadline()
        for _ in range(ATTEMPTS):
            matched = self._matcher.match(ask)
            try:
                return act(matched, until)
            except Stale:
                self._cache.refresh(until)
        raise Unavailable("Try again shortly: the limits are being changed too quickly to decide.")

    def _admit(self, ask: Ask, repeat: IdempotencyKey | None, matched: Matched, batch: UnitOfWork) -> Outcome | Body:
        known = _repeated(batch, repeat, ask, self._steady())
        if known is not None:
            return known
        _compare(matched, batch)
        _refuse_key(matched, batch.now)
        tallies = batch.counters(matched.applied)
        verdict = decide(stand(matched.applied, [tally.counter for tally in tallies], ask.amounts))
        if not verdict.allowed:
            return Denial(verdict, matched.call, batch.now)
        reservation = self._reservation(ask, matched.call, batch.now)
        batch.add(reservation, [(tally, s.requested, 0) for tally, s in zip(tallies, verdict.standings, strict=True)])
        return _kept(batch, repeat, ask, matched, lambda: shown.allowed(reservation, verdict.standings))

    def _charge(self, ask: Ask, repeat: IdempotencyKey | None, matched: Matched, batch: UnitOfWork) -> Answer | Body:
        known = _repeated(batch, repeat, ask, self._steady())
        if known is not None:
            return known
        _compare(matched, batch)
        tallies = batch.counters(matched.applied)
        standings = stand(matched.applied, [tally.counter for tally in tallies], ask.amounts)
        report = self._reservation(ask, matched.call, batch.now)._replace(
            status=Status.REPORTED,
            requests=ask.amounts.requests,
            held_tokens=0,
            held_cost=0,
            used_tokens=ask.amounts.tokens or 0,
            used_cost=ask.amounts.cost or 0,
            expires_at=batch.now,
            settled_at=batch.now,
            ended_at=batch.now,
        )
        batch.add(report, [(tally, 0, s.requested) for tally, s in zip(tallies, standings, strict=True)])
        return _kept(batch, repeat, ask, matched, lambda: shown.reported(standings))

    def _counted(self, began: float, outcome: Outcome | Body) -> Outcome:
        """A decision that stands, rendered and counted; it began at that instant of `perf_counter`."""
        made = _rendered(outcome)
        self._statistics.decided(perf_counter() - began)
        if isinstance(made, Denial):
            self._statistics.denied(made.verdict, made.now)
        elif not made.replayed:
            self._statistics.allowed()
        return made

    def _look(self, ask: Ask, matched: Matched) -> dict[str, Any]:
        with self._database.read() as connection:
            if revisions.current(connection) != matched.revision:
                raise Stale
            now = self._group.clock()
            stored = states.by_ids(connection, sorted({applied.limit.id for applied in matched.applied}))
        counters = {
            rule.key: counter
            for entry in stored.values()
            for rule, counter in zip(entry.limit.rules, entry.counters, strict=True)
        }
        windows = [_window(applied, counters.get(applied.rule.key), now) for applied in matched.applied]
        verdict = decide(stand(matched.applied, windows, ask.amounts))
        refusal = _key_refusal(matched, now) or (
            None if verdict.allowed else _denied(Denial(verdict, matched.call, now))
        )
        return {
            "decision": "deny" if refusal else "allow",
            "message": refusal.message if refusal else None,
            "limits": shown.standings(verdict.standings),
            "violations": shown.standings(verdict.violations),
            "unmatched": _unmatched(self._cache.get().snapshot, matched),
        }

    def _reservation(self, ask: Ask, call: Call, now: int) -> Reservation:
        return Reservation(
            id=self._mint.new_ordered_id(now),
            status=Status.OPEN,
            model=call.model,
            provider=call.provider,
            virtual_key_id=call.virtual_key_id,
            user_id=call.user_id,
            requests=1,
            held_tokens=ask.amounts.tokens or 0,
            held_cost=ask.amounts.cost or 0,
            used_tokens=0,
            used_cost=0,
            created_at=now,
            expires_at=now + ask.ttl_seconds * SECOND,
            settled_at=None,
            late=False,
        )


def _compare(matched: Matched, batch: UnitOfWork) -> None:
    if batch.revision != matched.revision:
        raise Stale


def _key_refusal(matched: Matched, now: int) -> Forbidden | None:
    """Why the call's virtual key may not be used; None where it may, or none is in play."""
    if matched.unknown is not None:
        return matched.unknown()
    if matched.key is not None and not matched.key.is_active:
        return Forbidden("Activate the virtual key, or use another: it is inactive.", code=Code.VIRTUAL_KEY_INACTIVE)
    if matched.key is not None and matched.key.expires_at is not None and matched.key.expires_at <= now:
        return Forbidden("Use another virtual key: this one has expired.", code=Code.VIRTUAL_KEY_EXPIRED)
    return None


def _refuse_key(matched: Matched, now: int) -> None:
    refusal = _key_refusal(matched, now)
    if refusal is not None:
        raise refusal


def _window(applied: Applied, counter: Counter | None, now: int) -> Counter:
    return current(applied.rule, applied.limit.alignment, counter, now)


def _denied(denial: Denial) -> Denied:
    verdict, call, now = denial
    extra = {
        "decision": "deny",
        "retryable": verdict.retryable,
        "violations": shown.standings(verdict.violations),
    }
    first = verdict.violations[0]
    sentence = shown.sentence(first)
    whose = {
        "model": call.model,
        "virtual_key_id": call.virtual_key_id,
        "user_id": call.user_id,
        "rule_id": first.applied.rule.id,
    }
    return Denied(sentence, code=Code(verdict.word), extra=extra, retry_after=verdict.retry_after(now), whose=whose)


def _repeated(batch: UnitOfWork, repeat: IdempotencyKey | None, ask: Ask, now: int) -> Answer | None:
    """The first answer, where this caller has had one under the same key for the same body."""
    kept = None if repeat is None else batch.answer(repeat, min(batch.now, now) - ANSWERS_KEPT)
    if kept is None:
        return None
    if kept[0] not in (fingerprints.of(ask), fingerprints.before_absence(ask)):
        sentence = "Use a new Idempotency-Key: this one was used for another body."
        raise InvalidRequest(sentence, param="Idempotency-Key", code=Code.IDEMPOTENCY_KEY_REUSED)
    return Answer(kept[1], replayed=True)


def _kept(batch: UnitOfWork, repeat: IdempotencyKey | None, ask: Ask, matched: Matched, body: Body) -> Answer | Body:
    """The answer, kept for repeats; where none can come, its rendering can wait until after the commit."""
    if repeat is None:
        return body
    answer = render.dumps(body())
    batch.keep(repeat, fingerprints.of(ask), answer, shown.repeated_texts(matched.applied))
    return Answer(answer)


def _rendered(outcome: Outcome | Body) -> Outcome:
    return outcome if isinstance(outcome, Answer | Denial) else Answer(render.dumps(outcome()))


def _answered(outcome: Outcome) -> Answer:
    if isinstance(outcome, Denial):
        raise _denied(outcome)
    return outcome


MOST_UNMATCHED = 20


def _unmatched(snapshot: Snapshot, matched: Matched) -> dict[str, Any]:
    """Limits of the same model or provider that did not apply, and why."""
    provider, model = spelled(matched.call.model, matched.call.provider)
    names = {model, f"{provider}/{model}"}
    applied = {each.limit.id for each in matched.applied} | {
        match.limit_id for match in matching.matches(matched.call, snapshot.identities)
    }
    near = [
        (identity, limit_id)
        for identity, limit_id in snapshot.identities.items()
        if (identity.model in names or (provider and identity.provider == provider)) and limit_id not in applied
    ]
    explained = []
    for identity, limit_id in near[:MOST_UNMATCHED]:
        limit = snapshot.entries[limit_id].limit
        explained.append(
            {
                "model_config_id": limit_id,
                "model_name": limit.model_name,
                "provider": limit.provider,
                "scope": limit.scope,
                "scope_id": limit.scope_id,
                "reason": matching.reason(matched.call, identity),
            }
        )
    return {"count": len(near), "limits": explained}
