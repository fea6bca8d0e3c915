"""`PUT /model-configs/{id}` (docs/contract.md §4): everything that an edit changes, keeps and refuses."""

import pytest

BOTH = {"token_max_limit": 90, "token_reset_duration": "1h", "request_max_limit": 9, "request_reset_duration": "1m"}
TOKENS = {"token_max_limit": 90, "token_reset_duration": "1h"}
REQUESTS = {"request_max_limit": 9, "request_reset_duration": "1m"}
NANOS = 1_000_000_000


def budget(max_limit, duration, **fields):
    return {"max_limit": max_limit, "reset_duration": duration} | fields


@pytest.fixture
def limit(api, count, clock):
    """Create a limit with two budgets and two rate limits a minute ago. All of them have usage and reservations."""
    made = api.create(
        "openai/GPT-4o",
        provider="OpenAI",
        budgets=[budget(50, "1d"), budget(500, "1M")],
        rate_limits=[REQUESTS, TOKENS],
    )
    for number, item in enumerate(made["budgets"], 1):
        count(item["id"], "cost", used=number * NANOS, reserved=3 * NANOS)
    count(made["rate_limits"][0]["id"], "requests", used=4, reserved=2)
    count(made["rate_limits"][1]["id"], "tokens", used=7, reserved=5)
    clock.advance(5)
    return read(api, made)


def read(api, limit):
    return api.get(f"model-configs/{limit['id']}").get_json()["model_config"]


def put(api, limit, **body):
    """Edit a limit. Return it as both sources show it at once."""
    response = api.put(f"model-configs/{limit['id']}", body)
    assert response.status_code == 200, response.text
    after = response.get_json()["model_config"]
    assert [after] == api.list()["model_configs"] == api.list(memory=True)["model_configs"]
    return after


def refused(api, limit, body):
    """Return the params of a refused edit. The edit must have changed nothing."""
    before = read(api, limit)
    response = api.put(f"model-configs/{limit['id']}", body)
    answer = response.get_json()
    assert (response.status_code, answer["error"]["type"]) == (400, "invalid_request"), response.text
    assert read(api, limit) == before
    return {answer["error"]["param"], *(fault["param"] for fault in answer["extra_fields"].get("errors", ()))}


def ids(items):
    return [item["id"] for item in items]


def test_an_update_answers_200_with_its_message_and_the_limit_as_it_is_now(api, limit):
    edit = {"calendar_aligned": True, "timezone": "Europe/Berlin"}
    response = api.put(f"model-configs/{limit['id']}", edit)
    body = response.get_json()
    assert (response.status_code, list(body)) == (200, ["message", "model_config"])
    assert body["message"] == "Model config updated successfully"
    assert body["model_config"] == read(api, limit)
    assert body["model_config"]["timezone"] == "Europe/Berlin"


def test_an_unknown_id_is_not_found(api, limit):
    response = api.put("model-configs/nope", {"budgets": []})
    assert (response.status_code, response.get_json()["error"]["message"]) == (404, "Model config not found")


NAMES = [
    "model_name",
    "provider",
    "scope",
    "scope_id",
    "calendar_aligned",
    "timezone",
    "reset_usage",
    "reset_budget_usage",
]
LISTS = ["budgets", "budget", "rate_limits", "rate_limit"]


