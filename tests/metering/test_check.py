"""`POST /check` (docs/contract.md §6): the decision of a reservation without effect, and why limits did not apply."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from governance.snapshot.persistent_map import PersistentMap
from tests.conftest import ADMIN_KEY
from tests.metering.conftest import dollars, requests, tokens

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def limit(api):
    return api.create(budget=dollars(1), rate_limit=tokens(100) | requests(3))


def test_an_allow_shows_each_rule_as_it_stands_before_the_call(meter, limit):
    meter.reported(cost=0.25, tokens=5)
    meter.hold(cost=0.125, tokens=7)
    answer = meter.checked(cost=0.5, tokens=10)
    assert (answer["decision"], answer["violations"]) == ("allow", [])
    assert answer["unmatched"] == {"count": 0, "limits": []}
    assert answer["limits"][0] == {
        "rule_id": limit["budget"]["id"],
        "model_config_id": limit["id"],
        "kind": "budget",
        "metric": "cost",
        "model_name": "gpt-4o",
        "provider": None,
        "scope": "global",
        "scope_id": None,
        "scope_name": None,
        "used": 0.25,
        "reserved": 0.125,
        "requested": 0.5,
        "limit": 1,
        "remaining": 0.625,
        "resets_at": "2026-11-24T12:00:00Z",
    }
    figures = ("metric", "used", "reserved", "requested", "limit", "remaining")
    assert [tuple(rule[name] for name in figures) for rule in answer["limits"][1:]] == [
        ("requests", 1, 1, 1, 3, 1),
        ("tokens", 5, 7, 10, 100, 88),
    ]


@pytest.mark.parametrize(
    "asked",
    [{}, {"cost": 0.75}, {"cost": 0.76}, {"cost": 2}, {"tokens": 75}, {"tokens": 76}, {"cost": 0.76, "tokens": 101}],
    ids=str,
)
def test_a_check_decides_as_a_reservation_would(api, meter, limit, asked):
    api.create("*", rate_limits=[requests(2, "1h")])
    meter.reported(cost=0.25, tokens=25)
    answer = meter.checked(**asked)
    response = meter.reserve(**asked)
    body = response.get_json()
    assert answer["decision"] == ("allow" if response.status_code == 200 else body["extra_fields"]["decision"])
    assert answer["violations"] == body.get("extra_fields", {}).get("violations", [])
    assert len(answer["limits"]) == 4


def test_a_check_names_the_violations_of_calls_that_are_over_already(api, meter, limit):
    meter.reported(cost=3, tokens=500, requests=9)
    assert meter.checked()["violations"] == meter.denied()["extra_fields"]["violations"]


def test_a_check_has_no_effect_at_all(api, meter, limit, clock):
    before = meter.dump()
    meter.checked(cost=0.5)
    meter.checked(cost=2)
    assert meter.dump() == before
    meter.hold(cost=0.5)
    before = meter.dump()
    meter.checked(cost=0.5)
    meter.checked(cost=0.6)
    api.post("check", {"model": "gpt-4o"}, headers={"Idempotency-Key": "one"})
    assert meter.dump() == before


def test_a_check_counts_what_was_reserved_this_instant(meter, limit):
    meter.hold(cost=1)
    assert meter.checked(cost=0.1)["decision"] == "deny"


def test_a_check_sees_a_window_that_ended_as_empty(meter, limit, clock):
    meter.hold(cost=1)
    clock.advance(24 * 3600)
    answer = meter.checked(cost=1)
    assert (answer["decision"], answer["limits"][0]["resets_at"]) == ("allow", "2026-11-25T12:00:00Z")


@pytest.mark.parametrize(
    ("meanwhile", "named"),
    [
        (lambda api, clock: api.put("virtual-keys/vk", {"is_active": False}), {"virtual_key_id": "vk"}),
        (lambda api, clock: api.put("virtual-keys/vk", {"is_active": False}), {"virtual_key": "sk-the-value"}),
        (lambda api, clock: clock.advance(60), {"virtual_key_id": "vk"}),
        (lambda api, clock: None, {"virtual_key_id": "nobody"}),
        (lambda api, clock: None, {"virtual_key": "sk-nobody"}),
    ],
    ids=["inactive", "inactive by value", "expired", "unknown", "unknown value"],
)
def test_a_virtual_key_that_would_be_refused_is_a_deny_and_still_200(api, meter, clock, meanwhile, named):
    expires = {"expires_at": "2026-11-23T12:01:00Z"}
    api.post("virtual-keys", {"id": "vk", "name": "team", "value": "sk-the-value"} | expires)
    assert meter.checked(virtual_key_id="vk")["decision"] == "allow"
    meanwhile(api, clock)
    answer = meter.checked(**named)
    assert (answer["decision"], answer["violations"]) == ("deny", [])
    assert "virtual key" in answer["message"]


def test_a_call_that_would_be_denied_is_told_what_its_reservation_would_be_told(api, meter):
    api.create(rate_limit=requests(1))
    assert meter.checked()["message"] is None
    meter.hold()
    assert meter.checked()["message"] == meter.denied()["error"]["message"]


def unmatched(answer):
    """Return why each limit that did not apply did not."""
    found = answer["unmatched"]
    assert found["count"] == len(found["limits"])
    return {limit["model_config_id"]: limit["reason"] for limit in found["limits"]}


def test_each_limit_that_is_near_is_explained(api, meter):
    api.post("virtual-keys", {"id": "vk", "name": "team"})
    made = {
        "applies": api.create("gpt-4o", provider="openai"),
        "provider": api.create("gpt-4o", provider="azure"),
        "model": api.create("o3", provider="openai"),
        "no key": api.create("gpt-4o", scope="virtual_key", scope_id="vk"),
        "other user": api.create("gpt-4o", scope="user", scope_id="bob"),
        "far": api.create("o3", provider="azure"),
    }
    reasons = unmatched(meter.checked("GPT-4o", provider="OpenAI", user_id="ann"))
    assert reasons == {
        made["provider"]["id"]: "It is on the provider azure, and the call is to openai.",
        made["model"]["id"]: "It is on the model o3, and the call is to gpt-4o.",
        made["no key"]["id"]: "It is bound to the virtual key vk, and the call names none.",
        made["other user"]["id"]: "It is bound to the user bob, and the call is for another.",
    }


def test_what_is_explained_says_which_limit_it_is(api, meter):
    limit = api.create("GPT-4o", provider="Azure", scope="user", scope_id="bob", budget=dollars(1))
    [shown] = meter.checked()["unmatched"]["limits"]
    assert shown == {
        "model_config_id": limit["id"],
        "model_name": "GPT-4o",
        "provider": "Azure",
        "scope": "user",
        "scope_id": "bob",
        "reason": shown["reason"],
    }


def test_a_call_without_a_provider_is_told_so(api, meter):
    limit = api.create("gpt-4o", provider="azure")
    assert unmatched(meter.checked()) == {limit["id"]: "It is on the provider azure, and the call is to none by name."}


def test_a_limit_on_the_model_under_its_longer_name_is_near_too(api, meter):
    limit = api.create("openai/gpt-4o", scope="user", scope_id="bob")
    assert list(unmatched(meter.checked("gpt-4o", provider="openai"))) == [limit["id"]]


def test_a_limit_without_rules_that_applies_is_not_unmatched(api, meter):
    api.create("gpt-4o")
    assert meter.checked()["unmatched"] == {"count": 0, "limits": []}


def test_at_most_twenty_are_explained_and_all_are_counted(api, meter):
    for number in range(23):
        api.create("gpt-4o", scope="user", scope_id=f"user-{number}")
    found = meter.checked()["unmatched"]
    assert (found["count"], len(found["limits"])) == (23, 20)


def test_what_is_explained_is_the_same_in_every_process(api, meter, settings):
    for number in range(30):
        api.create("gpt-4o", scope="user", scope_id=f"user-{number:02}")
    here = [limit["scope_id"] for limit in meter.checked()["unmatched"]["limits"]]
    assert here == [f"user-{number:02}" for number in range(20)]
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", ANOTHER_PROCESS, settings.instance, ADMIN_KEY]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == here


ANOTHER_PROCESS = """
import json, sys
from app import create_app
from governance.settings import Settings
app = create_app(Settings(instance=sys.argv[1], admin_key=sys.argv[2]))
headers = {"Authorization": f"Bearer {sys.argv[2]}"}
answer = app.test_client().post("/api/governance/check", json={"model": "gpt-4o"}, headers=headers).get_json()
print(json.dumps([limit["scope_id"] for limit in answer["unmatched"]["limits"]]))
"""


class Unwalkable(PersistentMap):
    """A mapping that allows look-ups only."""

    def __iter__(self):
        raise AssertionError("walked")

    items = values = keys = __iter__


def test_nothing_is_explained_by_looking_at_all_limits(api, meter, governance, monkeypatch):
    api.create("gpt-4o", budget=dollars(1))
    near = api.create("gpt-4o", provider="azure")
    known = governance.cache.refresh()
    guarded = {name: Unwalkable(getattr(known.snapshot, name).items()) for name in ("entries", "identities")}
    monkeypatch.setattr(governance.cache, "peek", lambda: known._replace(snapshot=known.snapshot._replace(**guarded)))
    assert list(unmatched(meter.checked())) == [near["id"]]


def test_a_check_by_a_worker_whose_memory_is_behind_knows_the_new_rule(api, other):
    limit = api.create(rate_limit=requests(1))
    assert [rule["model_config_id"] for rule in other.checked()["limits"]] == [limit["id"]]
    api.delete(f"model-configs/{limit['id']}")
    assert other.checked()["limits"] == []


def test_a_check_takes_the_body_of_a_reservation(api):
    body = {"model": "m", "input_tokens": 5, "output_tokens": 6, "cost": 1, "ttl_seconds": 5, "user_id": "ann"}
    assert api.post("check", body).status_code == 200
    assert api.post("check", body | {"tokens": 11}).get_json()["error"]["param"] == "tokens"
    assert api.post("check", {}).get_json()["error"]["param"] == "model"
