"""The limits that apply to a call (docs/contract.md §6): four tiers in three scopes, all together, each limit once."""

import pytest

from tests.metering.conftest import dollars, requests, tokens

TIERS = [
    {"model_name": "gpt-4o", "provider": "openai"},
    {"model_name": "gpt-4o"},
    {"model_name": "*", "provider": "openai"},
    {"model_name": "*"},
]
SCOPES = [
    {"scope": "user", "scope_id": "ann"},
    {"scope": "virtual_key", "scope_id": "vk"},
    {"scope": "global"},
]


def applied(answer):
    """Return the limits of a response, in its order."""
    return list(dict.fromkeys(rule["model_config_id"] for rule in answer["limits"]))


@pytest.fixture
def key(api):
    return api.post("virtual-keys", {"id": "vk", "name": "team", "value": "sk-the-value"}).get_json()["virtual_key"]


@pytest.fixture
def twelve(api, key):
    """Create a limit of 100 requests an hour in every tier of every scope, the most specific first."""
    rate = requests(100, "1h")
    return [api.create(**tier, **scope, rate_limit=rate)["id"] for scope in SCOPES for tier in TIERS]


def test_all_four_tiers_in_all_three_scopes_apply_together_the_most_specific_first(meter, twelve):
    answer = meter.reserved("gpt-4o", provider="openai", virtual_key_id="vk", user_id="ann")
    assert applied(answer) == twelve
    assert [rule["reserved"] for rule in answer["limits"]] == [1] * 12


OPENAI = {"provider": "openai"}
ANN = {"user_id": "ann"}
VK = {"virtual_key_id": "vk"}
# The indexes of the tiers that match, among the four tiers of a scope: user, virtual key, global.
EVERY_TIER, ANY_PROVIDER, ANY_MODEL, ALL_ELSE = [0, 1, 2, 3], [1, 3], [2, 3], [3]


@pytest.mark.parametrize(
    ("call", "tiers"),
    [
        ({"model": "gpt-4o"} | OPENAI | VK | ANN, (EVERY_TIER, EVERY_TIER, EVERY_TIER)),
        ({"model": "gpt-4o"} | OPENAI | VK, ([], EVERY_TIER, EVERY_TIER)),
        ({"model": "gpt-4o"} | OPENAI | ANN, (EVERY_TIER, [], EVERY_TIER)),
        ({"model": "gpt-4o"} | OPENAI, ([], [], EVERY_TIER)),
        ({"model": "gpt-4o"} | VK | ANN, (ANY_PROVIDER, ANY_PROVIDER, ANY_PROVIDER)),
        ({"model": "gpt-4o", "provider": "azure"} | VK | ANN, (ANY_PROVIDER, ANY_PROVIDER, ANY_PROVIDER)),
        ({"model": "o3"} | OPENAI | VK, ([], ANY_MODEL, ANY_MODEL)),
        ({"model": "o3"} | VK | ANN, (ALL_ELSE, ALL_ELSE, ALL_ELSE)),
        ({"model": "o3", "provider": "azure"}, ([], [], ALL_ELSE)),
        ({"model": "gpt-4o"} | OPENAI | {"user_id": "bob"}, ([], [], EVERY_TIER)),
        ({"model": "openai/gpt-4o"} | VK | ANN, (EVERY_TIER, EVERY_TIER, EVERY_TIER)),
        ({"model": "openai/o3"} | ANN, (ANY_MODEL, [], ANY_MODEL)),
        ({"model": "azure/gpt-4o"}, ([], [], ANY_PROVIDER)),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else None,
)
def test_a_call_meets_exactly_the_tiers_of_the_scopes_that_it_names(meter, twelve, call, tiers):
    expected = [twelve[4 * scope + tier] for scope, found in enumerate(tiers) for tier in found]
    assert applied(meter.reserved(**call)) == expected
    assert applied(meter.checked(**call)) == expected
    assert applied(meter.reported(**call)) == expected


def test_a_virtual_key_named_by_its_value_meets_the_same_limits_as_by_its_id(meter, twelve):
    by_id = meter.reserved("gpt-4o", virtual_key_id="vk")
    by_value = meter.reserved("gpt-4o", virtual_key="sk-the-value")
    assert applied(by_value) == applied(by_id)
    assert by_value["reservation"]["virtual_key_id"] == by_id["reservation"]["virtual_key_id"] == "vk"


SPELLED = [
    ({"model": "openai/gpt-4o"}, "without a provider"),
    ({"model": "gpt-4o", "provider": "openai"}, "apart"),
    ({"model": "openai/gpt-4o", "provider": "openai"}, "twice"),
    ({"model": "OpenAI/GPT-4o"}, "in another case"),
    ({"model": " GPT-4O ", "provider": " OPENAI "}, "with blanks"),
]


@pytest.mark.parametrize("call", [call for call, _ in SPELLED], ids=[name for _, name in SPELLED])
@pytest.mark.parametrize(
    "names",
    [
        {"model_name": "gpt-4o", "provider": "openai"},
        {"model_name": "openai/gpt-4o", "provider": "openai"},
        {"model_name": "openai/gpt-4o"},
        {"model_name": "gpt-4o"},
        {"model_name": "*", "provider": "openai"},
        {"model_name": "GPT-4o", "provider": "OpenAI"},
        {"model_name": "OPENAI/gpt-4O"},
    ],
    ids=lambda names: "+".join(names.values()),
)
def test_provider_and_model_meet_the_same_limits_however_they_are_spelled(api, meter, names, call):
    limit = api.create(**names, rate_limit=requests(5))
    assert applied(meter.reserved(**call)) == [limit["id"]]


@pytest.mark.parametrize("name", ["openai/gpt-4o", "openai / gpt-4o", "a/b/c", "/leading", "trailing/", "//", "*"])
def test_a_call_without_a_provider_meets_the_limit_on_the_model_as_it_is_written(api, meter, name):
    limit = api.create(name, rate_limit=requests(5))
    assert applied(meter.reserved(name)) == [limit["id"]]


@pytest.mark.parametrize(
    "call", [{"model": "openrouter/auto", "provider": "openrouter"}, {"model": "openrouter/openrouter/auto"}]
)
def test_a_model_whose_own_name_begins_with_its_provider_is_found_spelled_either_way(api, meter, call):
    limit = api.create("openrouter/auto", provider="openrouter", rate_limit=requests(5))
    assert applied(meter.reserved(**call)) == [limit["id"]]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("openai/gpt-4o", {"model": "openai/gpt-4o"}),
        ("openai/gpt-4o", {"model": "openai/gpt-4o", "provider": "openai"}),
        ("*", {"model": "*"}),
        ("*", {"model": "*", "provider": "openai"}),
    ],
)
def test_a_limit_that_applies_for_two_reasons_counts_once(api, meter, name, call):
    limit = api.create(name, rate_limit=requests(5))
    answer = meter.reserved(**call)
    assert [(rule["model_config_id"], rule["reserved"]) for rule in answer["limits"]] == [(limit["id"], 1)]
    assert meter.stands(limit) == {"requests": (0, 1)}


