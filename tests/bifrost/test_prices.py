"""Bifrost's pricing overrides become price overrides. The report contains the differences."""

import json

import pytest

from schemas.bifrost import prices as module
from tests.bifrost.stores import CURRENT, PRICES, BifrostStore


@pytest.fixture
def store(tmp_path):
    return BifrostStore(tmp_path / "config.db", CURRENT | PRICES)


@pytest.fixture
def take(app, store):
    """Import the store. Return the report."""

    def take(*options):
        result = app.test_cli_runner().invoke(
            args=["governance", "import-bifrost", str(store.path), "--json", *options]
        )
        return json.loads(result.stdout)

    return take


def stored(api):
    return api.get("prices?source=override").get_json()["prices"]


def remarks(report):
    return {row["id"]: (row["outcome"], *row["remarks"]) for row in report["rows"]}


def test_an_override_is_taken_in_dollars_per_million(api, store, take):
    patch = {
        "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 1.25e-07,
        "cache_creation_input_token_cost": 3e-06,
        "input_cost_per_audio_token": 4e-05,
        "input_cost_per_token_above_200k_tokens": 5e-06,
        "output_cost_per_token_above_128k_tokens": 2e-05,
    }
    own = store.price("gpt-4o", json.dumps(patch), scope_kind="provider", provider_id="openai")
    report = take()
    assert report["counts"]["price"] == {"found": 1, "taken": 1, "kept": 0, "left_out": 0}
    (price,) = stored(api)
    assert {name: price[name] for name in ("id", "provider", "model", "input", "output")} == {
        "id": own,
        "provider": "openai",
        "model": "gpt-4o",
        "input": 2.5,
        "output": 10,
    }
    assert (price["cached_input"], price["cache_write"], price["input_audio"]) == (0.125, 3, 40)
    assert price["tiers"] == [{"above": 128_000, "output": 20}, {"above": 200_000, "input": 5}]
    assert price["created_at"] == "2026-11-01T08:00:00Z"
    assert take()["counts"]["price"] == {"found": 1, "taken": 0, "kept": 1, "left_out": 0}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"scope_kind": "virtual_key", "virtual_key_id": "vk"}, module.OF_A_KEY),
        ({"scope_kind": "provider_key", "provider_key_id": "k"}, module.OF_A_KEY),
        ({"match_type": "wildcard", "pattern": "gpt-4*"}, module.OF_A_PATTERN.format("gpt-4*")),
        ({"patch": '{"output_cost_per_token": 1e-06}'}, module.NO_INPUT),
        ({"patch": "{"}, module.NO_PATCH),
        ({"patch": None}, module.NO_PATCH),
        ({"patch": '{"input_cost_per_token": "free"}'}, module.NO_PATCH),
        ({"patch": '{"input_cost_per_token": 2}'}, "Give input as a number of dollars from 0 to 1000000."),
        ({"pattern": "*"}, "Give model as one model: a price is not of all models."),
    ],
)
def test_what_is_not_a_price_of_a_model_is_left_out_with_the_reason(api, store, take, fields, reason):
    own = store.price(**fields)
    assert remarks(take()) == {own: ("left_out", reason)}
    assert stored(api) == []


def test_what_differs_here_is_said(store, take):
    patch = '{"input_cost_per_token": 1e-06, "input_cost_per_image": 0.1, "output_cost_per_image": 0}'
    own = store.price(patch=patch, request_types_json='["chat_completion"]')
    assert remarks(take("--dry-run")) == {
        own: ("taken", module.OF_ALL_KINDS, module.NOT_TAKEN.format("input_cost_per_image"))
    }


def test_one_of_a_model_that_has_an_override_here_is_kept(api, store, take):
    api.post("prices", {"model": "LLAMA", "input": 9})
    own, twin = store.price("llama"), store.price("qwen")
    again = store.price("Qwen")
    assert remarks(take()) == {
        own: ("kept",),
        twin: ("taken",),
        again: ("left_out", f"It is for the same model as '{twin}'."),
    }
    assert {each["model"]: each["input"] for each in stored(api)} == {"LLAMA": 9, "qwen": 0.4}


def test_a_store_without_the_table_has_none(app, tmp_path):
    store = BifrostStore(tmp_path / "old.db", CURRENT)
    store.key()
    result = app.test_cli_runner().invoke(args=["governance", "import-bifrost", str(store.path), "--json"])
    assert json.loads(result.stdout)["counts"]["price"]["found"] == 0
