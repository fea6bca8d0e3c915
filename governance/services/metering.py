"""Deciding and charging: reserve before a call, report what had no reservation, and a dry run of both.

Rules come from memory, counts from the database: a call is matched against the snapshot, and the transaction that
counts compares the config revision with the snapshot's. Where it moved, the call is matched again.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from governance.domain import keys, matching
from governance.domain.decisions import Amounts, Applied, Standing, Verdict, decide
from governance.domain.errors import Code, Denied, Forbidden, GovernanceError, InvalidRequest, Unavailable
from governance.domain.keys import VirtualKey
from governance.domain.limits import Counter, current
from governance.domain.matching import Call
from governance.domain.reservations import Reservation, Status
from governance.domain.times import DAY, SECOND
from governance.memory.cache import SnapshotCache
from governance.memory.snapshot import Snapshot
from governance.services.mint import Mint
from governance.services.statistics import Statistics
from governance.storage import revisions, scoped
from governance.storage.batch import Batch, IdempotencyKey
from governance.storage.database import Database
from governance.storage.group_commit import GroupCommit
from schemas import metering as shown
from schemas import render
from schemas.metering import Ask

ATTEMPTS = 20
ANSWERS_KEPT = DAY
Result = TypeVar("Result")
Body = Callable[[], dict[str, Any]]
"""Makes the body of an answer, in the thread that needs it."""


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
    now: int


class Plan(NamedTuple):
    """What a snapshot says about a call: whose it is, and which rules apply."""

    revision: int
    call: Call
    key: VirtualKey | None
    unknown: Forbidden | None
    applied: tuple[Applied, ...]


class Metering:
    """The acts that decide and charge."""

    def __init__(
        self, database: Database, group: GroupCommit, cache: SnapshotCache, *, mint: Mint, statistics: Statistics
    ) -> None:
        self._database = database
        self._group = group
        self._cache = cache
        self._mint = mint
        self._statistics = statistics

    def reserve(self, ask: Ask, repeat: IdempotencyKey | None) -> Answer:
        """Hold what a call asks for on every rule that applies, or nothing at all.

        Raises Denied with every rule that had no room; Forbidden where the virtual key may not be used.
        """
        with self._statistics.deciding():
            outcome = self._planned(ask, lambda plan: self._group.submit(partial(self._admit, ask, plan, repeat)))
        if isinstance(outcome, Denial):
            self._statistics.denied(outcome.verdict, outcome.now)
            raise _denied(outcome)
        answer = _rendered(outcome)
        if not answer.replayed:
            self._statistics.allowed()
        return answer

    def report(self, ask: Ask, repeat: IdempotencyKey | None) -> Answer:
        """Charge what was used without a reservation: always accepted."""
        return _rendered(self._planned(ask, lambda plan: self._group.submit(partial(self._charge, ask, plan, repeat))))

    def check(self, ask: Ask) -> dict[str, Any]:
        """What a reservation would be answered, without any effect, and why other limits did not apply."""
        return self._planned(ask, partial(self._look, ask))

    def _planned(self, ask: Ask, act: Callable[[Plan], Result]) -> Result:
        """Do an act with a plan that is as new as the database."""
        for _ in range(ATTEMPTS):
            plan = _plan(self._cache.get().snapshot, ask)
            try:
                return act(plan)
            except Stale:
                self._cache.refresh()
        raise Unavailable("Try again shortly: the limits are being changed too quickly to decide.")

    def _admit(self, ask: Ask, plan: Plan, repeat: IdempotencyKey | None, batch: Batch) -> Answer | Denial | Body:
        known = _repeated(batch, repeat, ask)
        if known is not None:
            return known
        _compare(plan, batch)
        _refuse_key(plan, batch.now)
        batch.look_up(applied.rule for applied in plan.applied)
        verdict = decide(_standing(applied, batch, ask.amounts) for applied in plan.applied)
        if not verdict.allowed:
            return Denial(verdict, batch.now)
        reservation = self._reservation(ask, plan.call, batch.now)
        batch.add(reservation, [(s.applied.rule, s.window, s.requested, 0) for s in verdict.standings])
        return _kept(batch, repeat, ask, lambda: shown.allowed(reservation, [_held(s) for s in verdict.standings]))

    def _charge(self, ask: Ask, plan: Plan, repeat: IdempotencyKey | None, batch: Batch) -> Answer | Body:
        known = _repeated(batch, repeat, ask)
        if known is not None:
            return known
        _compare(plan, batch)
        batch.look_up(applied.rule for applied in plan.applied)
        verdict = decide(_standing(applied, batch, ask.amounts) for applied in plan.applied)
        report = self._reservation(ask, plan.call, batch.now)._replace(
            status=Status.REPORTED,
            requests=ask.amounts.requests,
            held_tokens=0,
            held_cost=0,
            used_tokens=ask.amounts.tokens,
            used_cost=ask.amounts.cost,
            expires_at=batch.now,
            settled_at=batch.now,
            ended_at=batch.now,
        )
        batch.add(report, [(s.applied.rule, s.window, 0, s.requested) for s in verdict.standings])
        return _kept(batch, repeat, ask, lambda: shown.reported([_used(s) for s in verdict.standings]))

    def _look(self, ask: Ask, plan: Plan) -> dict[str, Any]:
        with self._database.read() as connection:
            if revisions.current(connection) != plan.revision:
                raise Stale
            now = self._group.clock()
            stored = scoped.by_ids(connection, sorted({applied.limit.id for applied in plan.applied}))
        counters = {
            rule.key: counter
            for entry in stored.values()
            for rule, counter in zip(entry.limit.rules, entry.counters, strict=True)
        }
        verdict = decide(
            Standing(
                applied, _window(applied, counters.get(applied.rule.key), now), ask.amounts.of(applied.rule.metric)
            )
            for applied in plan.applied
        )
        refusal = _key_refusal(plan, now) or (None if verdict.allowed else _denied(Denial(verdict, now)))
        return {
            "decision": "deny" if refusal else "allow",
            "message": refusal.message if refusal else None,
            "limits": shown.standings(verdict.standings),
            "violations": shown.standings(verdict.violations),
            "unmatched": _unmatched(self._cache.get().snapshot, plan),
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
            held_tokens=ask.amounts.tokens,
            held_cost=ask.amounts.cost,
            used_tokens=0,
            used_cost=0,
            created_at=now,
            expires_at=now + ask.ttl_seconds * SECOND,
            settled_at=None,
            late=False,
        )


def _plan(snapshot: Snapshot, ask: Ask) -> Plan:
    """Match a call against a snapshot; nothing is refused yet, since the snapshot may be behind."""
    call = ask.call
    key = None
    if ask.virtual_key is not None:
        key = snapshot.values.get(keys.digest(ask.virtual_key))
        call = call._replace(virtual_key_id=key.id if key else None)
    elif call.virtual_key_id is not None:
        key = snapshot.virtual_keys.get(call.virtual_key_id)
    named = ask.virtual_key is not None or call.virtual_key_id is not None
    unknown = _unknown(snapshot, ask) if named and key is None else None
    applied = []
    for match in matching.matches(call, snapshot.identities):
        limit, _, scope_name = snapshot.entries[match.limit_id]
        applied += [Applied(rule, limit, scope_name, match.rank) for rule in limit.rules]
    return Plan(snapshot.mark.revision, call, key, unknown, tuple(applied))


def _unknown(snapshot: Snapshot, ask: Ask) -> Forbidden:
    """The refusal of a virtual key that does not exist; an id in place of a value is told, and nothing else."""
    sentence = "Use a virtual key that exists: this one is unknown."
    if ask.virtual_key in snapshot.virtual_keys:
        sentence = "Send this as virtual_key_id: it is the id of a virtual key, and virtual_key takes its value."
    param = "virtual_key_id" if ask.virtual_key is None else "virtual_key"
    return Forbidden(sentence, param=param, code=Code.VIRTUAL_KEY_UNKNOWN)


def _compare(plan: Plan, batch: Batch) -> None:
    if batch.revision != plan.revision:
        raise Stale


def _key_refusal(plan: Plan, now: int) -> Forbidden | None:
    """Why the call's virtual key may not be used; None where it may, or none is in play."""
    if plan.unknown is not None:
        return plan.unknown
    if plan.key is not None and not plan.key.is_active:
        return Forbidden("Activate the virtual key, or use another: it is inactive.", code=Code.VIRTUAL_KEY_INACTIVE)
    if plan.key is not None and plan.key.expires_at is not None and plan.key.expires_at <= now:
        return Forbidden("Use another virtual key: this one has expired.", code=Code.VIRTUAL_KEY_EXPIRED)
    return None


