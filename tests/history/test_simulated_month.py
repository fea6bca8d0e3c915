"""A month of calls: what the history says is what an independent sum of the calls themselves says.

The sums are made from the list of calls with plain dictionaries and zoneinfo, without any code of the history.
"""

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from governance.domain.times import from_datetime
from tests.conftest import FakeClock
from tests.history.month import BEGIN, calls, live

ZONES = ("UTC", "America/Los_Angeles", "Asia/Kathmandu")
GROUPS = ((), ("virtual_key",), ("model",), ("provider", "user"), ("provider", "model", "virtual_key", "user"))


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


@pytest.fixture
def spent(api, clock, month):
    """The month has happened."""
    live(month, api, clock)


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
