"""Clients in Python send complete typed objects, with None for unset members, and check responses strictly."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tests.clients.conftest import LIMIT, expect


@dataclass
class Budget:
    """A budget in a typed client."""

    max_limit: float
    reset_duration: str
    id: str | None = None
    current_usage: float = 0
    last_reset: str | None = None


@dataclass
class RateLimit:
    """A rate limit in a typed client."""

    token_max_limit: int | None = None
    token_reset_duration: str | None = None
    request_max_limit: int | None = None
    request_reset_duration: str | None = None
    id: str | None = None


@dataclass
class ModelConfig:
    """A model limit in a typed client."""

    model_name: str
    provider: str | None = None
    scope: str | None = None
    scope_id: str | None = None
    budgets: list[Budget] | None = None
    rate_limit: RateLimit | None = None
    id: str | None = None
    scope_name: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def sent(self) -> dict[str, Any]:
        """Return all members, including None, as `model_dump()` does."""
        body = asdict(self)
        body.pop("extra")
        return body

    @classmethod
    def read(cls, found: dict[str, Any]) -> "ModelConfig":
        """Return the object of a response. Members that the type does not have are kept separately."""
        expect(found, LIMIT)
        own = {each.name: found[each.name] for each in fields(cls) if each.name in found}
        rest = {name: value for name, value in found.items() if name not in own}
        budgets = [Budget(**_known(Budget, each)) for each in found["budgets"]]
        rate = found["rate_limit"] and RateLimit(**_known(RateLimit, found["rate_limit"]))
        return cls(**(own | {"budgets": budgets, "rate_limit": rate, "extra": rest}))


def _known(kind: Any, found: dict[str, Any]) -> dict[str, Any]:
    return {each.name: found[each.name] for each in fields(kind)}


def test_an_object_with_nothing_but_a_name_is_created_from_all_its_nones(client):
    made = ModelConfig.read(client.send("POST", "model-configs", ModelConfig("gpt-4o").sent())["model_config"])
    assert (made.provider, made.scope, made.scope_id, made.budgets, made.rate_limit) == (None, "global", None, [], None)


def test_an_object_goes_out_comes_back_is_edited_and_sent_whole(client, key_id):
    wanted = ModelConfig(
        "gpt-4o",
        provider="openai",
        scope="virtual_key",
        scope_id=key_id,
        budgets=[Budget(10, "1d"), Budget(100, "1M")],
        rate_limit=RateLimit(request_max_limit=60, request_reset_duration="1m"),
    )
    made = ModelConfig.read(client.send("POST", "model-configs", wanted.sent())["model_config"])
    assert (made.scope_name, [each.max_limit for each in made.budgets]) == ("platform", [10, 100])
    assert made.rate_limit.request_max_limit == 60

    made.budgets[0].max_limit = 12.25
    made.rate_limit.token_max_limit, made.rate_limit.token_reset_duration = 5000, "1h"
    path = f"model-configs/{made.id}"
    after = ModelConfig.read(client.send("PUT", path, made.sent())["model_config"])
    assert after.budgets[0] == made.budgets[0]
    assert after.rate_limit == made.rate_limit

    read = ModelConfig.read(client.send("GET", path)["model_config"])
    assert read == after
    client.send("DELETE", path)
    assert client.refused("GET", path)[0] == 404


def test_all_pages_are_read_by_counting_up_to_the_total(client):
    for number in range(7):
        client.send("POST", "model-configs", ModelConfig(f"model-{number}").sent())
    found = []
    total = 1
    while len(found) < total:
        page = client.send("GET", f"model-configs?limit=3&offset={len(found)}")
        assert page["count"] == len(page["model_configs"]) > 0
        total = page["total_count"]
        found += [ModelConfig.read(each).model_name for each in page["model_configs"]]
    assert sorted(found) == [f"model-{number}" for number in range(7)]


def test_a_whole_list_of_the_flat_kinds_is_read(client):
    body = ModelConfig("m", budgets=[Budget(1, "1d")], rate_limit=RateLimit(5, "1h")).sent()
    client.send("POST", "model-configs", body)
    for path, name in (("budgets", "budgets"), ("rate-limits", "rate_limits")):
        page = client.send("GET", f"{path}?from_memory=true")
        assert (page["count"], page["total_count"], len(page[name])) == (1, 1, 1)
