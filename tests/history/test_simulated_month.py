"""A month of calls: what the history says is what an independent sum of the calls themselves says.

The month is seeded: keys and models of different weight, hours and weekdays, failures, late settles, releases. The sums
are made from the list of calls with plain dictionaries and zoneinfo, without any code of the history.
"""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from governance.domain.times import from_datetime
from tests.conftest import FakeClock

BEGIN, DAYS = datetime(2026, 10, 20, tzinfo=UTC), 31
END = BEGIN + timedelta(days=DAYS)
KEYS, MODELS, CALLS = 200, 20, 2500
ZONES = ("UTC", "America/Los_Angeles", "Asia/Kathmandu")
GROUPS = ((), ("virtual_key",), ("model",), ("provider", "user"), ("provider", "model", "virtual_key", "user"))


def calls(seed):
    """Calls in the order of their admission: (when, who, how it ends, amounts)."""
    draw = random.Random(seed)
    found = []
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
        found.append((when, who, ending, cost, more, tokens))
    return sorted(found, key=lambda call: call[0])


def used_by(call):
    """What a call has used in the end: requests, tokens, cost."""
    _, _, ending, cost, more, tokens = call
    if ending == "release":
        return 0, 0, Decimal(0)
    charged = cost + more if ending in ("more", "late") else cost
    return 1, sum(tokens), charged


@pytest.fixture(scope="module")
def month():
    return calls(seed=17)


@pytest.fixture
def clock():
    return FakeClock(from_datetime(BEGIN))


@pytest.fixture
def options():
    return {"retention_days": 90}


def make(meter, call):
    """Make a call; the id of its reservation and what it will cost, if it is settled late."""
    _, who, ending, cost, more, (tokens_in, tokens_out) = call
    amounts = {"cost": float(cost), "input_tokens": tokens_in, "output_tokens": tokens_out}
    if ending == "report":
        meter.reported(**who, **amounts)
        return None
    held = meter.hold(**who, **amounts)
    if ending == "release":
        meter.released(held)
    elif ending in ("settle", "more"):
        meter.settled(held, **({"cost": float(cost + more)} if ending == "more" else {}))
    return (held, cost + more) if ending == "late" else None


@pytest.fixture
def spent(api, meter, clock, month, governance):
    """The month has happened, with the upkeep of each night."""
    for number in range(KEYS):
        api.post("virtual-keys", {"id": f"vk-{number}", "name": f"key {number}"})
    late, night = [], BEGIN
    for call in month:
        while night + timedelta(days=1) < call[0]:
            night += timedelta(days=1)
            governance.retention.prune(clock())
        clock.now = from_datetime(call[0])
        late += [made] if (made := make(meter, call)) else []
        if len(late) > 20:
            held, charged = late.pop(0)
            meter.settled(held, cost=float(charged))
    clock.now = from_datetime(END)
    for held, charged in late:
        meter.settled(held, cost=float(charged))
    for _ in range(40):
        governance.poller.poll()
        clock.advance(30)
    for _ in range(20):
        governance.retention.prune(clock())


def expected(month, groups, zone, by_day):
    """The sums by period and group, from the calls alone."""
    found = defaultdict(lambda: [0, 0, Decimal(0)])
    fields = {"provider": "provider", "model": "model", "virtual_key": "virtual_key_id", "user": "user_id"}
    for call in month:
        day = call[0].astimezone(ZoneInfo(zone)).date().isoformat() if by_day else ""
        who = (day, *(call[1][fields[group]] for group in groups))
        for place, value in enumerate(used_by(call)):
            found[who][place] += value
    return {who: tuple(sums) for who, sums in found.items() if any(sums)}


def answered(asked, groups, zone, by_day):
    """The same, as the history answers it, page by page."""
    fields = {"provider": "provider", "model": "model", "virtual_key": "virtual_key_id", "user": "user_id"}
    begin = datetime.combine(BEGIN.astimezone(ZoneInfo(zone)).date(), datetime.min.time(), ZoneInfo(zone))
    since = begin.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    words = f"since={since}&timezone={zone}&bucket={'day' if by_day else 'total'}&limit=100"
    words += f"&group_by={','.join(groups)}" if groups else ""
    rows, offset = [], 0
    while True:
        page = asked(f"{words}&offset={offset}")
        rows += page["usage"]
        offset += 100
        if offset >= page["total_count"]:
            break
    found = {}
    for row in rows:
        local = datetime.fromisoformat(row["start"]).astimezone(ZoneInfo(zone)).date().isoformat() if by_day else ""
        tokens = row["input_tokens"] + row["output_tokens"] + row["other_tokens"]
        sums = row["requests"], tokens, Decimal(str(row["cost"]))
        if any(sums):
            found[(local, *(row[fields[group]] for group in groups))] = sums
    return found


@pytest.mark.usefixtures("spent")
def test_every_grouping_in_every_zone_is_the_sum_of_the_calls(month, asked, governance):
    for groups in GROUPS:
        for zone in ZONES:
            for by_day in (False, True):
                assert answered(asked, groups, zone, by_day) == expected(month, groups, zone, by_day), (groups, zone)
    assert governance.verification.verify_history()[1] == []