@pytest.mark.parametrize("body", [{}, dict.fromkeys([*NAMES, *LISTS])], ids=["left out", "null"])
def test_what_is_left_out_or_null_is_unchanged(api, limit, body):
    etag = api.get(f"model-configs/{limit['id']}").headers["ETag"]
    response = api.put(f"model-configs/{limit['id']}", body)
    assert response.get_json()["model_config"] == limit
    assert response.headers["ETag"] == etag


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"budgets": [budget(0.1, "1h"), budget(7, "1w")], "calendar_aligned": True, "timezone": "Asia/Kolkata"},
        {"rate_limits": [BOTH, {"token_max_limit": 1, "token_reset_duration": "1d"}]},
        {"scope": "virtual_key", "scope_id": "vk", "budget": budget(0.000000001, "1d"), "rate_limit": REQUESTS},
        {"scope": "user", "scope_id": "u", "provider": "openai", "model_name": "*"},
    ],
)
def test_the_echo_of_a_read_changes_nothing_not_even_the_version(api, clock, fields):
    api.post("virtual-keys", {"id": "vk", "name": "Team", "calendar_aligned": True})
    made = api.create(**{"model_name": "openai/m"} | fields)
    clock.advance(9)
    first = api.get(f"model-configs/{made['id']}")
    again = api.put(f"model-configs/{made['id']}", first.get_json()["model_config"])
    assert again.status_code == 200, again.text
    assert again.get_json()["model_config"] == first.get_json()["model_config"] == made
    assert again.headers["ETag"] == first.headers["ETag"]


def test_an_edit_within_the_echo_is_taken_from_the_list_and_the_singulars_are_ignored(api, limit):
    echo = read(api, limit)
    echo["budgets"][0]["max_limit"] = 60
    del echo["rate_limits"][1]
    after = put(api, limit, **echo)
    assert [item["max_limit"] for item in after["budgets"]] == [60, 500]
    assert ids(after["rate_limits"]) == ids(limit["rate_limits"])[:1]


def test_a_list_is_the_complete_wanted_set(api, limit):
    after = put(api, limit, budgets=[budget(50, "1d"), budget(5, "1h")])
    assert [item["reset_duration"] for item in after["budgets"]] == ["1h", "1d"]
    assert after["budgets"][1] == limit["budgets"][0]
    assert after["rate_limits"] == limit["rate_limits"]
    assert api.get("budgets").get_json()["total_count"] == 2


def test_an_empty_list_removes_all_of_its_kind_and_nothing_else(api, limit):
    after = put(api, limit, budgets=[])
    assert (after["budgets"], after["budget"], after["rate_limits"]) == ([], None, limit["rate_limits"])
    after = put(api, limit, rate_limits=[])
    assert (after["rate_limits"], after["rate_limit"]) == ([], None)


def test_an_item_matched_by_id_keeps_its_id_and_usage_whatever_becomes_of_its_window(api, limit):
    first, second = limit["budgets"]
    after = put(api, limit, budgets=[budget(9, "1w", id=first["id"]), budget(8, "1h", id=second["id"])])
    by_id = {item["id"]: item for item in after["budgets"]}
    assert ids(after["budgets"]) == [second["id"], first["id"]]
    assert (by_id[first["id"]]["max_limit"], by_id[first["id"]]["current_usage"]) == (9, 1)
    assert (by_id[second["id"]]["max_limit"], by_id[second["id"]]["current_usage"]) == (8, 2)
    assert {item["reserved"] for item in after["budgets"]} == {3}
    assert {item["created_at"] for item in after["budgets"]} == {first["created_at"]}


def test_ids_may_swap_their_windows(api, limit):
    first, second = limit["budgets"]
    after = put(api, limit, budgets=[budget(50, "1M", id=first["id"]), budget(500, "1d", id=second["id"])])
    shown = [(item["id"], item["reset_duration"], item["current_usage"]) for item in after["budgets"]]
    assert shown == [(second["id"], "1d", 2), (first["id"], "1M", 1)]


@pytest.mark.parametrize("text", ["1d", "24h", "1440m", "1.0d"])
def test_an_item_without_id_is_matched_by_an_equal_window_whatever_its_spelling(api, limit, text):
    after = put(api, limit, budgets=[budget(9, text)])
    [kept] = after["budgets"]
    was = limit["budgets"][0]
    assert (kept["id"], kept["created_at"], kept["last_reset"]) == (was["id"], was["created_at"], was["last_reset"])
    assert [kept["max_limit"], kept["reset_duration"], kept["current_usage"], kept["reserved"]] == [9, text, 1, 3]


