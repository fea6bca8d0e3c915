"""The steps, over HTTP or with files, that come before the examples of a section."""

from collections.abc import Callable
from pathlib import Path

from tests.bifrost.stores import example
from tests.conftest import NOON, Api, FakeClock, governance_of
from tests.docs.pages import ROOT
from tests.history.month import calls, live


def first_limit(api: Api, clock: FakeClock) -> None:
    """Create the README's first limit, use it, and make a call that it refuses. Then 40 seconds pass."""
    api.create(
        "claude-opus-4-1",
        provider="anthropic",
        budget={"max_limit": 20, "reset_duration": "1d"},
        rate_limit={"request_max_limit": 15, "request_reset_duration": "1m"},
    )
    call = {"model": "claude-opus-4-1", "provider": "anthropic"}
    api.post("usage", call | {"cost": 16.4, "requests": 4})
    api.post("reservations", call | {"cost": 2.5})
    api.post("reservations", call | {"cost": 2.5})
    clock.advance(40)


def some_usage(api: Api, clock: FakeClock) -> None:
    """Create a few limits, use them, and make a call that is refused. Then 40 seconds pass."""
    api.post("virtual-keys", {"id": "search", "name": "Search team"})
    api.create("*", budget={"max_limit": 500, "reset_duration": "1M"}, calendar_aligned=True)
    api.create(
        "claude-opus-4-1",
        provider="anthropic",
        budget={"max_limit": 20, "reset_duration": "1d"},
        rate_limit={"request_max_limit": 15, "request_reset_duration": "1m"},
    )
    tokens = {"token_max_limit": 2_000_000, "token_reset_duration": "1d"}
    api.create("gpt-4o", provider="openai", scope="virtual_key", scope_id="search", rate_limit=tokens)
    api.post("usage", {"model": "o3", "cost": 271.5})
    api.post("usage", {"model": "openai/gpt-4o", "virtual_key_id": "search", "tokens": 640_000, "cost": 1.6})
    call = {"model": "claude-opus-4-1", "provider": "anthropic"}
    api.post("usage", call | {"cost": 16.4, "requests": 4})
    api.post("reservations", call | {"cost": 2.5})
    api.post("reservations", call | {"cost": 2.5})
    clock.advance(40)


def polled_usage(api: Api, clock: FakeClock) -> None:
    """Do the same. Then a poll counts the refused call."""
    some_usage(api, clock)
    governance_of(api.client.application).poller.poll()


def simulated_month(api: Api, clock: FakeClock) -> None:
    """Simulate the month of the history's proof. Then set the clock to noon of 2026-11-23 again."""
    live(calls(seed=17), api, clock)
    clock.now = NOON


def used_limit(api: Api, _: FakeClock) -> None:
    """Edit a limit that has usage."""
    made = api.create(
        budget={"max_limit": 20, "reset_duration": "1d"},
        rate_limit={"request_max_limit": 15, "request_reset_duration": "1m"},
    )
    api.post("usage", {"model": "gpt-4o", "cost": 19.25})
    after = {"budget": {"max_limit": 50, "reset_duration": "1d"}, "reset_usage": True}
    api.put(f"model-configs/{made['id']}", after)


def edited_files(api: Api, _: FakeClock) -> None:
    """Apply the example. Then change a budget, add a limit, and make two mistakes elsewhere in the file."""
    text = (ROOT / "examples/config.json").read_text()
    Path("config.json").write_text(text)
    api.client.application.test_cli_runner().invoke(args=["governance", "sync", "config.json", "--yes"])
    more = '{"id": "gpt-5-nano", "model_name": "gpt-5-nano", "provider": "openai", "budget_ids": ["nano-day"]},'
    day = '{"id": "nano-day", "max_limit": 5, "reset_duration": "1d"},'
    edited = text.replace('"max_limit": 60,', '"max_limit": 75,').replace('"budgets": [', f'"budgets": [{day}')
    Path("config.json").write_text(edited.replace('{"id": "gemini-pro"', f'{more}{{"id": "gemini-pro"'))
    broken = text.replace('"coding-day", "max_limit"', '"coding-day", "max_limt"')
    Path("broken.json").write_text(broken.replace('["reports-night"]', '["reports-nigt"]'))


def bifrost_store(*_: object) -> None:
    """Put a small Bifrost store into the folder."""
    example(Path("config.db"), "2026-11-23")


def nothing(*_: object) -> None:
    """Do nothing: the instance is new."""


BEFORE: dict[str, Callable[[Api, FakeClock], None]] = {
    "README.md: Model limits": some_usage,
    "README.md: Start": nothing,
    "README.md: Who spent what": simulated_month,
    "docs/audit.md: The audit: who changed what": used_limit,
    "docs/commands.md: Commands": first_limit,
    "docs/config-files.md: Check a file": edited_files,
    "docs/config-files.md: Over HTTP": nothing,
    "docs/from-bifrost.md: Moving from Bifrost": bifrost_store,
    "docs/history.md: Who spent what": polled_usage,
}
"""The steps by page and heading. A section in this table begins on an instance of its own."""
