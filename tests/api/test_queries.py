"""Query strings of every endpoint: what is accepted, what is refused, and that the refusal names the parameter."""

from time import perf_counter
from urllib.parse import quote

import pytest

from governance.domain.records.list_query import FARTHEST_OFFSET

PAGED = ("model-configs", "budgets", "rate-limits", "virtual-keys", "users", "/api/api-keys")
FROM_MEMORY = PAGED[:3]
NAMED = ("model-configs", "virtual-keys", "users")
UNPAGED = [
    ("GET", "model-configs/{limit}"),
    ("GET", "virtual-keys/team-a"),
    ("GET", "users/ada"),
    ("POST", "model-configs"),
    ("POST", "virtual-keys"),
    ("POST", "users"),
    ("POST", "/api/api-keys"),
    ("PUT", "model-configs/{limit}"),
    ("PUT", "virtual-keys/team-a"),
    ("PUT", "users/ada"),
    ("DELETE", "model-configs/{limit}"),
    ("DELETE", "virtual-keys/team-a"),
    ("DELETE", "users/ada"),
    ("DELETE", "/api/api-keys/unknown"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
]
LONG = "9" * 5000


def refusal(response, code, param):
    """Return the message of a 400."""
    error = response.get_json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, code, param)
    return error["message"]


@pytest.mark.parametrize("written", ["7", "+7", "007", "+007"])
def test_an_integer_is_ascii_digits_with_an_optional_sign(api, written):
    for path in PAGED:
        found = api.get(f"{path}?limit={quote(written)}&offset={quote(written)}").get_json()
        assert (found["limit"], found["offset"]) == (7, 7), path


@pytest.mark.parametrize(
    "written",
    ["7.0", "1e1", "0x7", "７", "٧", "7²", "1_0", " 7", "7 ", "7\n", "--7", "+-7", "-", "+", "seven", "NaN", "\0"],
)
def test_anything_else_is_no_integer_and_is_refused_by_name(api, written):
    for path in PAGED:
        for name in ("limit", "offset"):
            response = api.get(f"{path}?{name}={quote(written)}")
            assert "whole number" in refusal(response, "invalid_parameter", name), path


@pytest.mark.parametrize("written", ["0", "+0", "-0", "-1", f"-{LONG}"])
def test_a_limit_below_1_is_refused(api, written):
    for path in PAGED:
        assert "1 or more" in refusal(api.get(f"{path}?limit={quote(written)}"), "invalid_parameter", "limit"), path


@pytest.mark.parametrize("written", ["-1", f"-{LONG}"])
def test_an_offset_below_0_is_refused(api, written):
    for path in PAGED:
        assert "0 or more" in refusal(api.get(f"{path}?offset={written}"), "invalid_parameter", "offset"), path


@pytest.mark.parametrize("written", [str(FARTHEST_OFFSET + 1), LONG])
def test_an_offset_over_a_billion_is_refused(api, written):
    for path in PAGED:
        sentence = refusal(api.get(f"{path}?offset={written}"), "invalid_parameter", "offset")
        assert "1000000000 or less" in sentence, path


@pytest.mark.parametrize("written", ["0", "+0", "-0", "1000000000"])
def test_an_offset_of_0_and_of_a_billion_is_accepted(api, written):
    for path in PAGED:
        assert api.get(f"{path}?offset={quote(written)}").get_json()["offset"] == int(written), path


@pytest.mark.parametrize(
    ("written", "effective"), [("1", 1), ("100", 100), ("101", 100), (LONG, 100), (f"+{LONG}", 100)]
)
def test_a_limit_above_100_is_lowered_to_100_and_the_answer_says_so(api, written, effective):
    for path in PAGED:
        assert api.get(f"{path}?limit={quote(written)}").get_json()["limit"] == effective, path


def test_huge_integers_cost_nothing(api):
    huge = "9" * 60_000
    began = perf_counter()
    assert api.get(f"users?limit={huge}").status_code == 200
    assert api.get(f"users?offset={huge}").status_code == 400
    assert perf_counter() - began < 1


def test_an_absent_limit_is_25_and_an_absent_offset_0(api):
    for path in PAGED:
        found = api.get(path).get_json()
        assert (found["limit"], found["offset"]) == (25, 0), path


def test_an_empty_value_is_an_absent_one(api):
    for path in PAGED:
        assert api.get(f"{path}?limit=&offset=").get_json() == api.get(path).get_json(), path
        assert api.get(f"{path}?limit&offset").get_json() == api.get(path).get_json(), path


def test_an_empty_value_is_an_absent_one_for_every_parameter_of_the_list(api):
    api.create("gpt-4o", provider="openai")
    empty = "limit=&offset=&search=&scope=&scope_id=&provider=&sort_by=&order=&from_memory="
    assert api.get(f"model-configs?{empty}").data == api.get("model-configs").data


