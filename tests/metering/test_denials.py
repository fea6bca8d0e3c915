"""Denials (docs/contract.md §6): 402 before 429, the names, the order of violations, when to retry.

Nothing is consumed.
"""

import pytest

from tests.metering.conftest import dollars, requests, tokens

VIOLATION = [
    "rule_id",
    "model_config_id",
    "kind",
    "metric",
    "model_name",
    "provider",
    "scope",
    "scope_id",
    "scope_name",
    "used",
    "reserved",
    "requested",
    "limit",
    "remaining",
    "resets_at",
]


def violations(denial):
    return denial["extra_fields"]["violations"]


def test_a_denial_says_everything_in_the_error_shape(api, meter):
    api.post("users", {"id": "ann", "name": "Ann"})
    limit = api.create("GPT-4o", provider="OpenAI", scope="user", scope_id="ann", budget=dollars(1))
    meter.reported("gpt-4o", provider="openai", user_id="ann", cost=0.25)
    meter.hold("gpt-4o", provider="openai", user_id="ann", cost=0.5)
    response = meter.reserve("gpt-4o", provider="openai", user_id="ann", cost=0.3)
    body = response.get_json()
    assert response.status_code == 402
    assert set(body) == {"type", "is_bifrost_error", "status_code", "error", "extra_fields"}
    assert (body["type"], body["is_bifrost_error"], body["status_code"]) == ("budget_exceeded", False, 402)
    assert body["error"] == {
        "type": "budget_exceeded",
        "code": "budget_exceeded",
        "message": "Wait until 2026-11-24T12:00:00Z: the limit of $1 in 1d on GPT-4o of OpenAI (user Ann) "
        "has $0.25 left, and this call asks for $0.3.",
        "param": None,
    }
    assert list(body["extra_fields"]) == ["decision", "retryable", "violations"]
    assert (body["extra_fields"]["decision"], body["extra_fields"]["retryable"]) == ("deny", True)
    assert list(violations(body)[0]) == VIOLATION
    assert violations(body) == [
        {
            "rule_id": limit["budget"]["id"],
            "model_config_id": limit["id"],
            "kind": "budget",
            "metric": "cost",
            "model_name": "GPT-4o",
            "provider": "OpenAI",
            "scope": "user",
            "scope_id": "ann",
            "scope_name": "Ann",
            "used": 0.25,
            "reserved": 0.5,
            "requested": 0.3,
            "limit": 1,
            "remaining": 0.25,
            "resets_at": "2026-11-24T12:00:00Z",
        }
    ]
    assert response.headers["Retry-After"] == "86400"


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"scope": "virtual_key", "scope_id": "vk"}, "all models (virtual key Search team)"),
        ({"provider": "openai"}, "all models of openai (global)"),
    ],
)
def test_a_denial_names_the_limit_in_plain_words(api, meter, limit, words):
    api.post("virtual-keys", {"id": "vk", "name": "Search team"})
    made = api.create("*", **limit, budget=dollars(1))
    answer = meter.reserve("gpt-4o", provider="openai", virtual_key_id="vk", cost=2).get_json()
    assert f"the limit of $1 in 1d on {words} has $1 left" in answer["error"]["message"]
    (violation,) = violations(answer)
    assert (violation["model_name"], violation["scope"]) == ("*", made["scope"])


def test_one_is_told_in_the_singular(api, meter):
    api.create(rate_limit=requests(1))
    meter.hold()
    assert meter.denied()["error"]["message"] == (
        "Wait until 2026-11-23T12:01:00Z: the limit of 1 request in 1m on gpt-4o (global) "
        "has 0 requests left, and this call asks for 1 request."
    )


def test_a_rate_limit_that_has_no_room_is_told_in_whole_numbers(api, meter):
    limit = api.create(rate_limit=tokens(100) | requests(3))
    meter.hold(tokens=40)
    meter.reported(tokens=25)
    denial = meter.denied(tokens=36)
    assert denial["type"] == denial["error"]["type"] == denial["error"]["code"] == "token_limited"
    assert violations(denial) == [
        {
            "rule_id": limit["rate_limit"]["id"],
            "model_config_id": limit["id"],
            "kind": "rate_limit",
            "metric": "tokens",
            "model_name": "gpt-4o",
            "provider": None,
            "scope": "global",
            "scope_id": None,
            "scope_name": None,
            "used": 25,
            "reserved": 40,
            "requested": 36,
            "limit": 100,
            "remaining": 35,
            "resets_at": "2026-11-23T13:00:00Z",
        }
    ]