@pytest.mark.parametrize(
    ("names", "call"),
    [
        ({"model_name": "gpt-4o"}, {"model": "gpt-4"}),
        ({"model_name": "gpt-4o"}, {"model": "gpt-4o-mini"}),
        ({"model_name": "gpt-4o", "provider": "openai"}, {"model": "gpt-4o"}),
        ({"model_name": "gpt-4o", "provider": "openai"}, {"model": "gpt-4o", "provider": "azure"}),
        ({"model_name": "openai/gpt-4o"}, {"model": "gpt-4o"}),
        ({"model_name": "openai/gpt-4o"}, {"model": "gpt-4o", "provider": "azure"}),
        ({"model_name": "*", "provider": "openai"}, {"model": "gpt-4o"}),
        ({"model_name": "openai/gpt-4o", "provider": "azure"}, {"model": "gpt-4o", "provider": "azure"}),
    ],
)
def test_a_limit_on_something_else_does_not_apply(api, meter, names, call):
    limit = api.create(**names, budget=dollars(1))
    assert meter.reserved(**call, cost=100)["limits"] == []
    assert meter.stands(limit) == {"cost": (0, 0)}


def test_names_are_matched_by_unicode_and_not_by_ascii(api, meter):
    limit = api.create("Stra\u00dfe Cafe\u0301", provider="\u00c4quator", rate_limit=requests(5))
    assert applied(meter.reserved("STRASSE CAF\u00c9", provider="\u00e4quator")) == [limit["id"]]


def test_all_budgets_and_rate_limits_of_a_limit_apply_the_shortest_window_first_within_each_kind(api, meter):
    api.create(
        budgets=[dollars(500, "1M"), dollars(50, "1d")],
        rate_limits=[requests(1500, "1d"), tokens(90, "1h") | requests(15, "1m")],
    )
    answer = meter.reserved(cost=2, tokens=7)
    assert [(rule["kind"], rule["metric"], rule["limit"], rule["reserved"]) for rule in answer["limits"]] == [
        ("budget", "cost", 50, 2),
        ("budget", "cost", 500, 2),
        ("rate_limit", "requests", 15, 1),
        ("rate_limit", "tokens", 90, 7),
        ("rate_limit", "requests", 1500, 1),
    ]


def test_a_call_that_no_limit_concerns_is_allowed(meter):
    answer = meter.reserved("anything", cost=1_000_000, tokens=10**12)
    assert (answer["decision"], answer["limits"]) == ("allow", [])


def test_a_limit_without_rules_refuses_nothing(api, meter):
    api.create()
    assert meter.reserved(cost=10)["limits"] == []


def test_a_user_need_not_be_known_to_be_limited(api, meter):
    api.create("*", scope="user", scope_id="stranger", rate_limit=requests(1))
    meter.reserved(user_id="stranger")
    assert meter.denied(user_id="stranger")["type"] == "request_limited"
    meter.reserved(user_id="another")


def test_ids_are_matched_exactly(api, meter):
    api.create("*", scope="user", scope_id="Ann", rate_limit=requests(1))
    assert meter.reserved(user_id="ann")["limits"] == []
    assert len(meter.reserved(user_id="Ann")["limits"]) == 1
