"""Edits of limits during a load: the possible states of each limit after the responses, and the check of its state."""

import random
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from tests.proofs.calls import NANOS, UNHEARD, done
from tests.proofs.serving import Caller, Service

NAMES = tuple(f"edited-{number}" for number in range(6))
STORED = """
    SELECT model_limits.id, model_name, rules.max_limit
    FROM model_limits JOIN rules ON rules.model_limit_id = model_limits.id WHERE model_name LIKE 'edited-%'"""
TRAIL = "SELECT COUNT(*) AS n FROM audit"


@dataclass
class Edits:
    """One editor. `possible` has the maxima that each limit may have, in dollars. None means that it may not exist."""

    chance: random.Random
    possible: dict[str, set[int | None]] = field(default_factory=lambda: {name: {None} for name in NAMES})
    ids: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    acknowledged: int = 0

    def go_on(self, service: Service, stopped: Event) -> None:
        """Edit until `stopped` is set.

        After an edit without a response, the limit is looked up before the next edit.
        """
        with service.caller() as caller:
            while not stopped.wait(0.02):
                known = [name for name, maxima in self.possible.items() if len(maxima) == 1]
                try:
                    if known:
                        self._edit(caller, self.chance.choice(known))
                except UNHEARD:
                    continue

    def _edit(self, caller: Caller, name: str) -> None:
        """Create the limit if it does not exist. Otherwise change or delete it."""
        self.sent += 1
        wanted: int | None = self.sent
        (before,) = self.possible[name]
        if before is not None and self.chance.random() < 0.3:
            wanted = None
        self.possible[name] = {before, wanted}
        self._send(caller, name, before, wanted)
        self.possible[name] = {wanted}
        self.acknowledged += 1

    def _send(self, caller: Caller, name: str, before: int | None, wanted: int | None) -> None:
        budgets: dict[str, Any] = {"budgets": [{"max_limit": wanted, "reset_duration": "1d"}]}
        if before is None:
            made = done(caller.post("model-configs", {"model_name": name, **budgets}))
            self.ids[name] = made["model_config"]["id"]
        elif wanted is None:
            done(caller.request("DELETE", f"model-configs/{self.ids[name]}"))
        else:
            done(caller.request("PUT", f"model-configs/{self.ids[name]}", budgets))

    def assert_stand(self, service: Service) -> None:
        """Check that each limit exists once, in the state of the last response, and each edit once in the audit log."""
        rows = service.rows(STORED)
        found = {row["model_name"]: row for row in rows}
        assert len(found) == len(rows)
        for name, maxima in self.possible.items():
            stands = found[name]["max_limit"] // NANOS if name in found else None
            assert stands in maxima, (name, stands, maxima)
            self.possible[name] = {stands}
            if name in found:
                self.ids[name] = found[name]["id"]
        ((trail,),) = [row.values() for row in service.rows(TRAIL)]
        assert self.acknowledged <= trail - len(STORED_BEFORE) <= self.sent


STORED_BEFORE = ("gpt-4o", "ada")
"""The limits that are created before the load."""