def test_a_rate_limit_is_matched_by_any_equal_window(api, limit):
    requests, tokens = limit["rate_limits"]
    wanted = [REQUESTS | {"request_max_limit": 11}, TOKENS | {"request_max_limit": 1, "request_reset_duration": "1d"}]
    kept, both = put(api, limit, rate_limits=wanted)["rate_limits"]
    assert (kept["id"], kept["request_max_limit"], kept["request_current_usage"]) == (requests["id"], 11, 4)
    assert (both["id"], both["token_current_usage"], both["token_reserved"]) == (tokens["id"], 7, 5)
    assert (both["request_max_limit"], both["request_current_usage"], both["request_reserved"]) == (1, 0, 0)


@pytest.mark.parametrize("named", [False, True], ids=["without id", "by id"])
def test_a_window_that_moves_into_another_rate_limit_keeps_its_usage(api, limit, named):
    tokens = limit["rate_limits"][1]
    after = put(api, limit, rate_limits=[TOKENS | REQUESTS | ({"id": tokens["id"]} if named else {})])
    [both] = after["rate_limits"]
    assert both["id"] in ids(limit["rate_limits"])
    assert not named or both["id"] == tokens["id"]
    assert [both["token_current_usage"], both["token_reserved"]] == [7, 5]
    assert [both["request_current_usage"], both["request_reserved"]] == [4, 2]
    assert both["request_last_reset"] == limit["rate_limits"][0]["request_last_reset"]


def test_a_rate_limit_split_into_two_keeps_both_usages(api, limit):
    put(api, limit, rate_limits=[TOKENS | REQUESTS])
    requests, tokens = put(api, limit, rate_limits=[TOKENS, REQUESTS])["rate_limits"]
    assert [tokens["token_current_usage"], tokens["token_reserved"]] == [7, 5]
    assert [requests["request_current_usage"], requests["request_reserved"]] == [4, 2]


def test_a_side_added_to_a_rate_limit_by_id_starts_empty_beside_the_other(api, limit):
    tokens = limit["rate_limits"][1]
    put(api, limit, rate_limits=[TOKENS])
    after = put(api, limit, rate_limits=[BOTH | {"id": tokens["id"]}])
    [both] = after["rate_limits"]
    assert both["id"] == tokens["id"]
    assert [both["token_current_usage"], both["token_reserved"]] == [7, 5]
    assert [both["request_current_usage"], both["request_reserved"]] == [0, 0]


def test_a_side_taken_from_a_rate_limit_and_given_back_starts_empty(api, limit):
    tokens = limit["rate_limits"][1]
    put(api, limit, rate_limits=[REQUESTS | {"id": tokens["id"]}])
    [both] = put(api, limit, rate_limits=[BOTH | {"id": tokens["id"]}])["rate_limits"]
    assert (both["id"], both["token_current_usage"], both["token_reserved"]) == (tokens["id"], 0, 0)


def test_what_was_removed_and_comes_back_is_another_one_without_usage(api, limit):
    put(api, limit, budgets=[])
    [back] = put(api, limit, budgets=[budget(50, "1d")])["budgets"]
    assert back["id"] not in ids(limit["budgets"])
    assert (back["current_usage"], back["reserved"], back["created_at"]) == (0, 0, "2026-11-23T12:00:05Z")


@pytest.mark.parametrize("empty", [{}, dict.fromkeys([*TOKENS, *REQUESTS])], ids=["empty", "nulls"])
def test_an_empty_rate_limit_removes_the_rate_limits(api, limit, empty):
    after = put(api, limit, rate_limits=[REQUESTS])
    after = put(api, limit, rate_limit=empty)
    assert (after["rate_limits"], after["rate_limit"], after["budgets"]) == ([], None, limit["budgets"])


@pytest.mark.parametrize("empty", [{}, {"max_limit": None, "reset_duration": None}], ids=["empty", "nulls"])
def test_an_empty_budget_removes_the_budgets(api, limit, empty):
    after = put(api, limit, budget=empty)
    assert (after["budgets"], after["budget"], after["rate_limits"]) == ([], None, limit["rate_limits"])