@pytest.mark.parametrize(
    ("written", "source"),
    [(word, "memory") for word in ("true", "TRUE", "True", "tRuE", "1")]
    + [(word, "database") for word in ("false", "FALSE", "False", "fAlSe", "0", "")],
)
def test_a_boolean_is_true_false_1_or_0_in_any_case(api, written, source):
    for path in FROM_MEMORY:
        response = api.get(f"{path}?from_memory={written}")
        assert (response.status_code, response.headers["X-Governance-Source"]) == (200, source), path


@pytest.mark.parametrize("written", ["yes", "no", "on", "t", "2", "-1", "01", "+1", " true", "null", "ｔｒｕｅ", "\0"])
def test_anything_else_is_no_boolean_and_is_refused_by_name(api, written):
    for path in FROM_MEMORY:
        sentence = refusal(api.get(f"{path}?from_memory={quote(written)}"), "invalid_parameter", "from_memory")
        assert "true, false, 1 or 0" in sentence, path


@pytest.mark.parametrize(("method", "path"), UNPAGED + [("GET", path) for path in PAGED])
def test_an_unknown_parameter_is_refused_by_name_on_every_endpoint(api, method, path):
    limit = api.create()
    path = path.format(limit=limit["id"])
    sentence = refusal(api.request(method, f"{path}?limits=5"), "unknown_parameter", "limits")
    assert "limits" in sentence
    assert api.get(f"model-configs/{limit['id']}").get_json()["model_config"] == limit


@pytest.mark.parametrize(
    ("path", "name", "close"),
    [
        ("model-configs", "serach", "search"),
        ("model-configs", "fromMemory", "from_memory"),
        ("users", "ofset", "offset"),
    ],
)
def test_the_refusal_of_a_misspelt_parameter_names_the_one_that_was_meant(api, path, name, close):
    sentence = refusal(api.get(f"{path}?{name}=x"), "unknown_parameter", name)
    assert sentence == f"Leave out {name}: there is no such parameter (did you mean {close}?)."


@pytest.mark.parametrize("path", [*PAGED[1:], "model-configs"])
def test_the_refusal_of_an_unknown_parameter_lists_those_that_there_are(api, path):
    sentence = refusal(api.get(f"{path}?page=2"), "unknown_parameter", "page")
    assert "limit, offset" in sentence
    assert ("from_memory" in sentence) == (path in FROM_MEMORY)
    assert ("search" in sentence) == (path in NAMED)


def test_names_of_parameters_are_case_sensitive(api):
    refusal(api.get("users?Limit=5"), "unknown_parameter", "Limit")


@pytest.mark.parametrize(
    "query", ["limit=5&limit=6", "limit=5&limit=5", "limit=5&offset=1&limit=5", "limit=5&l%69mit=5"]
)
def test_a_parameter_given_twice_is_refused_by_name(api, query):
    for path in PAGED:
        assert "twice" in refusal(api.get(f"{path}?{query}"), "invalid_parameter", "limit"), path


@pytest.mark.parametrize("written", ["%ff", "a%c3", "%ed%a0%80", "%c0%af", "%f5%80%80%80"])
def test_a_value_that_is_no_utf8_is_refused_by_name(api, written):
    for path in NAMED:
        assert "UTF-8" in refusal(api.get(f"{path}?search={written}"), "invalid_parameter", "search"), path


def test_raw_bytes_that_are_no_utf8_are_refused_by_name(api):
    response = api.get("users", environ_overrides={"QUERY_STRING": "search=\xff"})
    assert "UTF-8" in refusal(response, "invalid_parameter", "search")


@pytest.mark.parametrize("name", ["%ff", "a%c3", "%ed%a0%80"])
def test_a_name_that_is_no_utf8_is_a_400(api, name):
    response = api.get(f"users?{name}=1")
    assert response.status_code == 400
    assert "UTF-8" in response.get_json()["error"]["message"]


def test_valid_utf8_is_read_as_such_raw_and_escaped(api):
    api.post("users", {"id": "g", "name": "Größe"})
    raw = "search=größe".encode().decode("latin-1")
    assert api.get("users?search=gr%C3%B6%C3%9Fe").get_json()["total_count"] == 1
    assert api.get("users", environ_overrides={"QUERY_STRING": raw}).get_json()["total_count"] == 1


def test_more_parameters_than_anybody_needs_are_refused(api):
    response = api.get("users?" + "&".join(f"p{number}=1" for number in range(5000)))
    assert "at most" in refusal(response, "invalid_parameter", None)


def test_faults_of_different_kinds_are_all_reported(api):
    errors = api.get("users?limit=0&limit=1&search=%ff&offset=x&page=2").get_json()["extra_fields"]["errors"]
    assert {error["param"] for error in errors} == {"limit", "search", "offset", "page"}


def test_a_query_that_was_refused_once_is_refused_again(api):
    assert api.get("users?limit=0").get_json() == api.get("users?limit=0").get_json()
    assert api.get("users?limit=5").get_json() == api.get("users?limit=5").get_json()


def test_a_past_end_offset_is_an_empty_page(api):
    api.post("users", {"name": "Ada"})
    found = api.get("users?offset=1").get_json()
    assert found == {"users": [], "total_count": 1, "count": 0, "limit": 25, "offset": 1}
