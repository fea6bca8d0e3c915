"""Tokens become dollars over HTTP: each line of the contract's section on prices (§9)."""

import json

import pytest

from governance.domain.times import rfc3339
from tests.metering.conftest import DAY, dollars, ok, requests, tokens

SPLIT = {"input_tokens": 11_000, "cached_input_tokens": 10_000, "output_tokens": 500}
USAGE = {"prompt_tokens": 11_000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 10_000}}
GPT_4O = 0.02
"""1,000 × 2.5 + 10,000 × 1.25 + 500 × 10 dollars per million."""
COMMAND = "flask governance prices set llama --provider vllm --input DOLLARS --output DOLLARS (per million tokens)"
SET = f"Set the price of this model: {COMMAND}. It is not known"
LLAMA = {"model": "llama", "provider": "vllm"}


@pytest.fixture
def price(api):
    """Return a function that stores an override and returns its id."""

    def store(model="llama", provider="vllm", **fields):
        return ok(api.post("prices", {"model": model, "provider": provider, **fields}))["price"]["id"]

    return store


@pytest.fixture
def doctor(app):
    """Return the result of doctor about prices."""

    def look():
        result = app.test_cli_runner().invoke(args=["governance", "doctor", "--json"])
        (found,) = (each for each in json.loads(result.stdout)["checks"] if each["check"] == "prices")
        return found["ok"], found["message"]

    return look


def unknown(response):
    """Return the message of a call that was refused because its price is not known."""
    assert (response.status_code, response.get_json()["error"]["code"]) == (422, "price_unknown")
    assert response.get_json()["extra_fields"] == {"decision": "deny", "retryable": False}
    return response.get_json()["error"]["message"]


@pytest.mark.parametrize("body", [SPLIT, {"usage": USAGE}], ids=["split", "usage"])
def test_a_reservation_holds_what_its_tokens_cost(api, meter, body):
    limit = api.create("gpt-4o", provider="openai", budget=dollars(1), rate_limit=tokens(20_000))
    answer = meter.reserved("gpt-4o", provider="openai", **body)
    held = answer["reservation"]
    assert (held["cost"]["reserved"], held["tokens"]["reserved"]) == (GPT_4O, 11_500)
    assert held["cost_source"] == "list"
    assert held["price"] == {
        "source": "list",
        "provider": "openai",
        "model": "gpt-4o",
        "input": 2.5,
        "output": 10,
        "cached_input": 1.25,
    }
    assert "warnings" not in answer
    assert meter.stands(limit) == {"cost": (0, GPT_4O), "tokens": (0, 11_500)}
    assert meter.read(held["id"]) == held
    assert meter.proven() == 2


def test_a_cost_that_is_given_comes_first(api, meter):
    limit = api.create("gpt-4o", budget=dollars(1))
    held = meter.reserved("gpt-4o", provider="openai", cost=0.5, **SPLIT)["reservation"]
    assert (held["cost"]["reserved"], held["cost_source"], held["tokens"]["reserved"]) == (0.5, "given", 11_500)
    assert meter.settled(held["id"], cost=0.25, usage=USAGE)["cost_source"] == "given"
    assert meter.stands(limit) == {"cost": (0.25, 0)}


def test_a_settle_with_tokens_by_kind_has_the_price_of_admission(api, meter, price):
    limit = api.create("llama", budget=dollars(1))
    own = price(input=1, output=2)
    held = meter.hold(**LLAMA, input_tokens=1000, output_tokens=1000)
    ok(api.put(f"prices/{own}", {"input": 100, "output": 200}))
    after = meter.settled(held, input_tokens=1000, output_tokens=200)
    assert (after["cost"], after["cost_source"]) == ({"reserved": 0.003, "used": 0.0014}, "override")
    assert after["price"]["input"] == 1
    assert meter.stands(limit) == {"cost": (0.0014, 0)}
    assert meter.settle(held, {"input_tokens": 1000, "output_tokens": 200}).status_code == 200
    assert meter.settle(held, {"input_tokens": 1001, "output_tokens": 200}).status_code == 409
    assert meter.reserved(**LLAMA, input_tokens=1000)["reservation"]["cost"]["reserved"] == 0.1
    api.delete(f"prices/{own}")
    assert meter.settled(meter.hold(**LLAMA, cost=0), tokens=1)["price"] is None