def test_a_singular_whose_window_changes_keeps_id_usage_and_holds(api, limit):
    put(api, limit, budgets=[budget(50, "1d")], rate_limits=[TOKENS])
    after = put(api, limit, budget=budget(50, "1w"), rate_limit=TOKENS | {"token_reset_duration": "1d"})
    kept, rate = after["budget"], after["rate_limit"]
    assert (kept["id"], kept["current_usage"], kept["reserved"]) == (limit["budgets"][0]["id"], 1, 3)
    assert (rate["id"], rate["token_current_usage"], rate["token_reserved"]) == (limit["rate_limits"][1]["id"], 7, 5)


def test_a_list_of_one_whose_window_changes_is_a_new_one(api, limit):
    put(api, limit, budgets=[budget(50, "1d")])
    [new] = put(api, limit, budgets=[budget(50, "1w")])["budgets"]
    assert new["id"] != limit["budgets"][0]["id"]
    assert (new["current_usage"], new["reserved"]) == (0, 0)


def test_a_singular_stands_for_a_list_of_one(api, limit):
    put(api, limit, budgets=[budget(50, "1d")], rate_limits=[TOKENS])
    kept = put(api, limit, budget=budget(60, "24h"), rate_limit=TOKENS | {"token_max_limit": 91})
    assert (kept["budget"]["id"], kept["budget"]["current_usage"]) == (limit["budgets"][0]["id"], 1)
    assert (kept["rate_limit"]["id"], kept["rate_limit"]["token_max_limit"]) == (limit["rate_limits"][1]["id"], 91)
    other = put(api, limit, budget=budget(60, "1h"))
    assert [item["reset_duration"] for item in other["budgets"]] == ["1h"]
    assert other["budget"]["id"] == kept["budget"]["id"]


def test_a_singular_adds_one_where_there_is_none(api, limit):
    put(api, limit, budgets=[], rate_limits=[])
    after = put(api, limit, budget=budget(1, "1h"), rate_limit=BOTH)
    assert [len(after["budgets"]), len(after["rate_limits"])] == [1, 1]


def test_updated_at_moves_for_the_limit_and_for_the_edited_items_alone(api, limit, clock):
    after = put(api, limit, budgets=[budget(50, "1d"), budget(501, "1M")])
    assert after["updated_at"] == "2026-11-23T12:00:05Z"
    assert [item["updated_at"] for item in after["budgets"]] == ["2026-11-23T12:00:00Z", "2026-11-23T12:00:05Z"]
    assert {item["updated_at"] for item in after["rate_limits"]} == {"2026-11-23T12:00:00Z"}
    assert after["created_at"] == limit["created_at"]


def test_usage_and_time_do_not_move_updated_at(api, limit, clock):
    clock.advance(40 * 86400)
    shown = read(api, limit)
    assert shown["updated_at"] == limit["updated_at"]
    assert [item["updated_at"] for item in shown["budgets"]] == [item["updated_at"] for item in limit["budgets"]]


def test_a_maximum_below_what_is_used_is_accepted_and_changes_no_usage(api, limit):
    after = put(api, limit, budgets=[budget(0.5, "1d"), budget(500, "1M")])
    assert (after["budget"]["max_limit"], after["budget"]["current_usage"], after["budget"]["reserved"]) == (0.5, 1, 3)


def test_reset_usage_zeroes_what_is_used_in_the_current_windows_and_holds_stay(api, limit):
    after = put(api, limit, reset_usage=True)
    assert [(item["current_usage"], item["reserved"]) for item in after["budgets"]] == [(0, 3), (0, 3)]
    requests, tokens = after["rate_limits"]
    assert (requests["request_current_usage"], requests["request_reserved"]) == (0, 2)
    assert (tokens["token_current_usage"], tokens["token_reserved"]) == (0, 5)
    assert [item["last_reset"] for item in after["budgets"]] == [item["last_reset"] for item in limit["budgets"]]


