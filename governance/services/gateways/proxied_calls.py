"""Authorizes and settles the calls that proxies forward to an LLM provider (the upstream).

A call is authorized when the most that it may use is reserved. It is settled when what it used is charged.
"""

from typing import Any, NamedTuple

from governance.domain.errors import Code, Conflict
from governance.domain.gateways.answer_reader import Answer
from governance.domain.gateways.charged import Charged, NoUsage
from governance.domain.gateways.model_call import ModelCall
from governance.domain.metering.decision import Decision
from governance.domain.metering.request import Call, RequestedAmounts, ReservationRequest
from governance.domain.metering.reservation import Actual, Reservation
from governance.domain.pricing import provider_usage
from governance.domain.pricing.tokens import TokenCounts
from governance.domain.times import Clock
from governance.services.metering.key_holders import usable_key
from governance.services.metering.metering import Metering
from governance.services.metering.reservations import Reservations
from governance.services.metering.reserve_and_report import Renderer
from governance.storage.store import Database

FIRST_FAILURE = 400
"""An HTTP status of this number or higher is a failure."""
ENDED = (Code.ALREADY_SETTLED, Code.ALREADY_RELEASED)


def _nothing(_: Any) -> bytes:
    return b""


def _no_texts(_: Any) -> tuple[str, ...]:
    return ()


WITHOUT_BODY = Renderer(_nothing, _no_texts)
"""Renders an empty response body, because a proxy needs no body for an allowed call."""


class Caller(NamedTuple):
    """Who makes a proxied call: the value of a virtual key, if one was sent, and the user that the proxy names."""

    virtual_key: str | None
    user_id: str | None


class SettledCall(NamedTuple):
    """A reservation after the settle of its call, and what the settle charged.

    If the settle charged the reserved amounts, `reason` says why no usage could be read. If `is_unpriced` is true, no
    price is known for the usage, so the settle charged the reserved cost.
    """

    reservation: Reservation
    charged: Charged
    reason: NoUsage | None = None
    is_unpriced: bool = False


class ProxiedCalls:
    """The operations for proxies."""

    def __init__(self, database: Database, clock: Clock, metering: Metering, reservations: Reservations) -> None:
        self._database = database
        self._clock = clock
        self._metering = metering
        self._reservations = reservations

    def admit_unmetered(self, caller: Caller) -> None:
        """Check the virtual key of a call that no limit counts. Raises Unauthenticated, Forbidden, Unavailable."""
        if caller.virtual_key is not None:
            with self._database.read() as connection:
                usable_key(connection, caller.virtual_key, self._clock())

    def authorize(self, caller: Caller, asked: ModelCall, *, settles: bool) -> Decision:
        """Reserve the amounts of a call.

        If `settles` is false, the proxy will never settle the call. Then charge the amounts immediately. Raises
        InvalidRequest, Unavailable.
        """
        counts = TokenCounts(input=asked.input_tokens, output=asked.output_tokens)
        amounts = RequestedAmounts(tokens=counts.total, counts=counts)
        call = Call(asked.model, asked.provider, user_id=caller.user_id)
        request = ReservationRequest(call, amounts, virtual_key=caller.virtual_key)
        act = self._metering.reserve if settles else self._metering.charge
        return act(request, WITHOUT_BODY)

    def settle(self, reservation_id: str, status: int | None, answer: Answer) -> SettledCall:
        """End a reservation according to the upstream's answer.

        If the call failed before any output, release the reservation. Otherwise charge the usage in the answer. If the
        answer contains no readable usage, charge the reserved amounts. A reservation that has already been settled or
        released stays unchanged. Raises NotFound, Unavailable.
        """
        try:
            if _has_failed(status, answer):
                return SettledCall(self._reservations.release(reservation_id), Charged.NOTHING)
            return self._charge(reservation_id, answer)
        except Conflict as error:
            if error.code not in ENDED:
                raise
            return SettledCall(self._reservations.get(reservation_id), Charged.EARLIER)

    def _charge(self, reservation_id: str, answer: Answer) -> SettledCall:
        actual, reason = _actual(answer)
        after, is_unpriced = self._reservations.settle(reservation_id, actual)
        if reason is None:
            return SettledCall(after, Charged.USAGE, is_unpriced=is_unpriced)
        if (after.used_tokens, after.used_cost) != (after.held_tokens, after.held_cost):  # it was settled before
            return SettledCall(after, Charged.EARLIER)
        return SettledCall(after, Charged.AS_HELD, reason)


def _has_failed(status: int | None, answer: Answer) -> bool:
    """Return whether the call failed and used nothing.

    This is true if the answer contains no usage, and the status is a failure or the answer is an error without output.
    """
    if answer.usage is not None:
        return False
    is_failure = status is not None and status >= FIRST_FAILURE
    return is_failure or (answer.is_error and not answer.has_output)


def _actual(answer: Answer) -> tuple[Actual, NoUsage | None]:
    """Convert the usage of an answer to amounts.

    If the answer has no usage that can be read, return None for the amounts, so that the reserved amounts are charged,
    and return the reason.
    """
    if answer.usage is None:
        return Actual(None, None), answer.no_usage
    counts, faults = provider_usage.read(answer.usage)
    if faults:
        return Actual(None, None), NoUsage.UNREADABLE
    return Actual(counts.total, None, counts), None