def test_a_settle_of_a_given_cost_may_be_priced(api, meter):
    api.create("gpt-4o", budget=dollars(1))
    held = meter.hold("gpt-4o", provider="openai", cost=0.5)
    after = meter.settled(held, usage=USAGE)
    assert (after["cost"]["used"], after["cost_source"]) == (GPT_4O, "list")
    as_held = meter.settled(meter.hold("gpt-4o", provider="openai", **SPLIT), tokens=5)
    assert (as_held["cost"]["used"], as_held["cost_source"]) == (GPT_4O, "list")


def test_a_price_holds_at_the_instant_of_admission(api, meter, price, clock):
    api.create("llama", budget=dollars(1))
    price(input=1, output=1)
    price(input=2, output=2, effective_from=rfc3339(clock.now + 3600 * 10**6))
    first = meter.hold(**LLAMA, input_tokens=1000)
    meter.advance(3599)
    assert meter.reserved(**LLAMA, input_tokens=1000)["reservation"]["cost"]["reserved"] == 0.001
    meter.advance(1)
    second = meter.reserved(**LLAMA, input_tokens=1000)["reservation"]
    assert (second["cost"]["reserved"], second["price"]["effective_from"]) == (0.002, "2026-11-23T13:00:00Z")
    assert meter.settled(first, input_tokens=2000)["cost"]["used"] == 0.002


def test_a_tier_applies_to_all_tokens_of_a_large_call(meter, price):
    price(input=1, output=2, tiers=[{"above": 200_000, "input": 3}])
    small, large = (
        meter.reported(**LLAMA, input_tokens=count, output_tokens=1_000_000)["cost"] for count in (200_000, 200_001)
    )
    assert (small, large) == (2.2, 2.600003)


def test_a_price_for_each_call_counts_the_calls(meter, price):
    price(input=0, output=0, request=0.01)
    assert meter.reported(**LLAMA, input_tokens=5, requests=3)["cost"] == 0.03
    assert meter.reported(**LLAMA, input_tokens=5, requests=0)["cost"] == 0
    assert meter.reserved(**LLAMA, input_tokens=5)["reservation"]["cost"]["reserved"] == 0.01


def test_a_fraction_of_the_billionth_is_rounded_up_once(meter, price):
    price(input=0.0000001, output=0.0000001)
    assert meter.reported(**LLAMA, input_tokens=1, output_tokens=1)["cost"] == 1e-9
    assert meter.reported(**LLAMA, input_tokens=10_000, output_tokens=1)["cost"] == 2e-9


def test_an_alias_has_the_price_of_another_model(api, meter):
    api.create("*", budget=dollars(1))
    ok(api.post("prices", {"provider": "azure", "model": "prod", "same_as": {"provider": "openai", "model": "gpt-4o"}}))
    held = meter.reserved("prod", provider="azure", **SPLIT)["reservation"]
    assert (held["cost"]["reserved"], held["cost_source"]) == (GPT_4O, "list")
    assert (held["price"]["model"], held["price"]["same_as"]) == ("prod", "openai/gpt-4o")
    own = ok(api.post("prices", {"provider": "openai", "model": "gpt-4o", "input": 1, "output": 1}))["price"]["id"]
    assert meter.reserved("azure/prod", input_tokens=1000)["reservation"]["cost_source"] == "override"
    api.delete(f"prices/{own}")
    assert meter.settled(held["id"], usage=USAGE)["cost"]["used"] == GPT_4O