def test_reset_budget_usage_zeroes_the_budgets_alone(api, limit):
    after = put(api, limit, reset_budget_usage=True)
    assert [(item["current_usage"], item["reserved"]) for item in after["budgets"]] == [(0, 3), (0, 3)]
    assert after["rate_limits"] == limit["rate_limits"]
    assert put(api, limit, reset_budget_usage=False, reset_usage=True)["rate_limit"]["request_current_usage"] == 0


def test_reset_usage_goes_together_with_an_edit_and_leaves_other_limits_alone(api, limit, count):
    other = api.create("other", budget=budget(1, "1d"))
    count(other["budget"]["id"], "cost", used=5)
    body = {"reset_usage": True, "budgets": [budget(9, "1w", id=limit["budgets"][0]["id"])]}
    after = api.put(f"model-configs/{limit['id']}", body).get_json()["model_config"]
    assert (after["budget"]["current_usage"], after["budget"]["reserved"]) == (0, 3)
    assert read(api, other)["budget"]["current_usage"] == 0.000000005


@pytest.mark.parametrize("word", [False, None])
def test_without_reset_usage_an_edit_changes_no_usage(api, limit, word):
    assert put(api, limit, reset_usage=word, timezone="UTC")["budgets"] == limit["budgets"]


def test_turning_alignment_off_sets_the_zone_to_utc_whatever_is_echoed(api):
    for echo in ({}, {"timezone": "Asia/Tokyo"}, {"timezone": "UTC"}, {"timezone": None}):
        made = api.create("aligned", calendar_aligned=True, timezone="Asia/Tokyo", budget=budget(1, "1d"))
        after = put(api, made, calendar_aligned=False, **echo)
        assert (after["calendar_aligned"], after["timezone"]) == (False, "UTC")
        api.delete(f"model-configs/{made['id']}")


def test_a_zone_without_alignment_is_refused_in_an_edit_too(api):
    rolling = api.create("rolling", budget=budget(1, "1d"))
    assert refused(api, rolling, {"timezone": "Asia/Tokyo"}) == {"timezone"}
    aligned = api.create("aligned", calendar_aligned=True, timezone="Asia/Tokyo", budget=budget(1, "1d"))
    assert refused(api, aligned, {"timezone": "Europe/Berlin", "calendar_aligned": False}) == {"timezone"}
    api.delete(f"model-configs/{aligned['id']}")
    both = put(api, rolling, calendar_aligned=True, timezone="Asia/Tokyo")
    assert (both["calendar_aligned"], both["timezone"]) == (True, "Asia/Tokyo")


@pytest.mark.parametrize(
    "body",
    [
        {"model_name": "openai/GPT-4o", "provider": "OpenAI", "scope": "global", "scope_id": None},
        {"model_name": " openai/GPT-4o "},
        {"scope": "global", "scope_id": "ignored for global"},
    ],
)
def test_an_identity_equal_to_the_stored_one_is_accepted_and_changes_nothing(api, limit, body):
    assert put(api, limit, **body) == limit


@pytest.mark.parametrize(
    ("body", "params"),
    [
        ({"model_name": "gpt-5"}, {"model_name"}),
        ({"model_name": "*"}, {"model_name"}),
        ({"provider": "azure"}, {"provider"}),
        ({"scope": "user", "scope_id": "u"}, {"scope"}),
        ({"provider": "azure", "timezone": "Asia/Tokyo"}, {"provider", "timezone"}),
    ],
)
def test_another_identity_is_refused(api, limit, body, params):
    assert refused(api, limit, body) == params


def test_the_scope_and_provider_of_a_users_limit_are_fixed_too(api):
    made = api.create("m", scope="user", scope_id="u")
    assert refused(api, made, {"scope": "global"}) == {"scope"}
    assert refused(api, made, {"scope_id": "v"}) == {"scope_id"}
    assert refused(api, made, {"provider": "openai"}) == {"provider"}
    assert put(api, made, scope="user", scope_id="u", model_name="m") == made


