"""Bodies of every endpoint: their size, form, fields and bounds. A client can send back the body of a response."""

import json
from io import BytesIO
from time import perf_counter

import pytest
from sqlalchemy import select

from governance.storage.tables import metadata

MIB = 1024 * 1024
CHUNKED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
MOST = 2**53 - 1
BUDGET = {"max_limit": 5, "reset_duration": "1d"}
RATE = {"token_max_limit": 9, "token_reset_duration": "1h"}
WRITES = [
    ("POST", "model-configs", {"model_name": "gpt-4o"}),
    ("POST", "virtual-keys", {"name": "Team B"}),
    ("POST", "users", {"name": "Eve"}),
    ("POST", "/api/api-keys", {"name": "gateway", "scopes": ["read"]}),
    ("PUT", "virtual-keys/team-a", {"name": "Team One"}),
    ("PUT", "users/ada", {"name": "Ada L."}),
]
NOT_A_BODY = [
    (b"", None, "not valid JSON"),
    (b"  \n ", None, "not valid JSON"),
    (b"{", None, "line 1, column 2"),
    (b'{"name": "x",}', None, "not valid JSON"),
    (b"{'name': 'x'}", None, "not valid JSON"),
    (b'{"name": "x"} {}', None, "not valid JSON"),
    (b'{"name": "x"', None, "not valid JSON"),
    (b'{"name": "a\nb"}', None, "not valid JSON"),
    (b'{"name": 01}', None, "not valid JSON"),
    (b'{"name": .5}', None, "not valid JSON"),
    (b'\xef\xbb\xbf{"name": "x"}', None, "not valid JSON"),
    (b"name=x", None, "not valid JSON"),
    (b"[]", None, "JSON object"),
    (b'[{"name": "x"}]', None, "JSON object"),
    (b"null", None, "JSON object"),
    (b'"name"', None, "JSON object"),
    (b"5", None, "JSON object"),
    (b"true", None, "JSON object"),
    (b'{"name": NaN}', None, "NaN"),
    (b'{"name": Infinity}', None, "Infinity"),
    (b'{"name": -Infinity}', None, "-Infinity"),
    (b"NaN", None, "NaN"),
    (b'{"name": "x", "name": "x"}', "name", "twice"),
    (b'{"name": "x", "n\\u0061me": "y"}', "name", "twice"),
    (b'{"name": "x", "nested": {"deep": 1, "deep": 2}}', "deep", "twice"),
    (b'{"name": "\\ud800"}', None, "surrogates"),
    (b'{"name": "\\udc00\\ud800"}', None, "surrogates"),
    (b'{"name": "x", "\\ud800": 1}', None, "surrogates"),
    (b'{"name": "x", "nested": [{"a": ["\\udfff"]}]}', None, "surrogates"),
    (b'{"name": "\xff"}', None, "UTF-8"),
    (b'{"name": "\xed\xa0\x80"}', None, "UTF-8"),
    ('{"name": "x"}'.encode("utf-16"), None, "UTF-8"),
    (b'{"name": 1e9999999999999999999}', None, "astronomically"),
    (b'{"name": ' + b"[" * 100_000, None, "at most 32 deep"),
    (b'{"name":' * 100_000 + b"1" + b"}" * 100_000, None, "at most 32 deep"),
]
NAMES = [
    ("users", {"name": "Ada"}, ("name", "id")),
    ("virtual-keys", {"name": "Team B"}, ("name", "id", "value")),
    ("model-configs", {"model_name": "m", "scope": "user", "scope_id": "u"}, ("model_name", "provider", "scope_id")),
    ("/api/api-keys", {"name": "gateway", "scopes": ["read"]}, ("name",)),
]


@pytest.fixture
def seeded(api):
    api.post("virtual-keys", {"id": "team-a", "name": "Team A"})
    api.post("users", {"id": "ada", "name": "Ada"})
    return api


def refusal(response, status, code, param):
    """Return the message of a refused request."""
    error = response.get_json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    return error["message"]


def stored(database):
    """Return all rows of all tables."""
    with database.read() as connection:
        return {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}


def limit_with(**texts):
    """Return the bytes of a limit's body. The numbers in it are written exactly as given."""
    rule = ",".join(f'"{name}":{text}' for name, text in texts.items())
    window = "token_reset_duration" if "token_max_limit" in texts else "request_reset_duration"
    if "max_limit" in texts:
        return f'{{"model_name":"m","budgets":[{{{rule},"reset_duration":"1d"}}]}}'.encode()
    return f'{{"model_name":"m","rate_limits":[{{{rule},"{window}":"1d"}}]}}'.encode()


