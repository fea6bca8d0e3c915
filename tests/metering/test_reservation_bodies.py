"""The bodies of metering (docs/contract.md §1, §6): every bound, every type, every pair of forms for one value."""

import json

import pytest

from app import create_app
from governance.settings import Settings
from tests.conftest import ADMIN_KEY, Api, FakeClock
from tests.metering.conftest import copied, ok, stop

PATHS = ["reservations", "check", "usage"]
ASKING = ["reservations", "check"]
every = pytest.mark.parametrize("path", PATHS)
asking = pytest.mark.parametrize("path", ASKING)


@pytest.fixture(scope="module")
def api(template):
    """Return one service for all tests, because no response here depends on earlier ones."""
    with copied(template) as folder:
        app = create_app(Settings(instance=folder, admin_key=ADMIN_KEY), clock=FakeClock())
        yield Api(app.test_client())
        stop(app)


def faults(response):
    """Return the params of a 400."""
    body = response.get_json()
    assert (response.status_code, body["error"]["type"]) == (400, "invalid_request"), response.text
    return {body["error"]["param"], *(fault["param"] for fault in body["extra_fields"].get("errors", ()))}


def send(api, path, text):
    """Send a body of JSON text, because Python would change some numbers when it reads them."""
    return api.post(path, data='{"model": "m", ' + text + "}")


AMOUNTS = [
    ('"cost": 0', True),
    ('"cost": -0.0', True),
    ('"cost": 1000000', True),
    ('"cost": 1e6', True),
    ('"cost": 1000000.0000000001', False),
    ('"cost": 1000001', False),
    ('"cost": -0.0000000001', False),
    ('"cost": 1e900000', False),
    ('"cost": "1"', False),
    ('"cost": true', False),
    ('"cost": {}', False),
    ('"cost": 1e-900000', True),
    ('"tokens": 0', True),
    ('"tokens": 1000000000000', True),
    ('"tokens": 1000000000001', False),
    ('"tokens": -1', False),
    ('"tokens": 1.5', False),
    ('"tokens": 1e900000', False),
    ('"tokens": "5"', False),
    ('"tokens": false', False),
]


@every
@pytest.mark.parametrize(("text", "good"), AMOUNTS)
def test_amounts_are_bounded_the_same_way_everywhere(api, meter, path, text, good):
    before = meter.dump()
    response = send(api, path, text)
    if good:
        assert response.status_code == 200, response.text
    else:
        assert faults(response) == {text.split('"')[1]}
        assert meter.dump() == before


@every
@pytest.mark.parametrize("value", ["", "  ", "x" * 256, "a\u0000b", "a\nb", "a\u0085b", 5, ["m"], False], ids=ascii)
def test_names_and_ids_are_1_to_255_characters_without_controls(api, path, value):
    names = ["model", "provider", "user_id", "virtual_key_id"]
    assert faults(api.post(path, dict.fromkeys(names, value))) == set(names)


@every
def test_all_providers_are_meant_by_none_and_not_by_a_star(api, path):
    assert faults(api.post(path, {"model": "m", "provider": "*"})) == {"provider"}


@every
def test_names_are_trimmed_and_may_have_255_characters(api, path):
    assert (
        api.post(path, {"model": " " + "x" * 255 + " ", "provider": "p" * 255, "user_id": "\u00e9" * 255}).status_code
        == 200
    )


@every
def test_a_model_is_required(api, path):
    assert faults(api.post(path, {"cost": 1})) == {"model"}
    assert faults(api.post(path, {"model": None})) == {"model"}


@every
@pytest.mark.parametrize("name", ["modle", "max_tokens", "price", "scope", "id", "status"])
def test_an_unknown_field_is_refused_by_name(api, path, name):
    response = api.post(path, {"model": "m", name: 1})
    assert faults(response) == {name}
    assert response.get_json()["error"]["code"] == "unknown_field"


@every
def test_all_faults_are_told_at_once(api, path):
    response = api.post(path, {"model": "", "cost": -1, "tokens": 1.5, "user_id": 7, "nonsense": 1})
    assert faults(response) == {"model", "cost", "tokens", "user_id", "nonsense"}