def _refuse_key(plan: Plan, now: int) -> None:
    refusal = _key_refusal(plan, now)
    if refusal is not None:
        raise refusal


def _standing(applied: Applied, batch: Batch, amounts: Amounts) -> Standing:
    window = batch.counter(applied.rule, applied.limit.alignment)
    return Standing(applied, window, amounts.of(applied.rule.metric))


def _window(applied: Applied, counter: Counter | None, now: int) -> Counter:
    return current(applied.rule, applied.limit.alignment, counter, now)


def _held(standing: Standing) -> Standing:
    window = standing.window
    return standing._replace(window=window._replace(reserved=window.reserved + standing.requested))


def _used(standing: Standing) -> Standing:
    window = standing.window
    return standing._replace(window=window._replace(used=window.used + standing.requested))


def _denied(denial: Denial) -> Denied:
    verdict, now = denial
    extra = {
        "decision": "deny",
        "retryable": verdict.retryable,
        "violations": shown.standings(verdict.violations),
    }
    sentence = shown.sentence(verdict.violations[0])
    return Denied(sentence, code=Code(verdict.word), extra=extra, retry_after=verdict.retry_after(now))


def _repeated(batch: Batch, repeat: IdempotencyKey | None, ask: Ask) -> Answer | None:
    """The first answer, where this caller has had one under the same key for the same body."""
    kept = None if repeat is None else batch.answer(repeat, batch.now - ANSWERS_KEPT)
    if kept is None:
        return None
    if kept[0] != _fingerprint(ask):
        sentence = "Use a new Idempotency-Key: this one was used for another body."
        raise InvalidRequest(sentence, param="Idempotency-Key", code=Code.IDEMPOTENCY_KEY_REUSED)
    return Answer(kept[1], replayed=True)


def _kept(batch: Batch, repeat: IdempotencyKey | None, ask: Ask, body: Body) -> Answer | Body:
    """The answer, kept for repeats; where none can come, its rendering is left to the caller's own thread."""
    if repeat is None:
        return body
    answer = render.dumps(body())
    batch.keep(repeat, _fingerprint(ask), answer)
    return Answer(answer)


def _rendered(outcome: Answer | Body) -> Answer:
    return outcome if isinstance(outcome, Answer) else Answer(render.dumps(outcome()))


def _fingerprint(ask: Ask) -> str:
    """What two bodies that mean the same have in common; no secret can be read off it."""
    return hashlib.sha256(repr(ask).encode()).hexdigest()


MOST_UNMATCHED = 20


def _unmatched(snapshot: Snapshot, plan: Plan) -> dict[str, Any]:
    """Limits of the same model or provider that did not apply, and why."""
    provider, model = matching.spelled(plan.call)
    names = {model, f"{provider}/{model}"}
    applied = {each.limit.id for each in plan.applied} | {
        match.limit_id for match in matching.matches(plan.call, snapshot.identities)
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
                "reason": matching.reason(plan.call, identity),
            }
        )
    return {"count": len(near), "limits": explained}
