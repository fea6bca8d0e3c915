"""The limits of one virtual key, for the holder of the key."""

from governance.domain import keys
from governance.domain.errors import Code, Forbidden, Unauthenticated
from governance.domain.keys import VirtualKey
from governance.domain.limits.limit import OwnRule, Scope, current
from governance.domain.metering.decision import key_refusal
from governance.domain.times import Clock
from governance.storage.keys.virtual_keys import virtual_keys
from governance.storage.limits import states, writes
from governance.storage.store import Database

MISSING = "Send your virtual key as 'Authorization: Bearer …'."
UNKNOWN = "Send a virtual key that exists: this one is unknown."


class OwnLimits:
    """Returns the limits that have a virtual key as scope, to a caller that has the key's value."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of(self, secret: str) -> tuple[VirtualKey, list[OwnRule]]:
        """Return the virtual key with a value and the rules of its own limits. Raises Unauthenticated, Forbidden."""
        if not secret:
            raise Unauthenticated(MISSING, code=Code.VIRTUAL_KEY_REQUIRED)
        now = self._clock()
        with self._database.read() as connection:
            key = virtual_keys.by_digest(connection, keys.digest(secret))
            if key is None:
                raise Unauthenticated(UNKNOWN, code=Code.INVALID_VIRTUAL_KEY)
            refusal = key_refusal(key, now)
            if refusal is not None:
                raise Forbidden(refusal.message, code=refusal.code)
            ids = writes.ids_of_scope(connection, Scope.VIRTUAL_KEY, key.id)
            found = states.by_ids(connection, ids)
        rules = [
            OwnRule(limit.model_name, limit.provider, rule, current(rule, limit.alignment, counter, now))
            for limit, counters, _ in found.values()
            for rule, counter in zip(limit.rules, counters, strict=True)
        ]
        return key, sorted(rules, key=_place)


def _place(own: OwnRule) -> tuple[str, str, bool, int, str]:
    rule = own.rule
    return own.model_name, own.provider or "", rule.metric != "cost", rule.duration.length, rule.metric