class TestAnUnknownPrice:
    def test_is_refused_where_a_budget_applies_and_nothing_is_consumed(self, api, meter):
        limit = api.create("*", budget=dollars(1), rate_limit=requests(5))
        said = unknown(meter.reserve(**LLAMA, **SPLIT))
        assert said.startswith(f"Set the price of this model: {COMMAND}; or send cost.")
        assert meter.stands(limit) == {"cost": (0, 0), "requests": (0, 0)}
        assert ok(api.get("reservations"))["total_count"] == 0
        checked = meter.checked(**LLAMA, **SPLIT)
        assert (checked["decision"], checked["message"], checked["cost"]) == ("deny", said, None)

    def test_is_admitted_with_a_cost_and_without_a_budget(self, api, meter):
        api.create("*", rate_limit=tokens(20_000))
        answer = meter.reserved(**LLAMA, **SPLIT)
        assert (answer["reservation"]["cost_source"], answer["reservation"]["price"]) == ("none", None)
        assert answer["warnings"] == [
            f"Set the price of this model: {COMMAND}. It is not known, so no dollars are held."
        ]
        api.create("llama", budget=dollars(1))
        assert meter.reserved(**LLAMA, cost=0, input_tokens=5)["reservation"]["cost_source"] == "given"
        assert meter.reserved(**LLAMA, tokens=5)["reservation"]["cost_source"] == "none"

    def test_is_charged_0_by_a_report_with_a_warning(self, api, meter):
        limit = api.create("llama", budget=dollars(1))
        answer = meter.reported(**LLAMA, usage=USAGE)
        assert (answer["cost"], answer["cost_source"], answer["price"]) == (0, "none", None)
        assert answer["warnings"] == [
            f"Set the price of this model: {COMMAND}. It is not known, so 0 dollars were charged."
        ]
        assert meter.stands(limit) == {"cost": (0, 0)}

    def test_is_settled_as_held_with_a_warning(self, api, meter):
        api.create("llama", budget=dollars(1))
        held = meter.hold(**LLAMA, cost=0.25)
        answer = ok(meter.settle(held, {"usage": USAGE}))
        assert (answer["reservation"]["cost"]["used"], answer["reservation"]["tokens"]["used"]) == (0.25, 11_500)
        assert answer["reservation"]["cost_source"] == "given"
        assert answer["warnings"] == [f"{SET}, so the cost was charged as it was held."]
        assert ok(meter.settle(held, {"usage": USAGE})) == answer

    def test_at_admission_may_be_known_at_the_settle(self, api, meter, price, clock):
        api.create("llama", budget=dollars(1))
        held = meter.hold(**LLAMA, tokens=2000)
        clock.advance(60)
        price(input=9, output=9, effective_from=rfc3339(clock.now))
        assert meter.settled(held, input_tokens=1000)["cost"]["used"] == 0
        held = meter.hold(**LLAMA, cost=0.5)
        again = meter.hold("other", provider="vllm", cost=0.5)
        price("other", input=2)
        after = meter.settled(again, input_tokens=1000)
        assert (after["cost"]["used"], after["cost_source"], after["price"]["input"]) == (0.002, "override", 2)
        assert meter.settled(held, input_tokens=1000)["cost"]["used"] == 0.009

    @pytest.mark.parametrize("options", [{"unknown_price": "allow"}])
    def test_may_be_admitted_by_a_setting_like_an_amount_left_out(self, api, meter):
        limit = api.create("llama", budget=dollars(1))
        answer = meter.reserved(**LLAMA, **SPLIT)
        assert answer["reservation"]["cost"]["reserved"] == 0
        assert answer["warnings"][0].endswith("It is not known, so no dollars are held.")
        assert meter.checked(**LLAMA, **SPLIT)["decision"] == "allow"
        meter.reported(**LLAMA, cost=1)
        assert meter.denied(**LLAMA, **SPLIT)["error"]["code"] == "budget_exceeded"
        assert meter.stands(limit)["cost"] == (1, 0)

    def test_is_one_of_the_list_without_a_rate(self, api, meter):
        api.create("*", budget=dollars(1))
        embedding = {"model": "text-embedding-3-small", "provider": "openai"}
        assert meter.reserved(**embedding, input_tokens=1000)["reservation"]["cost_source"] == "list"
        unknown(meter.reserve(**embedding, input_tokens=1000, output_tokens=1))
        unknown(meter.reserve("mistral-ocr-2503", provider="mistral", input_tokens=1000))
        held = meter.hold(**embedding, input_tokens=1000)
        assert "warnings" in ok(meter.settle(held, {"input_tokens": 500, "output_tokens": 1}))

    def test_is_counted(self, api, meter, moved):
        api.create("*", budget=dollars(1))
        unknown(meter.reserve(**LLAMA, **SPLIT))
        unknown(meter.reserve(**LLAMA, **SPLIT))
        meter.reported(**LLAMA, **SPLIT)
        assert meter.settle(meter.hold(**LLAMA, cost=0.1), SPLIT).status_code == 200
        counts = {
            outcome: moved("price_unknown_total", outcome=outcome) for outcome in ("refused", "reported", "settled")
        }
        assert counts == {"refused": 2, "reported": 1, "settled": 1}
        assert moved("decisions_total", decision="price_unknown") == 2

    def test_is_named_by_doctor_until_it_is_known(self, api, meter, price, doctor):
        api.create("*", budget=dollars(1))
        for _ in range(2):
            unknown(meter.reserve(**LLAMA, **SPLIT))
        meter.reported("nobody-knows-it", input_tokens=5)
        meter.poll()
        needed = "in the last week, calls needed those of"
        assert doctor() == (False, f"Set prices, such as {COMMAND}: {needed} vllm/llama, nobody-knows-it.")
        price(input=1, output=1)
        assert doctor()[1].endswith(f"{needed} nobody-knows-it.")
        meter.advance(8 * DAY)
        assert doctor()[0]


