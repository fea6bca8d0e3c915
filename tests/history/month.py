"""A simulated month of calls: 200 virtual keys, 20 models, hours and weekdays, failures, late settles, releases."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from governance.domain.times import from_datetime
from tests.conftest import Api, FakeClock
from tests.metering.conftest import Meter

BEGIN, DAYS = datetime(2026, 10, 20, tzinfo=UTC), 31
END = BEGIN + timedelta(days=DAYS)
KEYS, MODELS, CALLS = 200, 20, 2500


class SimulatedCall(NamedTuple):
    """A call: when, by whom, how it ends, its estimated cost, what a settle adds, and its tokens in and out."""

    when: datetime
    who: dict[str, Any]
    ending: str
    cost: Decimal
    more: Decimal
    tokens: tuple[int, int]


def calls(seed: int) -> list[SimulatedCall]:
    """Calls in the order of their admission."""
    draw = random.Random(seed)
    found: list[SimulatedCall] = []
    while len(found) < CALLS:
        when = BEGIN + timedelta(seconds=draw.randrange(DAYS * 86_400))
        busy = (0.2 if when.weekday() > 4 else 1) * (1 if 8 <= when.hour < 18 else 0.3)
        if draw.random() > busy:
            continue
        who = {
            "model": f"model-{min(draw.randrange(MODELS), draw.randrange(MODELS))}",
            "provider": draw.choice(["openai", "anthropic", None]),
            "virtual_key_id": f"vk-{min(draw.randrange(KEYS), draw.randrange(KEYS))}",
            "user_id": draw.choice([None, "ann", "bob"]),
        }
        cost, more = (Decimal(draw.randrange(1, 10**8)).scaleb(-9) for _ in range(2))
        tokens = draw.randrange(1, 5000), draw.randrange(1, 1000)
        ending = draw.choices(["report", "settle", "more", "release", "expire", "late"], [10, 60, 10, 8, 6, 6])[0]
        found.append(SimulatedCall(when, who, ending, cost, more, tokens))
    return sorted(found, key=lambda call: call.when)


def live(month: list[SimulatedCall], api: Api, clock: FakeClock) -> None:
    """Let the month happen, with the upkeep of each night, and the last late settles at its end."""
    meter = Meter(api, clock)
    service = meter.governance
    for number in range(KEYS):
        api.post("virtual-keys", {"id": f"vk-{number}", "name": f"key {number}"})
    late, night = [], BEGIN
    for call in month:
        while night + timedelta(days=1) < call.when:
            night += timedelta(days=1)
            service.retention.prune(clock())
        clock.now = from_datetime(call.when)
        late += [made] if (made := make(meter, call)) else []
        if len(late) > 20:
            held, charged = late.pop(0)
            meter.settled(held, cost=float(charged))
    clock.now = from_datetime(END)
    for held, charged in late:
        meter.settled(held, cost=float(charged))
    for _ in range(40):
        service.poller.poll()
        clock.advance(30)
    for _ in range(20):
        service.retention.prune(clock())


def make(meter: Meter, call: SimulatedCall) -> tuple[str, Decimal] | None:
    """Make a call; the id of its reservation and what it will cost, if it is settled late."""
    _, who, ending, cost, more, (tokens_in, tokens_out) = call
    amounts: dict[str, Any] = {"cost": float(cost), "input_tokens": tokens_in, "output_tokens": tokens_out}
    if ending == "report":
        meter.reported(**who, **amounts)
        return None
    held = meter.hold(**who, **amounts)
    if ending == "release":
        meter.released(held)
    elif ending in ("settle", "more"):
        meter.settled(held, **({"cost": float(cost + more)} if ending == "more" else {}))
    return (held, cost + more) if ending == "late" else None
