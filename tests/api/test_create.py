"""`POST /model-configs` (docs/contract.md §4): stored values, the identity of a limit, every check before a write."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from app import create_app
from governance.container import EXTENSION
from governance.domain.limits.drafts import LimitDraft
from governance.domain.limits.limit import Scope

DAY = {"max_limit": 1, "reset_duration": "1d"}
TOKENS = {"token_max_limit": 1, "token_reset_duration": "1d"}
REQUESTS = {"request_max_limit": 1, "request_reset_duration": "1m"}


def budgets(*durations):
    return [{"max_limit": 1, "reset_duration": text} for text in durations]


def tokens(*durations):
    return [{"token_max_limit": 1, "token_reset_duration": text} for text in durations]


def refused(api, body):
    """Return the faults of a refused create, by param. The create must have stored nothing."""
    response = api.post("model-configs", body) if isinstance(body, dict) else api.post("model-configs", data=body)
    answer = response.get_json()
    assert (response.status_code, answer["error"]["type"]) == (400, "invalid_request"), response.text
    for path, name in (("model-configs", "model_configs"), ("budgets", "budgets"), ("rate-limits", "rate_limits")):
        for query in ("", "?from_memory=1"):
            assert api.get(path + query).get_json()[name] == []
    first = {answer["error"]["param"]: answer["error"]["message"]}
    return first | {fault["param"]: fault["message"] for fault in answer["extra_fields"].get("errors", ())}


def test_a_create_answers_200_with_its_message_and_the_limit_as_a_read_shows_it(api):
    response = api.post("model-configs", {"model_name": "gpt-4o", "provider": "openai", "budgets": [DAY]})
    body = response.get_json()
    assert response.status_code == 200
    assert list(body) == ["message", "model_config"]
    assert body["message"] == "Model config created successfully"
    assert api.get(f"model-configs/{body['model_config']['id']}").get_json() == {"model_config": body["model_config"]}


@pytest.mark.parametrize("query", ["", "from_memory=true"])
def test_a_new_limit_is_in_both_sources_at_once(api, query):
    api.list(query)
    made = api.create(budgets=[DAY], rate_limits=[TOKENS | REQUESTS])
    assert api.list(query)["model_configs"] == [made]


def test_what_is_left_out_or_null_takes_its_default(api):
    names = ("provider", "scope", "scope_id", "calendar_aligned", "timezone", "budgets", "budget", "rate_limits")
    made = api.create("a", **dict.fromkeys((*names, "rate_limit")))
    plain = api.create("b")
    kept = {"provider", "scope", "scope_id", "calendar_aligned", "timezone", "budgets", "rate_limits"}
    assert {key: made[key] for key in kept} == {key: plain[key] for key in kept}
    assert (plain["scope"], plain["provider"], plain["calendar_aligned"], plain["timezone"]) == (
        "global",
        None,
        False,
        "UTC",
    )


def test_names_are_kept_as_they_are_written_without_outer_blanks(api):
    made = api.create("  openai/GPT-4o \n", provider="\tOpenAI ", scope="user", scope_id=" U1 ")
    assert (made["model_name"], made["provider"], made["scope_id"]) == ("openai/GPT-4o", "OpenAI", "U1")


def test_the_singular_forms_stand_for_lists_of_one(api):
    singular = api.create("a", budget=DAY, rate_limit=TOKENS)
    plural = api.create("b", budgets=[DAY], rate_limits=[TOKENS])
    for made in (singular, plural):
        assert [budget["reset_duration"] for budget in made["budgets"]] == ["1d"]
        assert [item["token_reset_duration"] for item in made["rate_limits"]] == ["1d"]


@pytest.mark.parametrize("empty", [{}, dict.fromkeys((*TOKENS, *REQUESTS))])
def test_an_empty_rate_limit_is_none(api, empty):
    assert api.create(rate_limit=empty)["rate_limits"] == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"budget": DAY, "budgets": []}, "budget"),
        ({"budget": DAY, "budgets": [DAY]}, "budget"),
        ({"rate_limit": TOKENS, "rate_limits": [TOKENS]}, "rate_limit"),
        ({"rate_limit": {}, "rate_limits": []}, "rate_limit"),
    ],
)
def test_singular_and_plural_together_are_refused(api, body, param):
    assert param in refused(api, {"model_name": "m"} | body)


def test_the_echo_of_an_answer_makes_a_limit_of_its_own(api):
    first = api.create("a", budgets=budgets("1h", "1d"), rate_limits=[TOKENS, REQUESTS])
    second = api.create(**first | {"model_name": "b"})
    assert [item["reset_duration"] for item in second["budgets"]] == ["1h", "1d"]
    ids = [
        [limit["id"], *(item["id"] for item in limit["budgets"] + limit["rate_limits"])] for limit in (first, second)
    ]
    assert len({*ids[0], *ids[1]}) == 10


def test_budgets_and_rate_limits_may_be_32_each(api):
    durations = [f"{number}h" for number in range(1, 33)]
    made = api.create(budgets=budgets(*durations), rate_limits=tokens(*durations))
    assert [len(made["budgets"]), len(made["rate_limits"])] == [32, 32]


def test_more_than_32_are_refused(api):
    durations = [f"{number}h" for number in range(1, 34)]
    told = refused(api, {"model_name": "m", "budgets": budgets(*durations), "rate_limits": tokens(*durations)})
    assert set(told) == {"budgets", "rate_limits"}
    assert all("32" in message for message in told.values())


GOOD_DURATIONS = [
    *("1s", "30s", "5m", "1h", "24h", "1d", "1w", "1M", "1Y", "100Y", "36500d", "876000h", "90m", "2w", "3M"),
    *("1.5d", "0.5h", "0.1w", "1.5M", "1.5s", "1h30m", "1h30m15s", "2m3s", "1h0m0s"),
]


def test_a_good_duration_is_stored_as_it_is_written(api):
    made = [api.create(text, budgets=budgets(text), rate_limits=tokens(text)) for text in GOOD_DURATIONS]
    assert [limit["budget"]["reset_duration"] for limit in made] == GOOD_DURATIONS
    assert [limit["rate_limit"]["token_reset_duration"] for limit in made] == GOOD_DURATIONS


BAD_DURATIONS = [
    *("", "1", "d", "1x", "1D", "1W", "1y", "1H", "1S", "0s", "0d", "0.5s", "999ms", "-1d", "+1d", "1e3s"),
    *("1 d", " 1d", "1d ", "1d12h", "1M1d", "30m1h", "1h1h", ".5h", "1.h", "1,5d", "١d", "P1D"),
    *("101Y", "36501d", "100.1Y", "9" * 60 + "d", 1, 86400, None, True, ["1d"], {"d": 1}),
]


def test_any_other_duration_is_refused_with_valid_examples(api):
    for text in BAD_DURATIONS:
        told = refused(api, {"model_name": "m", "budgets": budgets(text), "rate_limits": tokens(text)})
        assert set(told) == {"budgets[0].reset_duration", "rate_limits[0].token_reset_duration"}, text
        assert text is None or all("1h30m" in message and "1M" in message for message in told.values())


@pytest.mark.parametrize(
    "amount",
    [
        "0",
        "-1",
        "0.0",
        "1000000000.000000001",
        "1000000001",
        "1e900000",
        "1e-10",
        "0.0000000001",
        '"5"',
        "true",
        "[]",
        "{}",
    ],
)
def test_a_budget_that_is_no_exact_number_of_dollars_in_bounds_is_refused(api, amount):
    body = f'{{"model_name": "m", "budgets": [{{"max_limit": {amount}, "reset_duration": "1d"}}]}}'
    assert set(refused(api, body.encode())) == {"budgets[0].max_limit"}


@pytest.mark.parametrize("amount", ["0", "-1", "9007199254740992", "1e900000", "1.5", '"5"', "false"])
@pytest.mark.parametrize("side", ["token", "request"])
def test_a_rate_that_is_no_whole_number_in_bounds_is_refused(api, side, amount):
    body = f'{{"model_name": "m", "rate_limit": {{"{side}_max_limit": {amount}, "{side}_reset_duration": "1d"}}}}'
    assert set(refused(api, body.encode())) == {f"rate_limit.{side}_max_limit"}


def test_the_largest_maxima_are_stored_exactly(api):
    most = {"token_max_limit": 2**53 - 1, "token_reset_duration": "1d", "request_max_limit": 2**53 - 1}
    made = api.create(rate_limit=most | {"request_reset_duration": "1d"})
    assert made["rate_limit"]["token_max_limit"] == made["rate_limit"]["request_max_limit"] == 2**53 - 1


REFUSED = [
    ({}, {"model_name"}),
    ({"model_name": None}, {"model_name"}),
    ({"model_name": ""}, {"model_name"}),
    ({"model_name": " \t"}, {"model_name"}),
    ({"model_name": "m" * 256}, {"model_name"}),
    ({"model_name": "a\u0007b"}, {"model_name"}),
    ({"model_name": 5}, {"model_name"}),
    ({"model_name": "m", "provider": ""}, {"provider"}),
    ({"model_name": "m", "provider": "a\nb"}, {"provider"}),
    ({"model_name": "m", "scope": "team"}, {"scope"}),
    ({"model_name": "m", "scope": "Global"}, {"scope"}),
    ({"model_name": "m", "scope": "user"}, {"scope_id"}),
    ({"model_name": "m", "scope": "virtual_key", "scope_id": None}, {"scope_id"}),
    ({"model_name": "m", "scope": "user", "scope_id": " "}, {"scope_id"}),
    ({"model_name": "m", "scope": "user", "scope_id": "u" * 256}, {"scope_id"}),
    ({"model_name": "m", "scope_id": "u"}, {"scope_id"}),
    ({"model_name": "m", "scope": None, "scope_id": "u"}, {"scope_id"}),
    ({"model_name": "m", "scope": "global", "scope_id": "u"}, {"scope_id"}),
    ({"model_name": "m", "scope": "global", "scope_id": 5}, {"scope_id"}),
    ({"model_name": "gpt-*"}, {"model_name"}),
    ({"model_name": "*x"}, {"model_name"}),
    ({"model_name": "**"}, {"model_name"}),
    ({"model_name": "openai/*"}, {"model_name"}),
    ({"model_name": "openai/*", "provider": "azure"}, {"model_name"}),
    ({"model_name": "m", "provider": "open*"}, {"provider"}),
    ({"model_name": "m", "scope": "user", "scope_id": "*"}, {"scope_id"}),
    ({"model_name": "m", "scope": "virtual_key", "scope_id": " * "}, {"scope_id"}),
    (
        {"model_name": "gpt-*", "provider": "a*b", "scope": "user", "scope_id": "*"},
        {"model_name", "provider", "scope_id"},
    ),
    ({"model_name": "m", "calendar_aligned": "true"}, {"calendar_aligned"}),
    ({"model_name": "m", "timezone": "Mars/Phobos"}, {"timezone"}),
    ({"model_name": "m", "timezone": "Europe/Berlin", "budget": DAY}, {"timezone"}),
    ({"model_name": "m", "timezone": "Europe/Berlin", "budget": DAY, "calendar_aligned": False}, {"timezone"}),
    ({"model_name": "m", "timezone": "Europe/Berlin", "scope": "user", "scope_id": "u", "budget": DAY}, {"timezone"}),
    ({"model_name": "m", "timezone": ""}, {"timezone"}),
    ({"model_name": "m", "timezone": "../UTC"}, {"timezone"}),
    ({"model_name": "m", "budgets": {}}, {"budgets"}),
    ({"model_name": "m", "budgets": "1d"}, {"budgets"}),
    ({"model_name": "m", "budgets": [5]}, {"budgets[0]"}),
    ({"model_name": "m", "budget": []}, {"budget"}),
    ({"model_name": "m", "budget": {}}, {"budget.max_limit", "budget.reset_duration"}),
    ({"model_name": "m", "budgets": [{"max_limit": 1}]}, {"budgets[0].reset_duration"}),
    ({"model_name": "m", "budgets": [{"reset_duration": "1d"}]}, {"budgets[0].max_limit"}),
    ({"model_name": "m", "rate_limits": [{}]}, {"rate_limits[0]"}),
    ({"model_name": "m", "rate_limit": {"token_max_limit": 1}}, {"rate_limit.token_reset_duration"}),
    ({"model_name": "m", "rate_limit": {"request_max_limit": 1}}, {"rate_limit.request_reset_duration"}),
    ({"model_name": "m", "rate_limit": {"token_reset_duration": "1d"}}, {"rate_limit.token_max_limit"}),
    ({"model_name": "m", "rate_limit": {"id": "x"}}, {"rate_limit"}),
    ({"model_name": "m", "modelname": 1}, {"modelname"}),
    ({"model_name": "m", "reset_usage": True}, {"reset_usage"}),
    ({"model_name": "m", "budgets": [DAY | {"limit": 1}]}, {"budgets[0].limit"}),
    ({"model_name": "m", "budgets": budgets("1d", "24h")}, {"budgets[1].reset_duration"}),
    ({"model_name": "m", "budgets": budgets("1M", "1h", "30d")}, {"budgets[2].reset_duration"}),
    ({"model_name": "m", "budgets": budgets("1Y", "365d")}, {"budgets[1].reset_duration"}),
    ({"model_name": "m", "rate_limits": tokens("1m", "60s")}, {"rate_limits[1].token_reset_duration"}),
    ({"model_name": "m", "rate_limits": [REQUESTS, REQUESTS | TOKENS]}, {"rate_limits[1].request_reset_duration"}),
    ({"model_name": "m", "calendar_aligned": True}, {"calendar_aligned"}),
    ({"model_name": "m", "calendar_aligned": True, "budgets": budgets("1h", "24h", "1.5d")}, {"calendar_aligned"}),
    ({"model_name": "m", "scope": "virtual_key", "scope_id": "nope"}, {"scope_id"}),
]


@pytest.mark.parametrize(("body", "params"), REFUSED)
def test_a_faulty_create_is_refused_by_the_field_and_leaves_nothing_behind(api, body, params):
    told = refused(api, body)
    assert set(told) == params
    assert all(message.endswith((".", "not found")) for message in told.values())


def test_the_same_window_for_tokens_and_for_requests_is_no_repetition(api):
    made = api.create(rate_limits=[TOKENS, {"request_max_limit": 1, "request_reset_duration": "24h"}], budgets=[DAY])
    assert len(made["rate_limits"]) == 2


ALL_AT_ONCE = [
    (
        {
            "provider": 5,
            "scope": "user",
            "timezone": "x",
            "nope": 1,
            "budgets": [{"max_limit": 0, "reset_duration": "1x"}],
        },
        {"model_name", "provider", "scope_id", "timezone", "nope", "budgets[0].max_limit", "budgets[0].reset_duration"},
    ),
    ({"budget": DAY, "budgets": [], "nope": 1}, {"budget", "model_name", "nope"}),
    (
        {"model_name": "m", "budget": DAY, "budgets": [], "rate_limit": TOKENS, "rate_limits": []},
        {"budget", "rate_limit"},
    ),
    (
        {"model_name": "m", "budgets": budgets("1d", "24h", "1M", "30d"), "rate_limits": tokens("1m", "60s")},
        {"budgets[1].reset_duration", "budgets[3].reset_duration", "rate_limits[1].token_reset_duration"},
    ),
    (
        {"model_name": "m", "scope": "virtual_key", "scope_id": "nope", "calendar_aligned": True},
        {"scope_id", "calendar_aligned"},
    ),
]


@pytest.mark.parametrize(("body", "params"), ALL_AT_ONCE)
def test_all_faults_of_a_create_are_told_at_once(api, body, params):
    assert set(refused(api, body)) == params


def test_a_null_in_a_list_is_refused_with_a_sentence_that_says_what_to_do(api):
    [(param, message)] = refused(api, {"model_name": "m", "budgets": [None]}).items()
    assert param == "budgets[0]"
    assert message.startswith("Give")


SAME = [
    ({"model_name": "gpt-4o"}, {"model_name": " GPT-4O "}),
    ({"model_name": "Straße"}, {"model_name": "STRASSE"}),
    ({"model_name": "*"}, {"model_name": "*"}),
    ({"model_name": "gpt-4o", "provider": "openai"}, {"model_name": "GPT-4o", "provider": " OpenAI"}),
    ({"model_name": "openai/GPT-4o", "provider": "openai"}, {"model_name": "gpt-4o", "provider": "openai"}),
    ({"model_name": "gpt-4o", "provider": "openai"}, {"model_name": "OpenAI/gpt-4o", "provider": "OPENAI"}),
    ({"model_name": "m"}, {"model_name": "m", "scope": "global", "scope_id": ""}),
    ({"model_name": "m", "scope": "user", "scope_id": "u"}, {"model_name": "M", "scope": "user", "scope_id": " u "}),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_a_second_limit_of_the_same_identity_is_a_conflict_that_names_the_existing_id(api, first, second):
    made = api.create(**first)
    for body in (second, second | {"budgets": [DAY]}, first):
        response = api.post("model-configs", body)
        error = response.get_json()["error"]
        assert (response.status_code, error["type"], error["code"]) == (409, "conflict", "already_exists")
        assert made["id"] in error["message"]
    assert api.list()["model_configs"] == [made]
    assert api.get("budgets").get_json()["total_count"] == 0


def test_limits_that_differ_in_any_part_of_the_identity_stand_side_by_side(api):
    api.post("virtual-keys", {"id": "u", "name": "Team"})
    for fields in (
        {},
        {"provider": "openai"},
        {"provider": "azure"},
        {"model_name": "openai/m"},
        {"model_name": "azure/m", "provider": "openai"},
        {"model_name": "*"},
        {"scope": "user", "scope_id": "u"},
        {"scope": "user", "scope_id": "U"},
        {"scope": "virtual_key", "scope_id": "u"},
    ):
        api.create(**{"model_name": "m"} | fields)
    assert api.list()["total_count"] == 9


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (["Model", " model ", "MODEL", "model"], {}),
        (["openai/Model", "MODEL", "model"], {"provider": "openai", "scope": "user", "scope_id": "u"}),
    ],
)
def test_of_16_simultaneous_creates_of_one_identity_exactly_one_is_stored(settings, clock, api, names, fields):
    patient = create_app(replace(settings, busy_timeout=30.0, threads=16), clock=clock)
    together = Barrier(16)

    def create(number):
        own = type(api)(patient.test_client())
        together.wait()
        return own.post("model-configs", {"model_name": names[number % len(names)], **fields})

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(create, range(16)))
    patient.extensions[EXTENSION].model_limits._database.engine.dispose()
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 15
    [stored] = api.list()["model_configs"]
    assert all(stored["id"] in answer.text for answer in answers)


def test_a_user_id_need_not_exist(api):
    made = api.create(scope="user", scope_id="nobody", budgets=[DAY])
    assert (made["scope"], made["scope_id"], made["scope_name"]) == ("user", "nobody", None)


def test_an_unknown_virtual_key_is_refused_in_bifrosts_words(api):
    told = refused(api, {"model_name": "m", "scope": "virtual_key", "scope_id": "nope", "budgets": [DAY]})
    assert told == {"scope_id": "Virtual key 'nope' not found"}


def test_the_name_of_a_virtual_key_is_told_its_id(api):
    api.post("virtual-keys", {"id": "vk-1", "name": "Search team"})
    told = refused(api, {"model_name": "m", "scope": "virtual_key", "scope_id": "Search team", "budgets": [DAY]})
    assert told == {"scope_id": "Virtual key 'Search team' not found: give its id, 'vk-1', in place of its name"}


@pytest.mark.parametrize("scope", [{}, {"scope": None}, {"scope": "global"}])
@pytest.mark.parametrize("empty", [None, "", "  "])
def test_an_empty_scope_id_is_as_good_as_none(api, scope, empty):
    made = api.create(**scope, scope_id=empty)
    assert (made["scope"], made["scope_id"], made["scope_name"]) == ("global", None, None)


def test_a_star_inside_a_name_is_refused_with_the_reason_and_alone_means_all(api):
    told = refused(api, {"model_name": "gpt-*", "provider": "open*", "scope": "user", "scope_id": "*"})
    assert told == {
        "model_name": "Give model_name as the whole name of one model, or as '*' alone for all models: "
        "names are matched as they are written, so that one with '*' in it would meet no call.",
        "provider": "Give provider as the whole name of one provider, or leave it out for all: "
        "one with '*' in it would meet no call.",
        "scope_id": "Give scope_id as the id of one virtual key or user: '*' is none, "
        "and does not stand for each of them.",
    }
    assert api.create(" * ")["model_name"] == "*"
    assert api.create("OpenAI/*", provider="openai")["model_name"] == "OpenAI/*"


def test_a_stored_limit_with_a_star_in_its_name_can_be_read_changed_and_deleted(api, governance):
    """Databases of earlier versions contain such rows."""
    for model, provider in (("gpt-*", None), ("m", "open*")):
        draft = LimitDraft(model, provider, Scope.USER, "*", None, "UTC", (), ())
        made = json.loads(governance.model_limits.create(draft).body)
        path = f"model-configs/{made['id']}"
        assert api.get(path).get_json()["model_config"] == made
        edited = api.put(path, made | {"budgets": [DAY]})
        assert edited.status_code == 200, edited.text
        assert edited.get_json()["model_config"]["budgets"]
        assert api.delete(path).status_code == 200


@pytest.mark.parametrize(
    ("flag", "given", "window", "expected"),
    [
        (True, {}, "1d", True),
        (False, {}, "1d", False),
        (True, {"calendar_aligned": None}, "1d", True),
        (True, {"calendar_aligned": False}, "1d", False),
        (False, {"calendar_aligned": True}, "1d", True),
        (True, {}, "1h", False),
    ],
)
def test_a_limit_takes_over_its_virtual_keys_flag_unless_the_body_gives_one(api, flag, given, window, expected):
    api.post("virtual-keys", {"id": "vk", "name": "Team", "calendar_aligned": flag})
    made = api.create(scope="virtual_key", scope_id="vk", budgets=budgets(window), **given)
    assert made["calendar_aligned"] == made["budget"]["calendar_aligned"] == expected
    api.put("virtual-keys/vk", {"calendar_aligned": not flag})
    assert api.list()["model_configs"] == [made]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
def test_an_aligned_limit_keeps_its_time_zone(api, zone):
    assert api.create("b", timezone=zone, calendar_aligned=True, budgets=[DAY])["timezone"] == zone


def test_a_time_zone_needs_a_calendar_also_where_it_is_the_keys(api):
    api.post("virtual-keys", {"id": "calendar", "name": "a", "calendar_aligned": True})
    api.post("virtual-keys", {"id": "rolling", "name": "b"})
    bound = {"scope": "virtual_key", "timezone": "Europe/Berlin"}
    made = api.create("m", **bound, scope_id="calendar", budget=DAY)
    assert (made["calendar_aligned"], made["timezone"]) == (True, "Europe/Berlin")
    for body in (
        {"scope_id": "rolling", "budget": DAY},
        {"scope_id": "calendar", "rate_limit": REQUESTS},
        {"scope_id": "calendar", "budget": DAY, "calendar_aligned": False},
    ):
        told = refused_alone(api, {"model_name": "other"} | bound | body)
        assert told == {
            "timezone": "Give calendar_aligned as true too, or leave timezone out: "
            "only windows that follow the calendar have a time zone."
        }
    assert api.create("utc", scope="virtual_key", scope_id="rolling", timezone="UTC", budget=DAY)["timezone"] == "UTC"


def refused_alone(api, body):
    """Return the only fault of a refused create."""
    error = api.post("model-configs", body).get_json()["error"]
    return {error["param"]: error["message"]}


def test_an_unknown_id_is_not_found(api):
    for limit_id in ("nope", "00000000-0000-4000-8000-000000000000", "a/b"):
        response = api.get(f"model-configs/{limit_id}")
        error = response.get_json()["error"]
        assert (response.status_code, error["type"], error["message"]) == (404, "not_found", "Model config not found")
