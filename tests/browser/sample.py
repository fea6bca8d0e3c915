"""A database as a team has it after a month: limits, virtual keys, users, and usage of every day."""

import random
from pathlib import Path
from typing import Any

from flask import Flask

from app import create_app
from governance.domain.times import DAY, HOUR, SECOND
from governance.settings import Settings
from governance.startup import prepare
from tests.conftest import Api, FakeClock, governance_of

ADMIN_KEY = "gov-the-admin-key-of-the-browser-tests-01"
DAYS = 30
CALLS_A_DAY = 14
MODELS = (
    ("anthropic", "claude-opus-4-1", 5),
    ("anthropic", "claude-sonnet-4-5", 3),
    ("openai", "gpt-5", 4),
    ("openai", "gpt-4o-mini", 2),
    ("mistral", "mistral-large", 1),
)
KEYS = (("search-team", "Search team"), ("support-bot", "Support bot"), ("research", "Research"))
USERS = (("u-100", "Amina Okafor"), ("u-101", "Jonas Lindqvist"), ("u-102", "Mei Tanaka"))


def fill(folder: Path, now: int, *, days: int = DAYS) -> None:
    """Fill the database of a folder with a month up to an instant."""
    clock = FakeClock(now - days * DAY)
    app = create_app(Settings(instance=str(folder), admin_key=ADMIN_KEY), clock=clock)
    prepare(app)
    api = Api(app.test_client(), ADMIN_KEY)
    _add_names(api)
    _add_limits(api)
    chance = random.Random(7)
    for day in range(days):
        _use(api, clock, chance, weekday=day % 7)
        clock.now = now - (days - 1 - day) * DAY
        governance_of(app).poller.poll()
    _reserve(api, clock)
    _summed(app)
    governance_of(app).close()


def _add_names(api: Api) -> None:
    for key_id, name in KEYS:
        _done(api.post("virtual-keys", {"id": key_id, "name": name}))
    for user_id, name in USERS:
        _done(api.post("users", {"id": user_id, "name": name}))


LIMITS: tuple[dict[str, Any], ...] = (
    {"model_name": "*", "budgets": [(1200, "1M")]},
    {"model_name": "claude-opus-4-1", "provider": "anthropic", "budgets": [(40, "1d")]},
    {"model_name": "gpt-5", "provider": "openai", "tokens": (2_000_000, "1d"), "requests": (600, "1h")},
    {"model_name": "*", "scope": "virtual_key", "scope_id": "search-team", "budgets": [(450, "1M")]},
    {"model_name": "*", "scope": "virtual_key", "scope_id": "support-bot", "budgets": [(9, "1d"), (125, "1M")]},
    {"model_name": "claude-sonnet-4-5", "scope": "user", "scope_id": "u-100", "budgets": [(60, "1w")]},
    {"model_name": "gpt-4o-mini", "provider": "openai", "requests": (1500, "1d")},
    {"model_name": "mistral-large", "budgets": [(15, "1d")]},
)


def _add_limits(api: Api) -> None:
    for each in LIMITS:
        whom = {name: value for name, value in each.items() if name in {"provider", "scope", "scope_id"}}
        budgets = [{"max_limit": most, "reset_duration": span} for most, span in each.get("budgets", ())]
        rates = {}
        for unit in ("token", "request"):
            if f"{unit}s" in each:
                rates[f"{unit}_max_limit"], rates[f"{unit}_reset_duration"] = each[f"{unit}s"]
        rules = {"budgets": budgets, "calendar_aligned": True} if budgets else {"rate_limits": [rates]}
        api.create(each["model_name"], **whom, **rules)


def _use(api: Api, clock: FakeClock, chance: random.Random, *, weekday: int) -> None:
    begin = clock.now
    for number in range(CALLS_A_DAY // 2 if weekday in (5, 6) else CALLS_A_DAY):
        clock.now = begin + number * 23 * HOUR // CALLS_A_DAY
        (found,) = chance.choices(MODELS, [weight for *_, weight in MODELS])
        provider, model, weight = found
        cost = round(chance.uniform(0.2, 1.1) * weight, 4)
        body = {"provider": provider, "model": model, "cost": cost, "tokens": chance.randrange(9_000, 70_000)}
        body |= {"virtual_key_id": chance.choice(KEYS)[0]} if chance.random() < 0.8 else {}
        body |= {"user_id": chance.choice(USERS)[0]} if chance.random() < 0.5 else {}
        held = api.post("reservations", body)
        if held.status_code == 200:
            api.post(f"reservations/{held.get_json()['reservation']['id']}/settle", {"cost": round(cost * 0.9, 4)})


def _reserve(api: Api, clock: FakeClock) -> None:
    """Leave a few reservations open."""
    for number in range(4):
        provider, model, _ = MODELS[number]
        clock.now += SECOND
        api.post("reservations", {"provider": provider, "model": model, "cost": 0.42, "ttl_seconds": 86_400})


def _summed(app: Flask) -> None:
    """Do what the poller and the upkeep do: the denials of the month, and the sums of its days."""
    service = governance_of(app)
    service.poller.poll()
    service.retention.due()


def _done(response) -> None:
    assert response.status_code == 200, response.text