def test_what_is_over_its_limit_has_nothing_remaining(api, meter):
    api.create(budget=dollars(1))
    meter.reported(cost=7)
    violation = violations(meter.denied(cost=0.5))[0]
    assert (violation["used"], violation["limit"], violation["remaining"]) == (7, 1, 0)


@pytest.mark.parametrize(
    ("used_up", "answer"),
    [
        ({"cost": 1}, (402, "budget_exceeded")),
        ({"requests": 3}, (429, "request_limited")),
        ({"tokens": 100}, (429, "token_limited")),
        ({"tokens": 100, "requests": 3}, (429, "rate_limited")),
        ({"cost": 1, "requests": 3}, (402, "budget_exceeded")),
        ({"cost": 1, "tokens": 100}, (402, "budget_exceeded")),
        ({"cost": 1, "tokens": 100, "requests": 3}, (402, "budget_exceeded")),
    ],
)
@pytest.mark.parametrize("apart", [False, True], ids=["in one limit", "in a limit each"])
def test_the_word_tells_what_is_used_up_and_a_budget_comes_first(api, meter, used_up, answer, apart):
    if apart:
        api.create("*", budget=dollars(1))
        api.create("*", provider="openai", rate_limit=tokens(100))
        api.create("gpt-4o", rate_limit=requests(3))
    else:
        api.create(budget=dollars(1), rate_limit=tokens(100) | requests(3))
    meter.reported(provider="openai", **({"requests": 0} | used_up))
    response = meter.reserve(provider="openai")
    body = response.get_json()
    assert (response.status_code, body["type"]) == answer
    assert (body["status_code"], body["error"]["type"]) == answer
    assert body["error"]["code"] == body["type"]
    assert {rule["metric"] for rule in violations(body)} == set(used_up)


def test_token_rules_and_request_rules_of_different_limits_make_it_rate_limited_together(api, meter):
    api.create("*", rate_limits=[tokens(5, "1h"), tokens(9, "1d")])
    assert meter.denied(tokens=10)["type"] == "token_limited"
    api.create("gpt-4o", rate_limit=requests(1))
    meter.reported()
    assert meter.denied(tokens=10)["type"] == "rate_limited"
    assert meter.denied()["type"] == "request_limited"


def test_every_rule_without_room_is_listed_the_most_specific_first(api, meter):
    api.post("virtual-keys", {"id": "vk", "name": "team"})
    scopes = [{"scope": "user", "scope_id": "ann"}, {"scope": "virtual_key", "scope_id": "vk"}, {"scope": "global"}]
    tiers = [
        {"model_name": "gpt-4o", "provider": "openai"},
        {"model_name": "gpt-4o"},
        {"model_name": "*", "provider": "openai"},
        {"model_name": "*"},
    ]
    made = [api.create(**tier, **scope, rate_limit=requests(1)) for scope in scopes[::-1] for tier in tiers[::-1]]
    meter.reported(provider="openai", virtual_key_id="vk", user_id="ann")
    denial = meter.denied(provider="openai", virtual_key_id="vk", user_id="ann")
    assert [rule["model_config_id"] for rule in violations(denial)] == [limit["id"] for limit in made[::-1]]
    assert [rule["scope_name"] for rule in violations(denial)] == [None] * 4 + ["team"] * 4 + [None] * 4


def test_within_a_limit_budgets_come_first_then_the_shorter_window_then_the_id(api, meter):
    limit = api.create(
        budgets=[dollars(2, "1M"), dollars(1, "1d")],
        rate_limits=[tokens(5, "1d") | requests(1, "1h"), tokens(5, "1h"), requests(1, "1m")],
    )
    meter.reported(cost=2, tokens=5)
    found = [(rule["kind"], rule["metric"], rule["rule_id"]) for rule in violations(meter.denied())]
    rates = {
        (rate["token_reset_duration"], rate["request_reset_duration"]): rate["id"] for rate in limit["rate_limits"]
    }
    hour = sorted([(rates["1d", "1h"], "requests"), (rates["1h", None], "tokens")])
    assert found == [
        ("budget", "cost", limit["budgets"][0]["id"]),
        ("budget", "cost", limit["budgets"][1]["id"]),
        ("rate_limit", "requests", rates[None, "1m"]),
        *[("rate_limit", metric, rule_id) for rule_id, metric in hour],
        ("rate_limit", "tokens", rates["1d", "1h"]),
    ]