REFUSED = [
    ({"budgets": [budget(1, "1d", id="nope")]}, {"budgets[0].id"}),
    ({"budget": budget(1, "1d", id="nope")}, {"budget", "budget.id"}),
    ({"rate_limits": [TOKENS | {"id": "nope"}]}, {"rate_limits[0].id"}),
    ({"budget": budget(1, "1d")}, {"budget"}),
    ({"rate_limit": TOKENS}, {"rate_limit"}),
    ({"budget": budget(1, "1d"), "budgets": []}, {"budget"}),
    ({"budget": {"max_limit": 1}}, {"budget.reset_duration"}),
    ({"budgets": [{"max_limit": 1}]}, {"budgets[0].reset_duration"}),
    ({"budgets": [{"reset_duration": "1d"}]}, {"budgets[0].max_limit"}),
    ({"rate_limits": [{"token_max_limit": 1}]}, {"rate_limits[0].token_reset_duration"}),
    ({"rate_limits": [{}]}, {"rate_limits[0]"}),
    ({"budgets": [budget(1, "1d"), budget(1, "24h")]}, {"budgets[1].reset_duration"}),
    ({"rate_limits": [TOKENS, TOKENS]}, {"rate_limits[1].token_reset_duration"}),
    ({"budgets": [budget(1, f"{hours}h") for hours in range(1, 34)]}, {"budgets"}),
    ({"budgets": [budget(0, "1d")]}, {"budgets[0].max_limit"}),
    ({"budgets": [budget(1, "1 day")]}, {"budgets[0].reset_duration"}),
    ({"timezone": "Nowhere"}, {"timezone"}),
    ({"calendar_aligned": 1}, {"calendar_aligned"}),
    ({"calendar_aligned": True, "budgets": [budget(1, "1h")]}, {"calendar_aligned"}),
    ({"calendar_aligned": True, "budgets": []}, {"calendar_aligned"}),
    ({"reset_usage": "true"}, {"reset_usage"}),
    ({"reset_budget_usage": 1}, {"reset_budget_usage"}),
    ({"reset_usage": True, "max_limit": 5}, {"max_limit"}),
]


@pytest.mark.parametrize(("body", "params"), REFUSED)
def test_a_faulty_edit_is_refused_by_the_field_and_leaves_everything_as_it_was(api, limit, body, params):
    assert refused(api, limit, body) == params


def test_an_id_of_another_limit_or_of_the_other_kind_or_given_twice_is_refused(api, limit):
    other = api.create("other", budget=budget(1, "1d"))
    own = limit["budget"]["id"]
    assert refused(api, limit, {"budgets": [budget(1, "1d", id=other["budget"]["id"])]}) == {"budgets[0].id"}
    assert refused(api, limit, {"rate_limits": [TOKENS | {"id": own}]}) == {"rate_limits[0].id"}
    twice = {"budgets": [budget(1, "1d", id=own), budget(1, "1w", id=own)]}
    assert refused(api, limit, twice) == {"budgets[1].id"}


def test_a_refused_edit_with_reset_usage_resets_nothing(api, limit):
    assert refused(api, limit, {"reset_usage": True, "budgets": [budget(1, "1d", id="nope")]}) == {"budgets[0].id"}


def test_an_edit_may_not_leave_an_aligned_limit_without_a_window_to_align(api, limit):
    put(api, limit, calendar_aligned=True)
    assert refused(api, limit, {"budgets": [budget(1, "1h")]}) == {"calendar_aligned"}
    told = api.put(f"model-configs/{limit['id']}", {"budgets": [], "rate_limits": [REQUESTS]}).get_json()["error"]
    assert told["message"].startswith("Give calendar_aligned as false too, or keep a window of a whole number of d")
    after = put(api, limit, budgets=[budget(1, "1h")], calendar_aligned=False)
    assert after["calendar_aligned"] is False