def test_a_body_over_1_mib_is_413_everywhere_and_nothing_is_stored(seeded, database):
    before = stored(database)
    for method, path, body in WRITES:
        response = seeded.request(method, path, data=json.dumps(body).encode().ljust(MIB + 1))
        assert "1 MiB" in refusal(response, 413, "body_too_large", None), path
    assert stored(database) == before


@pytest.mark.parametrize("extra", [1, MIB])
def test_a_chunked_body_over_1_mib_is_413_and_nothing_is_stored(seeded, database, extra):
    before = stored(database)
    data = BytesIO(b'{"name":"Eve"}'.ljust(MIB + extra))
    response = seeded.post("users", input_stream=data, environ_overrides=CHUNKED)
    assert (response.status_code, stored(database)) == (413, before)


@pytest.mark.parametrize("environ", [{}, CHUNKED], ids=["content-length", "chunked"])
def test_a_body_of_just_1_mib_is_read(seeded, environ):
    for method, path, body in WRITES:
        data = BytesIO(json.dumps(body).encode().ljust(MIB))
        response = seeded.request(method, path, input_stream=data, environ_overrides=environ)
        assert response.status_code == 200, path


def test_a_body_that_says_it_is_over_1_mib_is_413_before_it_is_read(seeded):
    response = seeded.post("users", data=b"{}", environ_overrides={"CONTENT_LENGTH": str(10**15)})
    refusal(response, 413, "body_too_large", None)


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_is_read_as_json_whatever_its_content_type(api, content_type):
    assert api.post("users", data=b'{"name":"Ada"}', content_type=content_type).status_code == 200


@pytest.mark.parametrize(("body", "param", "words"), NOT_A_BODY, ids=range(len(NOT_A_BODY)))
def test_what_is_no_sane_json_object_is_refused_everywhere_and_nothing_is_stored(seeded, database, body, param, words):
    before = stored(database)
    began = perf_counter()
    for method, path, _ in WRITES:
        response = seeded.request(method, path, data=body)
        assert words in refusal(response, 400, "invalid_body", param), path
    assert perf_counter() - began < 2
    assert stored(database) == before


def test_nesting_of_32_is_read_and_of_33_is_refused(api):
    deepest = b'{"name":"Ada","nested":' + b"[" * 31 + b"]" * 31 + b"}"
    too_deep = b'{"name":"Ada","nested":' + b"[" * 32 + b"]" * 32 + b"}"
    refusal(api.post("users", data=deepest), 400, "unknown_field", "nested")
    assert "32 deep" in refusal(api.post("users", data=too_deep), 400, "invalid_body", None)


def test_a_pair_of_surrogates_is_a_character(api):
    assert api.post("users", data=b'{"name":"\\ud83d\\ude00"}').get_json()["user"]["name"] == "😀"


@pytest.mark.parametrize("number", ["1e900000", "-1e900000", "1e-900000", "9" * 900_000, "0." + "9" * 900_000])
def test_a_number_out_of_all_range_costs_nothing(api, database, number):
    before = stored(database)
    began = perf_counter()
    for name in ("max_limit", "token_max_limit", "request_max_limit"):
        item = "budgets" if name == "max_limit" else "rate_limits"
        refusal(api.post("model-configs", data=limit_with(**{name: number})), 400, "invalid_field", f"{item}[0].{name}")
    refusal(api.post("users", data=f'{{"name":{number}}}'.encode()), 400, "invalid_field", "name")
    assert perf_counter() - began < 1
    assert stored(database) == before


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_an_unknown_field_is_refused_by_name_everywhere_and_nothing_is_stored(seeded, database, method, path, body):
    before = stored(database)
    for value in (1, False, {}, [], ""):
        response = seeded.request(method, path, json={**body, "zebra": value})
        assert "zebra" in refusal(response, 400, "unknown_field", "zebra")
    assert stored(database) == before


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_an_unknown_field_is_refused_also_where_it_is_null(seeded, database, method, path, body):
    before = stored(database)
    response = seeded.request(method, path, json={**body, "zebra": None})
    assert response.status_code == 400
    assert response.get_json()["error"]["param"] == "zebra"
    assert stored(database) == before


@pytest.mark.parametrize(
    ("body", "param", "sentence"),
    [
        ({"budget": 20}, "budget", "Give budget as an object, with its fields in braces: {…}."),
        ({"rate_limits": [5]}, "rate_limits[0]", "Give rate_limits[0] as an object, with its fields in braces: {…}."),
    ],
)
def test_what_should_be_an_object_is_told_to_be_one(api, body, param, sentence):
    assert refusal(api.post("model-configs", {"model_name": "m"} | body), 400, "invalid_field", param) == sentence


