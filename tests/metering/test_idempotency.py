"""`Idempotency-Key` (docs/contract.md §6): the effect happens once, and a repeat gets the first response."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, insert

from governance.services.keys.authentication import ADMIN
from governance.storage.tables import answers, idempotency
from tests.conftest import Api
from tests.metering.conftest import DAY, Meter, dollars, ok, requests, stop

ONE = {"Idempotency-Key": "one"}
BOTH = pytest.mark.parametrize("path", ["reservations", "usage"])


@pytest.fixture
def limit(api):
    return api.create(budget=dollars(1), rate_limit=requests(5, "1d"))


def send(api, path, body, key="one"):
    return api.post(path, {"model": "gpt-4o"} | body, headers={"Idempotency-Key": key})


def replayed(response):
    return response.status_code == 200 and response.headers.get("Idempotent-Replayed") == "true"


def code(response):
    body = response.get_json()
    return response.status_code, body["error"]["code"], body["error"]["param"]


@BOTH
def test_a_repeat_gets_the_first_answer_and_has_no_effect(api, meter, limit, clock, path):
    first = send(api, path, {"cost": 0.4})
    assert first.status_code == 200
    assert "Idempotent-Replayed" not in first.headers
    before, stands = meter.dump(), meter.stands(limit)
    clock.advance(60)
    again = send(api, path, {"cost": 0.4})
    assert replayed(again)
    assert (again.data, again.content_type) == (first.data, first.content_type)
    assert meter.dump() == before
    assert meter.stands(limit) == stands


@BOTH
def test_without_a_key_each_call_counts(api, meter, limit, path):
    for _ in range(2):
        assert api.post(path, {"model": "gpt-4o", "cost": 0.25}).status_code == 200
    assert sum(meter.stands(limit)["cost"]) == 0.5
    assert sum(meter.stands(limit)["requests"]) == 2


@BOTH
def test_another_key_is_another_effect(api, meter, limit, path):
    for key in ("one", "two", "One"):
        assert not replayed(send(api, path, {"cost": 0.25}, key))
    assert sum(meter.stands(limit)["cost"]) == 0.75


EQUAL = [
    ('{"model":"gpt-4o","cost":0.1}', '{"model":"gpt-4o","cost":0.10}'),
    ('{"model":"gpt-4o","cost":0.1}', '{"model":"gpt-4o","cost":1e-1}'),
    ('{"model":"gpt-4o","cost":1}', '{"model":"gpt-4o","cost":1.000}'),
    ('{"model":"gpt-4o","cost":0.1,"tokens":5}', ' {"tokens": 5, "cost": 0.1, "model": "gpt-4o"} '),
    ('{"model":"gpt-4o"}', '{"model":" gpt-4o "}'),
    ('{"model":"gpt-4o"}', '{"model":"gpt\\u002d4o","provider":null,"cost":null}'),
    ('{"model":"gpt-4o","cost":0}', '{"model":"gpt-4o","cost":0.0,"tokens":null}'),
]


@BOTH
@pytest.mark.parametrize(("first", "second"), EQUAL)
def test_a_body_that_is_equal_after_validation_is_a_repeat(api, path, first, second):
    answer = api.post(path, data=first, headers=ONE)
    again = api.post(path, data=second, headers=ONE)
    assert replayed(again)
    assert again.data == answer.data


@pytest.mark.parametrize(
    ("path", "more"), [("reservations", {"ttl_seconds": 600}), ("usage", {"requests": 1})], ids=["ttl", "requests"]
)
def test_a_default_that_is_written_out_is_equal_to_one_left_out(api, path, more):
    send(api, path, {})
    assert replayed(send(api, path, more))


def test_a_usage_report_without_amounts_is_equal_to_one_of_zeros(api):
    answer = send(api, "usage", {})
    again = send(api, "usage", {"cost": 0, "tokens": 0})
    assert replayed(again)
    assert again.data == answer.data


@pytest.mark.parametrize(
    ("first", "other"),
    [({}, {"cost": 0}), ({"tokens": 0}, {}), ({"cost": 0}, {"tokens": 0}), ({"input_tokens": 0}, {"cost": 1})],
    ids=str,
)
def test_a_reservation_that_leaves_an_amount_out_is_not_equal_to_one_of_zero(api, first, other):
    send(api, "reservations", first)
    assert code(send(api, "reservations", other)) == (422, "idempotency_key_reused", "Idempotency-Key")
    assert replayed(send(api, "reservations", first))


ODD = {
    "model": "openai/gpt-4o",
    "provider": "it's",
    "user_id": "a\\b",
    "cost": 0.1,
    "input_tokens": 3,
    "ttl_seconds": 60,
}
KEPT_BY_0_1_0 = [
    ("reservations", {}, "4d0e7391f9dcca24d07e68f72f459a12ca20c531094a896fc817faa6badf6cb3"),
    ("reservations", {"cost": 0, "tokens": 0}, "4d0e7391f9dcca24d07e68f72f459a12ca20c531094a896fc817faa6badf6cb3"),
    (
        "reservations",
        ODD | {"virtual_key": 'sk-ü"'},
        "052e92cb5c4e0a3d76ac6a074adae2e34b73bf9dde903f4994a4d6f08d0de5b5",
    ),
    (
        "usage",
        {"virtual_key_id": "vk", "tokens": 7, "requests": 2},
        "4d611e3dc5be878b5dec1d4237b61a08cb8c2921b6b5c2a246fc5047266e71c6",
    ),
]
"""Bodies with the fingerprints that version 0.1.0 computed and stored for them."""


@pytest.mark.parametrize(("path", "body", "fingerprint"), KEPT_BY_0_1_0)
def test_an_answer_kept_before_the_upgrade_is_still_given_to_a_repeat(meter, clock, path, body, fingerprint):
    api = meter.api
    api.post("virtual-keys", {"id": "vk", "name": "team", "value": 'sk-ü"'})
    first = send(api, path, body)
    assert first.status_code == 200, first.text
    row = {"api_key_id": ADMIN.id, "path": f"/api/governance/{path}", "key": "one", "created_at": clock() - 1}
    with meter.governance.database.write() as connection:
        connection.execute(delete(answers))
        connection.execute(insert(idempotency).values(row | {"fingerprint": fingerprint, "answer": first.data}))
    stop(api.client.application)  # like a new version, it looks for old responses when it opens the file
    again = send(api, path, body)
    assert replayed(again)
    assert again.data == first.data
    assert code(send(api, path, body | {"model": "o3"}))[0] == 422


DIFFERENT = [
    {"cost": 0.100000001},
    {"cost": 0.1, "tokens": 1},
    {"cost": 0.1, "provider": "openai"},
    {"cost": 0.1, "user_id": "ann"},
    {"cost": 0.1, "virtual_key_id": "vk"},
    {"cost": 0.1, "model": "o3"},
    {},
]


@BOTH
@pytest.mark.parametrize("other", DIFFERENT, ids=str)
def test_the_same_key_with_another_body_is_refused_and_has_no_effect(api, meter, limit, path, other):
    api.post("virtual-keys", {"id": "vk", "name": "team"})
    send(api, path, {"cost": 0.1})
    before = meter.dump()
    response = send(api, path, other)
    assert code(response) == (422, "idempotency_key_reused", "Idempotency-Key")
    assert response.get_json()["error"]["type"] == "invalid_request"
    assert meter.dump() == before
    assert replayed(send(api, path, {"cost": 0.1}))


def test_another_time_to_live_is_another_body_and_so_is_another_number_of_requests(api):
    send(api, "reservations", {"ttl_seconds": 60})
    assert code(send(api, "reservations", {"ttl_seconds": 61}))[0] == 422
    send(api, "usage", {"requests": 2})
    assert code(send(api, "usage", {"requests": 3}))[0] == 422


def test_the_two_paths_have_keys_of_their_own(api, meter, limit):
    first = send(api, "reservations", {"cost": 0.25})
    assert not replayed(send(api, "usage", {"cost": 0.25}))
    assert send(api, "reservations", {"cost": 0.25}).data == first.data
    assert meter.stands(limit) == {"cost": (0.25, 0.25), "requests": (1, 1)}


@BOTH
def test_each_api_key_has_keys_of_its_own(api, path):
    made = [ok(api.post("/api/api-keys", {"name": name, "scopes": ["meter"]}))["api_key"]["key"] for name in "ab"]
    a, b = (api.with_key(key) for key in made)
    assert not replayed(send(a, path, {"cost": 0.1}))
    assert not replayed(send(b, path, {"cost": 0.2}))
    assert replayed(send(a, path, {"cost": 0.1}))
    assert replayed(send(b, path, {"cost": 0.2}))
    assert not replayed(send(api, path, {"cost": 0.3}))


def test_a_denial_is_decided_anew(api, meter, limit):
    held = meter.hold(cost=1)
    before = meter.dump()
    assert send(api, "reservations", {"cost": 0.5}).status_code == 402
    assert meter.dump() == before
    assert send(api, "reservations", {"cost": 0.5}).status_code == 402
    meter.released(held)
    answer = send(api, "reservations", {"cost": 0.5})
    assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (200, False)
    meter.settled(meter.hold(cost=0.5), cost=9)
    assert replayed(send(api, "reservations", {"cost": 0.5}))


def test_a_denied_key_may_come_again_with_another_body(api, limit):
    assert send(api, "reservations", {"cost": 2}).status_code == 402
    assert send(api, "reservations", {"cost": 1}).status_code == 200


def test_a_refused_virtual_key_and_a_faulty_body_are_no_effect(api, meter, limit):
    assert send(api, "reservations", {"virtual_key_id": "vk"}).status_code == 403
    assert send(api, "reservations", {"cost": -1}).status_code == 400
    assert not any(meter.dump().values())
    api.post("virtual-keys", {"id": "vk", "name": "team"})
    assert not replayed(send(api, "reservations", {"virtual_key_id": "vk"}))


@BOTH
def test_an_answer_is_kept_for_24_hours_by_the_clock_and_then_the_key_is_new(api, meter, clock, path):
    limit = api.create(budget=dollars(9, "1w"))
    first = send(api, path, {"cost": 1})
    clock.advance(DAY - 1)
    meter.poll()
    assert send(api, path, {"cost": 1}).data == first.data
    clock.advance(1)
    assert not replayed(send(api, path, {"cost": 1}))
    assert sum(meter.stands(limit)["cost"]) == 2
    assert replayed(send(api, path, {"cost": 1}))


@BOTH
def test_after_24_hours_another_body_may_take_the_key(api, clock, path):
    send(api, path, {"cost": 1})
    clock.advance(DAY)
    assert send(api, path, {"cost": 2}).status_code == 200
    assert replayed(send(api, path, {"cost": 2}))


@pytest.mark.parametrize("gone", ["limit", "virtual key", "deactivated", "exhausted"])
def test_a_repeat_is_answered_whatever_has_become_of_limit_and_key(api, meter, limit, gone):
    api.post("virtual-keys", {"id": "vk", "name": "team"})
    body = {"cost": 0.5, "virtual_key_id": "vk"}
    first = send(api, "reservations", body)
    if gone == "limit":
        api.delete(f"model-configs/{limit['id']}")
    elif gone == "virtual key":
        api.delete("virtual-keys/vk")
    elif gone == "deactivated":
        api.put("virtual-keys/vk", {"is_active": False})
    else:
        meter.reported(cost=100)
    again = send(api, "reservations", body)
    assert replayed(again)
    assert again.data == first.data


def test_a_repeat_shows_the_reservation_as_it_was_first_told_though_it_was_settled(api, meter, limit):
    first = send(api, "reservations", {"cost": 0.5})
    meter.settled(first.get_json()["reservation"]["id"], cost=0.7)
    assert send(api, "reservations", {"cost": 0.5}).data == first.data
    assert meter.stands(limit)["cost"] == (0.7, 0)


def test_a_repeat_is_answered_by_another_worker_too_though_its_memory_is_behind(api, limit, other):
    first = send(api, "reservations", {"cost": 0.5})
    again = send(other.api, "reservations", {"cost": 0.5})
    assert replayed(again)
    assert again.data == first.data


def test_of_many_that_come_at_the_same_time_one_has_the_effect(api, meter, app, limit):
    clients = [Api(app.test_client()) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda client: send(client, "reservations", {"cost": 0.1}), clients * 3))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert sum(replayed(answer) for answer in answers) == 23
    assert meter.stands(limit) == {"cost": (0, 0.1), "requests": (0, 1)}


@BOTH
@pytest.mark.parametrize(
    "key",
    ["", " ", "two words", "tab\there", "\u00e9", "x" * 256, "\x7f"],
    ids=["empty", "blank", "inner blank", "tab", "not ascii", "256", "control"],
)
def test_a_key_that_is_not_1_to_255_visible_ascii_characters_is_refused(api, meter, limit, path, key):
    assert code(send(api, path, {"cost": 0.1}, key)) == (400, "invalid_parameter", "Idempotency-Key")
    assert not any(meter.dump().values())


@BOTH
@pytest.mark.parametrize("key", ["x", "x" * 255, "".join(map(chr, range(0x21, 0x7F)))], ids=["1", "255", "every"])
def test_any_1_to_255_visible_ascii_characters_are_a_key(api, path, key):
    assert not replayed(send(api, path, {}, key))
    assert replayed(send(api, path, {}, key))


@pytest.mark.parametrize("act", ["settle", "release"])
def test_the_other_acts_are_idempotent_by_themselves_and_do_not_look_at_the_header(meter, api, act):
    held = [meter.hold(cost=0.1), meter.hold(cost=0.1)]
    for each in held:
        assert api.post(f"reservations/{each}/{act}", {}, headers=ONE).status_code == 200


def test_no_secret_is_kept_with_an_answer(api, meter, limit):
    api.post("virtual-keys", {"id": "vk", "name": "team", "value": "sk-very-secret"})
    send(api, "reservations", {"virtual_key": "sk-very-secret"})
    assert "sk-very-secret" not in repr(meter.dump())


def test_a_virtual_key_by_id_and_by_value_are_different_bodies(api, limit):
    api.post("virtual-keys", {"id": "vk", "name": "team", "value": "sk-the-value"})
    send(api, "reservations", {"virtual_key": "sk-the-value"})
    assert code(send(api, "reservations", {"virtual_key_id": "vk"}))[0] == 422


def test_the_reservation_of_a_repeat_can_be_settled_once(api, limit, meter: Meter):
    held = {send(api, "reservations", {"cost": 0.4}).get_json()["reservation"]["id"] for _ in range(3)}
    assert len(held) == 1
    meter.settled(held.pop(), cost=0.3)
    assert meter.stands(limit) == {"cost": (0.3, 0), "requests": (1, 0)}
