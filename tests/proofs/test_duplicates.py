"""A request that is sent many times at once is done once. Every caller gets the same response."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier

import pytest

from tests.process.service import until
from tests.proofs.conftest import Started
from tests.proofs.serving import Caller, Reply, Service

pytestmark = pytest.mark.process

DAILY = {"max_limit": 1, "reset_duration": "1d"}
Act = Callable[[Caller], Reply]


@pytest.fixture
def service(started: Started) -> Service:
    return started(THREADS="16")


def together(service: Service, threads: int, act: Act) -> list[Reply]:
    """Return the responses to the same request from many connections at one instant."""
    connected = Barrier(threads)

    def send() -> Reply:
        with service.caller() as caller:
            caller.connect()
            connected.wait()
            return act(caller)

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(send) for _ in range(threads)]
        return [each.result() for each in running]


def assert_one_effect(replies: list[Reply]) -> Reply:
    """Check that all responses are the same, and that all except one say that they are repeats."""
    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    assert sum(reply.headers.get("Idempotent-Replayed") == "true" for reply in replies) == len(replies) - 1
    return replies[0]


def test_32_reservations_with_one_idempotency_key_hold_once(service: Service) -> None:
    with service.caller() as caller:
        limit = caller.create(model_name="gpt-4o", budgets=[DAILY])
        for number in range(1, 9):
            body, headers = {"model": "gpt-4o", "cost": 0.1}, {"Idempotency-Key": f"once-{number}"}
            replies = together(service, 32, lambda each, b=body, h=headers: each.post("reservations", b, h))
            made = assert_one_effect(replies).json()["reservation"]
            assert caller.good("GET", f"reservations/{made['id']}")["reservation"] == made
            assert caller.good("GET", "reservations")["total_count"] == number
            assert usage(caller, limit["id"]) == (0, number * Decimal("0.1"))
    service.assert_verified()


def test_32_reports_with_one_idempotency_key_are_charged_once(service: Service) -> None:
    with service.caller() as caller:
        limit = caller.create(model_name="gpt-4o", budgets=[DAILY])
        for number in range(1, 5):
            body, headers = {"model": "gpt-4o", "cost": 0.3}, {"Idempotency-Key": f"once-{number}"}
            assert_one_effect(together(service, 32, lambda each, b=body, h=headers: each.post("usage", b, h)))
            assert usage(caller, limit["id"]) == (number * Decimal("0.3"), 0)
    service.assert_verified()


def test_one_key_with_32_bodies_at_once_holds_one_of_them(service: Service) -> None:
    with service.caller() as caller:
        limit = caller.create(model_name="gpt-4o", budgets=[DAILY])
        cents = iter(range(1, 33))
        headers = {"Idempotency-Key": "one"}
        replies = together(
            service, 32, lambda each: each.post("reservations", {"model": "gpt-4o", "cost": next(cents) / 100}, headers)
        )
        (made,) = [reply.json()["reservation"] for reply in replies if reply.status == 200]
        assert {reply.code for reply in replies if reply.status != 200} == {"idempotency_key_reused"}
        assert {reply.status for reply in replies} == {200, 422}
        assert usage(caller, limit["id"]) == (0, made["cost"]["reserved"])
    service.assert_verified()


def test_16_equal_settles_charge_once_and_get_the_same_answer(service: Service) -> None:
    with service.caller() as caller:
        limit = caller.create(model_name="gpt-4o", budgets=[DAILY])
        for number in range(1, 5):
            reservation_id = reserved(caller)
            path, body = f"reservations/{reservation_id}/settle", {"cost": 0.2, "tokens": 3}
            replies = together(service, 16, lambda each, p=path, b=body: each.post(p, b))
            assert {reply.status for reply in replies} == {200}
            assert len({reply.body for reply in replies}) == 1
            assert usage(caller, limit["id"]) == (number * Decimal("0.2"), 0)
    service.assert_verified()


def test_of_settles_with_different_amounts_and_releases_exactly_one_counts(service: Service) -> None:
    with service.caller() as caller:
        limit = caller.create(model_name="gpt-4o", budgets=[DAILY])
        used = Decimal(0)
        for _ in range(4):
            reservation_id = reserved(caller)
            cents = iter(range(16))

            def end(each: Caller, path: str = f"reservations/{reservation_id}", cents: object = cents) -> Reply:
                cent = next(cents)
                return each.post(f"{path}/settle", {"cost": cent / 100}) if cent else each.post(f"{path}/release")

            replies = together(service, 16, end)
            (ended,) = [reply.json()["reservation"] for reply in replies if reply.status == 200]
            assert {reply.status for reply in replies} == {200, 409}
            used += ended["cost"]["used"]
            assert caller.good("GET", f"reservations/{reservation_id}")["reservation"] == ended
            assert usage(caller, limit["id"]) == (used, 0)
    service.assert_verified()


def test_settles_at_the_instant_of_the_sweep_of_both_workers_count_once(service: Service) -> None:
    with service.caller() as caller:
        limit = caller.create(model_name="gpt-4o", budgets=[DAILY | {"max_limit": 100}])
        ids = [reserved(caller, ttl_seconds=1) for _ in range(16)]
        lapses = caller.good("GET", f"reservations/{ids[-1]}")["reservation"]["expires_at"]
        until(lambda: datetime.now(UTC) >= datetime.fromisoformat(lapses) - timedelta(milliseconds=50))
        with ThreadPoolExecutor(32) as pool:
            replies = list(pool.map(lambda number: settled(service, ids[number % 16]), range(320)))
        assert {reply.status for reply in replies} == {200}
        assert len({reply.body for reply in replies}) == 16
        assert usage(caller, limit["id"]) == (16 * Decimal("0.5"), 0)
    service.assert_verified()


def settled(service: Service, reservation_id: str) -> Reply:
    with service.caller() as caller:
        return caller.post(f"reservations/{reservation_id}/settle", {"cost": 0.5})


def reserved(caller: Caller, **more: int) -> str:
    return str(caller.good("POST", "reservations", {"model": "gpt-4o", "cost": 0.01, **more})["reservation"]["id"])


def usage(caller: Caller, limit_id: str) -> tuple[Decimal, Decimal]:
    """Return (used, reserved) of the limit's only budget."""
    (budget,) = caller.good("GET", f"model-configs/{limit_id}")["model_config"]["budgets"]
    return budget["current_usage"], budget["reserved"]