@pytest.mark.parametrize("name", ["_schema", "__class__", "a.b", "[0]", "ü", "0", " name", "Name"])
def test_an_unknown_field_is_named_as_it_was_written(api, name):
    assert name in refusal(api.post("users", {"name": "Ada", name: 1}), 400, "unknown_field", name)


@pytest.mark.parametrize(
    ("path", "body", "param", "hint"),
    [
        ("users", {"nmae": "Ada", "name": "Ada"}, "nmae", "did you mean name?"),
        ("virtual-keys", {"name": "A", "isactive": True}, "isactive", "did you mean is_active?"),
        ("model-configs", {"model_name": "m", "rate_limit_": RATE}, "rate_limit_", "did you mean rate_limit?"),
        (
            "model-configs",
            {"model_name": "m", "budgets": [BUDGET, {**BUDGET, "reset_duration": "1h", "max_limits": 1}]},
            "budgets[1].max_limits",
            "did you mean max_limit?",
        ),
        (
            "model-configs",
            {"model_name": "m", "rate_limit": {**RATE, "tokens_max_limit": 1}},
            "rate_limit.tokens_max_limit",
            "did you mean token_max_limit?",
        ),
        (
            "model-configs",
            {"model_name": "m", "rate_limit": {**RATE, "max_limit": 1}},
            "rate_limit.max_limit",
            "did you mean token_max_limit?",
        ),
        ("model-configs", {"model_name": "m", "max_limit": 1}, "max_limit", "did you mean budgets[].max_limit?"),
        ("model-configs", {"model_name": "m", "budget.max_limt": 1}, "budget.max_limt", "did you mean max_limit?"),
    ],
)
def test_the_refusal_of_an_unknown_field_gives_its_place_and_a_hint(api, path, body, param, hint):
    sentence = refusal(api.post(path, body), 400, "unknown_field", param)
    assert param in sentence
    assert hint in sentence


def test_faults_of_nested_items_are_all_reported_with_their_places(api):
    items = [{"max_limit": 0, "reset_duration": "1x"}, {"reset_duration": "1d", "zebra": 1}]
    body = api.post("model-configs", {"budgets": items, "timezone": "Mars"}).get_json()
    assert {error["param"] for error in body["extra_fields"]["errors"]} == {
        "model_name",
        "timezone",
        "budgets[0].max_limit",
        "budgets[0].reset_duration",
        "budgets[1].max_limit",
        "budgets[1].zebra",
    }


def test_a_virtual_key_that_was_read_can_be_edited_and_put_back(seeded):
    shown = seeded.get("virtual-keys/team-a").get_json()["virtual_key"]
    assert seeded.put("virtual-keys/team-a", shown).get_json()["virtual_key"] == shown
    edited = {**shown, "description": "new"}
    assert seeded.put("virtual-keys/team-a", edited).get_json()["virtual_key"] == edited


def test_a_user_that_was_read_can_be_edited_and_put_back(seeded):
    shown = seeded.get("users/ada").get_json()["user"]
    assert seeded.put("users/ada", shown).get_json()["user"] == shown
    edited = {**shown, "name": "Ada L."}
    assert seeded.put("users/ada", edited).get_json()["user"] == edited


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"budgets": [BUDGET], "rate_limits": [RATE]},
        {
            "budgets": [BUDGET, {"max_limit": 0.5, "reset_duration": "1M"}],
            "rate_limits": [RATE, {"request_max_limit": 7, "request_reset_duration": "1m"}],
        },
    ],
)
def test_a_limit_that_was_read_can_be_edited_and_put_back(seeded, count, rules):
    path = f"model-configs/{seeded.create(scope='virtual_key', scope_id='team-a', provider='openai', **rules)['id']}"
    shown = seeded.get(path).get_json()["model_config"]
    for item in shown["budgets"]:
        count(item["id"], "cost", used=300_000_000)
    shown = seeded.get(path).get_json()["model_config"]
    assert seeded.put(path, shown).get_json()["model_config"] == shown
    calendar = {"calendar_aligned": True, "timezone": "Europe/Berlin"} if shown["budgets"] else {}
    edited = json.loads(json.dumps({**shown, **calendar}))
    for item in edited["budgets"]:
        item["max_limit"] = 77
    changed = seeded.put(path, edited).get_json()["model_config"]
    assert calendar.items() <= changed.items()
    assert [item["max_limit"] for item in changed["budgets"]] == [77] * len(shown["budgets"])
    assert [item["current_usage"] for item in changed["budgets"]] == [0.3] * len(shown["budgets"])