@every
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '"m"',
        "{",
        '{"model": "m", "model": "n"}',
        '{"model": "m", "cost": NaN}',
        '{"model": "\\ud800"}',
    ],
)
def test_a_body_must_be_one_sound_json_object(api, path, text):
    response = api.post(path, data=text)
    assert response.get_json()["error"]["code"] == "invalid_body"
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("written", "nanos"),
    [
        ("0.000000001", "0.000000001"),
        ("0.0000000001", "0.000000001"),
        ("0.0000000010", "0.000000001"),
        ("0.0000000011", "0.000000002"),
        ("1e-30", "0.000000001"),
        ("1e-900000", "0.000000001"),
        ("0.1234567891", "0.12345679"),
        ("2.999999999001", "3"),
        ("0.1", "0.1"),
        ("3.0", "3"),
        ("1.5e2", "150"),
        ("0e5", "0"),
        ("-0.0", "0"),
        ("999999.9999999991", "1000000"),
    ],
)
def test_a_cost_of_any_number_of_decimals_is_rounded_up_to_the_billionth(api, written, nanos):
    held = send(api, "reservations", f'"cost": {written}')
    assert f'"cost":{{"reserved":{nanos},"used":0}}' in held.text
    settled = api.post(f"reservations/{held.get_json()['reservation']['id']}/settle", data=f'{{"cost": {written}}}')
    assert f'"cost":{{"reserved":{nanos},"used":{nanos}}}' in settled.text


@pytest.mark.parametrize(("ttl", "good"), [(1, True), (86400, True), (0, False), (-5, False), (86401, False)])
@asking
def test_a_time_to_live_is_one_second_to_a_day(api, path, ttl, good):
    response = api.post(path, {"model": "m", "ttl_seconds": ttl})
    assert response.status_code == 200 if good else faults(response) == {"ttl_seconds"}


@pytest.mark.parametrize("ttl", ["60", 1.5, True, [], 10**30])
@asking
def test_a_time_to_live_is_a_whole_number(api, path, ttl):
    assert faults(api.post(path, {"model": "m", "ttl_seconds": ttl})) == {"ttl_seconds"}


def test_the_longest_time_to_live_ends_a_day_later(api):
    held = ok(api.post("reservations", {"model": "m", "ttl_seconds": 86400}))["reservation"]
    assert held["expires_at"] == "2026-11-24T12:00:00Z"


@asking
@pytest.mark.parametrize(
    "parts",
    [{"input_tokens": 1}, {"output_tokens": 1}, {"input_tokens": 0, "output_tokens": 0}],
    ids=str,
)
def test_tokens_are_given_whole_or_in_parts_and_not_both(api, path, parts):
    assert "tokens" in faults(api.post(path, {"model": "m", "tokens": 5} | parts))


@asking
@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ({"input_tokens": 10**12}, None),
        ({"input_tokens": 10**12, "output_tokens": 1}, "input_tokens"),
        ({"input_tokens": 5 * 10**11, "output_tokens": 5 * 10**11}, None),
        ({"input_tokens": 10**12 + 1}, "input_tokens"),
        ({"output_tokens": -1}, "output_tokens"),
        ({"output_tokens": 0.5}, "output_tokens"),
    ],
)
def test_the_parts_are_bounded_each_and_together(api, path, parts, param):
    response = api.post(path, {"model": "m"} | parts)
    assert (response.status_code == 200) if param is None else (faults(response) == {param})


@asking
def test_a_virtual_key_is_given_by_its_id_or_by_its_value_and_not_by_both(api, path):
    assert faults(api.post(path, {"model": "m", "virtual_key": "sk-x", "virtual_key_id": "x"})) == {"virtual_key"}
    assert api.post(path, {"model": "m", "virtual_key": None, "virtual_key_id": None}).status_code == 200


@pytest.mark.parametrize("name", ["ttl_seconds", "virtual_key"])
def test_a_report_has_no_hold(api, name):
    assert faults(api.post("usage", {"model": "m", name: 1 if name != "virtual_key" else "sk-x"})) == {name}


@pytest.mark.parametrize(
    ("text", "good"), [("0", True), ("1000000", True), ("1000001", False), ("-1", False), ("1.5", False)]
)
def test_a_report_is_of_at_most_a_million_requests(api, text, good):
    response = send(api, "usage", f'"requests": {text}')
    assert response.status_code == 200 if good else faults(response) == {"requests"}


@asking
def test_a_reservation_is_always_of_one_request(api, path):
    assert faults(api.post(path, {"model": "m", "requests": 1})) == {"requests"}


@every
def test_a_query_is_refused_by_name(api, path):
    assert faults(api.post(f"{path}?dry_run=1", {"model": "m"})) == {"dry_run"}


@pytest.mark.parametrize(("path", "other"), [("usage", "GET"), ("check", "GET"), ("reservations/x/settle", "GET")])
def test_a_wrong_method_is_told_with_those_that_are_right(api, path, other):
    response = api.request(other, path)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_a_name_is_shown_as_it_was_written_but_for_its_outer_blanks(api):
    body = {"model": "  OpenAI/GPT 4o\u00df ", "provider": " OpenAI ", "user_id": " \u00c9va "}
    held = ok(api.post("reservations", data=json.dumps(body)))["reservation"]
    assert (held["model"], held["provider"], held["user_id"]) == ("OpenAI/GPT 4o\u00df", "OpenAI", "\u00c9va")