def test_a_rule_with_room_is_no_violation(api, meter):
    api.create("*", budget=dollars(1), rate_limits=[requests(1, "1m"), requests(9, "1d")])
    meter.hold(cost=0.5)
    assert [(rule["metric"], rule["limit"]) for rule in violations(meter.denied(cost=0.1))] == [("requests", 1)]


@pytest.mark.parametrize(
    ("used", "seconds"),
    [
        ({"requests": 1}, 60),
        ({"requests": 0, "tokens": 5}, 3600),
        ({"requests": 1, "tokens": 5}, 3600),
        ({"requests": 0, "cost": 1}, 86400),
        ({"requests": 1, "cost": 1}, 86400),
    ],
)
def test_retry_after_is_the_latest_reset_among_the_violated_rules(api, meter, clock, used, seconds):
    api.create(budget=dollars(1, "1d"), rate_limits=[requests(1, "1m"), tokens(5, "1h")])
    meter.reported(**used)
    assert meter.reserve().headers["Retry-After"] == str(seconds)


@pytest.mark.parametrize(("into", "seconds"), [(0.5, 60), (0.000001, 60), (1, 59), (59, 1), (59.999999, 1)])
def test_retry_after_is_rounded_up_so_that_coming_back_then_works(api, meter, clock, into, seconds):
    api.create(rate_limit=requests(1, "1m"))
    meter.hold()
    clock.advance(into)
    assert meter.reserve().headers["Retry-After"] == str(seconds)
    clock.advance(seconds)
    meter.hold()


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ({"budget": dollars(1)}, {"cost": 1.000000001}),
        ({"rate_limit": tokens(10)}, {"tokens": 11}),
        ({"rate_limit": tokens(10)}, {"input_tokens": 6, "output_tokens": 5}),
    ],
)
def test_what_is_more_than_the_whole_limit_is_not_to_be_tried_again(api, meter, rule, asked):
    api.create(**rule)
    response = meter.reserve(**asked)
    body = response.get_json()
    assert body["extra_fields"]["retryable"] is False
    assert "Retry-After" not in response.headers
    assert body["error"]["message"].startswith("Ask for less: ")


def test_what_is_exactly_the_whole_limit_may_be_tried_again(api, meter):
    api.create(budget=dollars(1))
    meter.hold(cost=0.1)
    response = meter.reserve(cost=1)
    assert response.get_json()["extra_fields"]["retryable"] is True
    assert response.headers["Retry-After"] == "86400"


def test_one_rule_that_is_too_small_makes_the_whole_call_not_retryable(api, meter):
    api.create("*", rate_limit=requests(1, "1m"))
    api.create("gpt-4o", budget=dollars(1))
    meter.reported()
    response = meter.reserve(cost=2)
    body = response.get_json()
    assert [rule["metric"] for rule in violations(body)] == ["cost", "requests"]
    assert body["extra_fields"]["retryable"] is False
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize(
    ("used", "asked"),
    [({"requests": 3}, {}), ({"tokens": 100}, {}), ({"cost": 1}, {}), ({}, {"cost": 2}), ({}, {"tokens": 101})],
)
def test_a_denial_leaves_every_row_as_it_was(api, meter, used, asked):
    api.create("*", budget=dollars(50), rate_limit=requests(50))
    api.create(budget=dollars(1), rate_limit=tokens(100) | requests(3))
    meter.reported("o3", cost=1)
    meter.reported(**({"requests": 0} | used))
    before = meter.dump()
    for _ in range(3):
        meter.denied(**asked)
    assert meter.dump() == before


def test_a_first_call_that_is_denied_does_not_even_begin_a_counter(api, meter):
    api.create("*", budget=dollars(50))
    api.create(budget=dollars(1))
    meter.denied(cost=2)
    assert not any(meter.dump().values())