def test_what_an_answer_shows_is_ignored_whatever_a_client_made_of_it(seeded):
    shown = seeded.get("users/ada").get_json()["user"]
    for value in ("2020-01-01T00:00:00Z", 5, None, {"a": [1]}):
        response = seeded.put("users/ada", {"created_at": value, "updated_at": value})
        assert response.get_json()["user"] == shown


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("", "1 to 255"),
        (" \t\r\n ", "1 to 255"),
        ("x" * 256, "1 to 255"),
        ("a\x00b", "control"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a\x85b", "control"),
        (5, "as text"),
        (True, "as text"),
        ([], "as text"),
        ({}, "as text"),
    ],
)
def test_a_bad_name_or_id_is_refused_everywhere(api, bad, words):
    for path, body, names in NAMES:
        for name in names:
            assert words in refusal(api.post(path, {**body, name: bad}), 400, "invalid_field", name), (path, name)


@pytest.mark.parametrize(
    "good", ["x", "x" * 255, "ä" * 255, "😀" * 255, "a b", "a/b", "'; DROP TABLE users; --", "a\u2028b"]
)
def test_a_name_or_id_of_1_to_255_characters_is_kept_as_it_is_but_for_outer_blanks(api, good):
    for path, body, names in NAMES:
        written = dict.fromkeys(names, f"  {good}\t")
        answer = api.post(path, {**body, **written}).get_json()
        shown = next(value for name, value in answer.items() if name != "message")
        assert {name: shown[name] for name in names} == dict.fromkeys(names, good), path


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("50", "50"),
        ("50.00", "50"),
        ("5e1", "50"),
        ("0.00015", "0.00015"),
        ("1.5E-4", "0.00015"),
        ("0.1", "0.1"),
        ("1e-9", "0.000000001"),
        ("12345678.123456789", "12345678.123456789"),
        ("999999999.999999999", "999999999.999999999"),
        ("1000000000", "1000000000"),
        ("1e9", "1000000000"),
        ("1000000000.000", "1000000000"),
    ],
)
def test_money_is_read_and_written_exactly_without_an_exponent(api, written, shown):
    created = api.post("model-configs", data=limit_with(max_limit=written))
    for response in (created, api.get("model-configs"), api.get("model-configs?from_memory=true"), api.get("budgets")):
        assert f'"max_limit":{shown},' in response.text


def test_money_that_was_used_and_held_is_written_exactly(api, count):
    budget = api.create(budgets=[BUDGET])["budgets"][0]
    count(budget["id"], "cost", used=300_000_000, reserved=1)
    assert '"current_usage":0.3,' in api.get("budgets").text
    assert '"reserved":0.000000001,' in api.get("budgets").text


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("0", "above 0"),
        ("-0.0", "above 0"),
        ("0e5", "above 0"),
        ("-1", "above 0"),
        ("-1e-9", "above 0"),
        ("1000000000.000000001", "at most 1000000000"),
        ("1e10", "at most 1000000000"),
        ("0.0000000001", "9 decimals"),
        ("5.0000000001", "9 decimals"),
        ('"50"', "as a number"),
        ("true", "as a number"),
        ("[]", "as a number"),
        ("{}", "as a number"),
        ("null", "required"),
    ],
)
def test_a_budget_out_of_its_bounds_is_refused_and_nothing_is_stored(api, database, written, words):
    before = stored(database)
    response = api.post("model-configs", data=limit_with(max_limit=written))
    assert words in refusal(response, 400, "invalid_field", "budgets[0].max_limit")
    assert stored(database) == before


@pytest.mark.parametrize("name", ["token_max_limit", "request_max_limit"])
def test_token_and_request_maxima_are_whole_numbers_from_1_to_2_to_the_53_less_1(api, database, name):
    before = stored(database)
    for bad in ("0", "-1", str(MOST + 1), "1.0", "1e3", "0.5", '"5"', "true", "[]"):
        response = api.post("model-configs", data=limit_with(**{name: bad}))
        assert "number" in refusal(response, 400, "invalid_field", f"rate_limits[0].{name}"), bad
    assert stored(database) == before
    for model, good in (("a", 1), ("b", MOST)):
        body = json.loads(limit_with(**{name: str(good)})) | {"model_name": model}
        assert api.post("model-configs", body).get_json()["model_config"]["rate_limit"][name] == good


@pytest.mark.parametrize(("plural", "rule"), [("budgets", BUDGET), ("rate_limits", RATE)])
def test_a_limit_has_at_most_32_budgets_and_32_rate_limits(api, database, plural, rule):
    window = next(name for name in rule if name.endswith("reset_duration"))
    items = [{**rule, window: f"{hours}h"} for hours in range(1, 34)]
    before = stored(database)
    assert "32" in refusal(api.post("model-configs", {"model_name": "m", plural: items}), 400, "invalid_field", plural)
    assert stored(database) == before
    assert len(api.create(**{plural: items[:32]})[plural]) == 32
