"""Tokens are given as a total, as input and output with their parts, or as a provider's own usage object."""

import pytest

from tests.domain.pricing.usages import COUNTS
from tests.metering.conftest import ok, tokens

SPLIT = {
    "input_tokens": 100,
    "cached_input_tokens": 40,
    "cache_write_tokens": 30,
    "cache_write_1h_tokens": 20,
    "input_audio_tokens": 10,
    "output_tokens": 50,
    "output_audio_tokens": 50,
}
PATHS = ("reservations", "usage", "check", "settle")


@pytest.fixture
def send(api, meter):
    """Return a function that sends amounts with each kind of request that has amounts."""

    def sent(path, amounts):
        if path == "settle":
            return meter.settle(meter.hold(), amounts)
        return api.post(path, {"model": "gpt-4o"} | amounts)

    return sent


def faults(response):
    """Return the faulty fields of a refused request, with their messages."""
    assert response.status_code == 400, response.text
    body = response.get_json()
    return {each["param"]: each["message"] for each in body["extra_fields"].get("errors", [body["error"]])}


def test_split_tokens_count_once_whatever_their_parts(api, meter):
    limit = api.create(rate_limit=tokens(1000))
    held = meter.reserved(**SPLIT)["reservation"]
    assert held["tokens"] == {"reserved": 150, "used": 0}
    meter.settled(held["id"], **(SPLIT | {"output_tokens": 60}))
    ok(api.post("usage", {"model": "gpt-4o"} | SPLIT))
    assert meter.stands(limit)["tokens"] == (310, 0)


@pytest.mark.parametrize(("usage", "counts"), COUNTS.values(), ids=COUNTS)
def test_a_settle_takes_the_usage_of_a_provider(api, meter, usage, counts):
    limit = api.create(rate_limit=tokens(10_000))
    settled = meter.settled(meter.hold(input_tokens=10, output_tokens=5), usage=usage)
    assert settled["tokens"] == {"reserved": 15, "used": counts.total}
    assert meter.stands(limit)["tokens"] == (counts.total, 0)


@pytest.mark.parametrize(("usage", "counts"), COUNTS.values(), ids=COUNTS)
def test_a_report_takes_the_usage_of_a_provider(api, meter, usage, counts):
    limit = api.create(rate_limit=tokens(10_000))
    ok(api.post("usage", {"model": "gpt-4o", "usage": usage}))
    assert meter.stands(limit)["tokens"] == (counts.total, 0)


def test_a_check_and_a_reservation_ask_for_the_same_tokens(api, meter):
    api.create(rate_limit=tokens(10))
    usage = {"prompt_tokens": 8, "completion_tokens": 3}
    assert ok(api.post("check", {"model": "gpt-4o", "usage": usage}))["decision"] == "deny"
    assert [each["requested"] for each in meter.denied(usage=usage)["extra_fields"]["violations"]] == [11]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("amounts", "param"),
    [
        ({"usage": {"prompt_tokens": 1}, "tokens": 1}, "usage"),
        ({"usage": {"prompt_tokens": 1}, "output_tokens": 1}, "usage"),
        ({"usage": {"prompt_tokens": 1}, "cached_input_tokens": 0}, "usage"),
        ({"tokens": 1, "output_audio_tokens": 1}, "tokens"),
        ({"cached_input_tokens": 1}, "input_tokens"),
        ({"input_tokens": 5, "cached_input_tokens": 3, "cache_write_1h_tokens": 3}, "input_tokens"),
        ({"output_tokens": 5, "output_audio_tokens": 6}, "output_tokens"),
        ({"input_tokens": 10**12, "output_tokens": 1}, "input_tokens"),
        ({"input_tokens": -1, "cached_input_tokens": 1}, "input_tokens"),
        ({"cache_write_tokens": 0.5, "input_tokens": 1}, "cache_write_tokens"),
        ({"usage": []}, "usage"),
        ({"usage": "5"}, "usage"),
        ({"usage": {}}, "usage"),
        ({"usage": {"total_tokens": 5}}, "usage"),
        ({"usage": {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}}}, "usage"),
        ({"usage": {"prompt_tokens": -5}}, "usage.prompt_tokens"),
        (
            {"usage": {"prompt_tokens_details": {"cached_tokens": 0.5}, "prompt_tokens": 5}},
            "usage.prompt_tokens_details.cached_tokens",
        ),
    ],
)
def test_a_wrong_form_is_refused_and_charges_nothing(meter, send, path, amounts, param):
    limit = meter.api.create(rate_limit=tokens(10**6))
    refused = faults(send(path, amounts))
    assert list(refused) == [param]
    assert refused[param].startswith("Give ")
    assert meter.stands(limit)["tokens"] == (0, 0)


def test_a_null_is_no_form(api, meter):
    api.create(rate_limit=tokens(10**6))
    nothing = dict.fromkeys([*SPLIT, "usage"])
    assert meter.reserved(tokens=7, **nothing)["reservation"]["tokens"]["reserved"] == 7


def test_two_faults_of_a_usage_are_told_at_once(api):
    usage = {"prompt_tokens": -1, "completion_tokens": "5"}
    refused = faults(api.post("usage", {"model": "gpt-4o", "usage": usage}))
    assert list(refused) == ["usage.prompt_tokens", "usage.completion_tokens"]
