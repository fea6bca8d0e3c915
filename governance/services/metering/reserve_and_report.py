"""Decides whether a call may pass and reserves its amounts (reserve), or charges usage after a call (report).

A limit has rules. A rule sets a maximum of dollars, tokens or requests in a time window. A counter contains the usage
of a rule in one window. To match a call is to find the rules that apply to it. Rules come from the snapshot, which is
this worker's copy of the database in memory. Counters come from the database.

Every edit of limits, keys, users or prices raises the config revision, a number in the database. The snapshot contains
the revision at which it was read. If the transaction finds another revision in the database, the snapshot is out of
date. Then the snapshot is refreshed, and the call is matched again. Calls that wait at the same time form a batch and
share one transaction.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import NamedTuple

from governance.domain.errors import Code, GovernanceError, InvalidRequest, Unavailable
from governance.domain.limits.limit import Metric
from governance.domain.metering.decision import Decision, MatchedRule, decide, key_refusal
from governance.domain.metering.priced import priced
from governance.domain.metering.request import ReservationRequest
from governance.domain.metering.reservation import Reservation
from governance.domain.times import DAY, Clock
from governance.services.metering import fingerprints, ledger_entries
from governance.services.metering.match_cache import MatchedCall, Matcher
from governance.services.metering.statistics import Statistics
from governance.services.random_ids import RandomIds
from governance.snapshot.cache import SnapshotCache
from governance.storage.metering.pending import PendingCounter
from governance.storage.store import IdempotencyKey, MeteringStore, UnitOfWork

ATTEMPTS = 20
CHANGING = "Try again shortly: the limits are being changed too quickly to decide."
REUSED = "Use a new Idempotency-Key: this one was used for another body."
ANSWERS_KEPT = DAY
CounterAmount = tuple[PendingCounter, int]


class Stale(GovernanceError):
    """The call must be matched again, because the database has another config revision than the snapshot."""

    def __init__(self) -> None:
        super().__init__("Match again.")


class Renderer(NamedTuple):
    """Renders the response body for a decision.

    The writer thread renders all decisions of a batch. If a request has an Idempotency-Key, its response is stored.
    `repeated_texts` returns the texts that occur in all responses for the same rules. Storage stores each of these
    texts only once.
    """

    answer: Callable[[Decision], bytes]
    repeated_texts: Callable[[tuple[MatchedRule, ...]], tuple[str, ...]]


class ActContext(NamedTuple):
    """The objects that both `Reserve` and `Report` use."""

    store: MeteringStore
    cache: SnapshotCache
    matcher: Matcher
    steady: Clock
    random_ids: RandomIds
    statistics: Statistics
    refuses_unpriced: bool


class MatchedRequest(NamedTuple):
    """A request, and the result of matching it.

    `repeat` contains the Idempotency-Key of the request, or None if the request has none. `began` is the time at which
    the handling of the request began, in seconds of `perf_counter`.
    """

    request: ReservationRequest
    matched: MatchedCall
    renderer: Renderer
    repeat: IdempotencyKey | None
    began: float


class Act(ABC):
    """An operation on one call: reserve or report. The writer thread runs it."""

    def __init__(self, context: ActContext) -> None:
        self._context = context

    def __call__(
        self, request: ReservationRequest, renderer: Renderer, repeat: IdempotencyKey | None = None
    ) -> Decision:
        """Decide by the rules that are in the database now, and return the decision after its commit.

        Raises Unavailable.
        """
        began = perf_counter()
        store, cache, matcher, *_ = self._context
        until = store.deadline()
        for _ in range(ATTEMPTS):
            given = MatchedRequest(request, matcher.match(request), renderer, repeat, began)
            try:
                return store.submit_then(partial(self._decide, given), partial(self._finish, given), until)
            except Stale:
                cache.refresh(until)
        raise Unavailable(CHANGING)

    @abstractmethod
    def _decide(self, given: MatchedRequest, unit: UnitOfWork) -> Decision:
        """Decide and write the result, inside the transaction of a batch. Raises Stale."""

    @abstractmethod
    def _finish(self, given: MatchedRequest, decision: Decision) -> Decision:
        """Return the decision with its response body. The writer thread calls this after the commit."""

    _fingerprint = staticmethod(fingerprints.of)
    """Computes the fingerprint of a request: a hash of its body.

    The fingerprint is stored with the response. If a request repeats an Idempotency-Key with another body, the
    fingerprints differ.
    """

    def _replayed(self, given: MatchedRequest, repeat: IdempotencyKey, unit: UnitOfWork) -> Decision | None:
        """Return a decision with the stored response to this Idempotency-Key, or None if no response is stored.

        Raises InvalidRequest if the earlier request had another body.
        """
        kept = unit.answer(repeat, min(unit.now, self._context.steady()) - ANSWERS_KEPT)
        if kept is None:
            return None
        fingerprint, body = kept
        if fingerprint not in (self._fingerprint(given.request), fingerprints.before_absence(given.request)):
            raise InvalidRequest(REUSED, param="Idempotency-Key", code=Code.IDEMPOTENCY_KEY_REUSED)
        return Decision(given.matched.call, unit.now, rendered=body, replayed=True)

    def _kept(self, given: MatchedRequest, repeat: IdempotencyKey, unit: UnitOfWork, decision: Decision) -> Decision:
        """Render and store the response body, and return the decision with it. A repeat then gets the same body."""
        rendered = given.renderer.answer(decision)
        texts = given.renderer.repeated_texts(given.matched.rules)
        unit.keep(repeat, self._fingerprint(given.request), rendered, texts)
        return decision._replace(rendered=rendered)


class Reserve(Act):
    """Reserves the requested amounts on every rule that applies. If one rule has no room, nothing is reserved."""

    def _decide(self, given: MatchedRequest, unit: UnitOfWork) -> Decision:
        request, matched, _, repeat, _ = given
        replayed = repeat and self._replayed(given, repeat, unit)
        if replayed is not None:
            return replayed
        if unit.revision != matched.revision:
            raise Stale
        now, refusal = unit.now, matched.unknown
        if matched.key is not None:
            refusal = key_refusal(matched.key, now)
        if refusal is not None:
            return Decision(matched.call, now, key_refusal=refusal)
        asked = priced(request.amounts, matched.prices.at(now))
        if asked.is_unknown and self._context.refuses_unpriced and has_budget(matched.rules):
            return Decision(matched.call, now, priced=asked, is_unpriced=True)
        counters = unit.counters(matched.rules)
        statuses, violations = decide(matched.rules, [each.counter for each in counters], asked.amounts)
        if violations:
            return Decision(matched.call, now, statuses, violations, priced=asked)
        held = ledger_entries.reservation(request, asked, matched, now, self._context.random_ids)
        amounts = [(each, status.requested) for each, status in zip(counters, statuses, strict=True)]
        held = self._add(held, amounts, unit)
        decision = Decision(matched.call, now, statuses, reservation=held, priced=asked)
        return decision if repeat is None else self._kept(given, repeat, unit, decision)

    def _finish(self, given: MatchedRequest, decision: Decision) -> Decision:
        """Return the decision with its response body, and count the decision in the metrics.

        A call whose virtual key was refused is not counted, because no limit refused it.
        """
        if decision.key_refusal is not None:
            return decision
        if not decision.rendered and decision.allowed:
            decision = decision._replace(rendered=given.renderer.answer(decision))
        self._context.statistics.decided(decision, perf_counter() - given.began)
        return decision

    def _add(self, held: Reservation, amounts: Sequence[CounterAmount], unit: UnitOfWork) -> Reservation:
        """Store the reservation with its amounts, and return the stored reservation."""
        unit.add(held, [(counter, amount, 0) for counter, amount in amounts])
        return held


class Report(Act):
    """Charges usage that had no reservation. A report is charged even if it exceeds a limit."""

    _fingerprint = staticmethod(fingerprints.of_report)

    def _decide(self, given: MatchedRequest, unit: UnitOfWork) -> Decision:
        request, matched, _, repeat, _ = given
        replayed = repeat and self._replayed(given, repeat, unit)
        if replayed is not None:
            return replayed
        if unit.revision != matched.revision:
            raise Stale
        asked = priced(request.amounts, matched.prices.at(unit.now))
        counters = unit.counters(matched.rules)
        statuses, _ = decide(matched.rules, [each.counter for each in counters], asked.amounts)
        used = ledger_entries.report(asked, matched, unit.now, self._context.random_ids)
        unit.add(used, [(each, 0, status.requested) for each, status in zip(counters, statuses, strict=True)])
        decision = Decision(matched.call, unit.now, statuses, reservation=used, priced=asked)
        return decision if repeat is None else self._kept(given, repeat, unit, decision)

    def _finish(self, given: MatchedRequest, decision: Decision) -> Decision:
        if decision.replayed:
            return decision
        self._context.statistics.reported(decision)
        return decision if decision.rendered else decision._replace(rendered=given.renderer.answer(decision))


def has_budget(rules: tuple[MatchedRule, ...]) -> bool:
    """Return whether any rule counts dollars."""
    return any(each.rule.metric == Metric.COST for each in rules)