@pytest.mark.parametrize("count", [-1, 1.5, 10**12 + 1, "many", True])
@pytest.mark.parametrize("path", ["reservations", "usage", "check"])
def test_an_absurd_count_is_refused_by_its_name(api, meter, path, count):
    limit = api.create("gpt-4o", budget=dollars(1))
    response = api.post(path, {"model": "gpt-4o", "input_tokens": count, "output_tokens": 5})
    assert (response.status_code, response.get_json()["error"]["param"]) == (400, "input_tokens")
    assert meter.stands(limit) == {"cost": (0, 0)}


def test_a_call_that_costs_more_than_any_may_is_refused_and_changes_nothing(api, meter):
    limit = api.create("gpt-4o", budget=dollars(10**9))
    dear = {"input_tokens": 10**12}
    held = meter.hold("gpt-4o", cost=1)
    for response in (
        meter.reserve("gpt-4o", **dear),
        meter.report("gpt-4o", **dear),
        meter.settle(held, dear),
        api.post("check", {"model": "gpt-4o", **dear}),
    ):
        assert (response.status_code, response.get_json()["error"]["param"]) == (400, "input_tokens")
    assert meter.stands(limit)["cost"] == (0, 1)
    assert meter.read(held)["status"] == "open"


def test_a_repeat_with_other_kinds_of_the_same_tokens_is_another_body(meter):
    key = {"Idempotency-Key": "once"}
    first = meter.reserve("gpt-4o", headers=key, input_tokens=1000, cached_input_tokens=900)
    assert meter.reserve("gpt-4o", headers=key, input_tokens=1000, cached_input_tokens=900).data == first.data
    other = meter.reserve("gpt-4o", headers=key, input_tokens=1000, cached_input_tokens=100)
    assert (other.status_code, other.get_json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert meter.reserve("gpt-4o", headers=key, tokens=1000).status_code == 422


def test_a_denial_shows_the_dollars_that_the_tokens_cost(api, meter):
    api.create("gpt-4o", budget=dollars(0.01))
    denied = meter.denied("gpt-4o", **SPLIT)
    assert denied["extra_fields"]["violations"][0]["requested"] == GPT_4O
    assert "this call asks for $0.02" in denied["error"]["message"]


def test_a_change_of_an_override_holds_elsewhere_at_once(api, meter, price, other):
    api.create("llama", budget=dollars(1))
    own = price(input=1, output=1)
    assert other.reserved(**LLAMA, input_tokens=1000)["reservation"]["cost"]["reserved"] == 0.001
    ok(api.put(f"prices/{own}", {"input": 2}))
    # a decision compares the config revision, so it sees the new price even before the next poll
    assert other.reserved(**LLAMA, input_tokens=1000)["reservation"]["cost"]["reserved"] == 0.002


def test_a_list_that_is_missing_leaves_overrides_and_a_warning(api, meter, price, governance, monkeypatch):
    def gone():
        raise ImportError("no such package")

    monkeypatch.setattr(governance.price_list, "_load", gone)
    api.create("*", budget=dollars(1))
    price(input=1, output=1)
    assert meter.reserved(**LLAMA, input_tokens=1000)["reservation"]["cost_source"] == "override"
    unknown(meter.reserve("gpt-4o", **SPLIT))
    ready = api.get("/readyz").get_json()
    assert ready["price_list"] == {"status": "failed", "version": None, "newest_price": None, "age_days": None}
    assert ready["warnings"] == [
        "The list of prices could not be loaded, so only overrides have prices: look at the log, and install anew."
    ]
    looked = ok(api.get("prices/lookup?model=gpt-4o"))
    assert looked["reason"].startswith("gpt-4o has no override, and there is no list. Set its price:")
    assert ok(api.get("prices"))["total_count"] == 1


def test_a_call_waits_for_the_list_a_moment_and_is_then_told_to_come_again(api, meter, governance, monkeypatch):
    monkeypatch.setattr(governance.price_list, "start", lambda: None)
    monkeypatch.setattr("governance.services.pricing.price_list.PATIENCE", 0.01)
    monkeypatch.setattr(type(governance.price_list).wait, "__defaults__", (0.01,))
    api.create("gpt-4o", budget=dollars(1))
    for response in (
        meter.reserve("gpt-4o", **SPLIT),
        meter.report("gpt-4o", **SPLIT),
        api.get("prices/lookup?model=gpt-4o"),
    ):
        assert (response.status_code, response.get_json()["error"]["code"]) == (503, "not_ready")
        assert response.headers["Retry-After"] == "1"
    assert meter.reserved("gpt-4o", cost=0.5)["reservation"]["price"] is None
