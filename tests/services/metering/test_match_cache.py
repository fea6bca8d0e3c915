"""The rules that apply to a call are found once for each config revision, and are not used for a later revision."""

import hashlib

import pytest

from governance.domain.metering.decision import Decision
from governance.domain.metering.request import Call, RequestedAmounts, ReservationRequest
from governance.services.metering import match_cache as module
from governance.services.metering.match_cache import Matcher
from schemas.metering.denials import refusal


@pytest.fixture
def matcher(governance):
    return Matcher(governance.cache, governance.price_list)


def request(model="gpt-4o", tokens=1, virtual_key=None, **call):
    return ReservationRequest(Call(model, **call), RequestedAmounts(0, tokens), virtual_key=virtual_key)


def limited(matched):
    return [(each.limit.model_name, each.rule.max_limit) for each in matched.rules]


def test_the_same_call_is_matched_once_whatever_it_asks_for(api, matcher):
    api.create("gpt-4o", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
    assert matcher.match(request(tokens=1)) is matcher.match(request(tokens=2))
    assert matcher.match(request("other")) is not matcher.match(request())


def test_any_change_of_the_limits_is_seen_and_usage_changes_nothing(api, matcher, governance):
    made = api.create("gpt-4o", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
    first = matcher.match(request())
    assert api.post("usage", {"model": "gpt-4o", "cost": 0.5}).status_code == 200
    governance.cache.refresh()
    assert matcher.match(request()) is first
    api.create("*", budgets=[{"max_limit": 2, "reset_duration": "1d"}])
    assert [model for model, _ in limited(matcher.match(request()))] == ["gpt-4o", "*"]
    api.delete(f"model-configs/{made['id']}")
    assert [model for model, _ in limited(matcher.match(request()))] == ["*"]


def test_a_virtual_key_is_known_by_its_digest_alone_and_its_fate_is_followed(api, matcher):
    made = api.post("virtual-keys", {"name": "team", "value": "sk-the-value-of-the-team"}).get_json()["virtual_key"]
    found = matcher.match(request(virtual_key="sk-the-value-of-the-team"))
    assert (found.call.virtual_key_id, found.unknown) == (made["id"], None)
    digest = hashlib.sha256(b"sk-the-value-of-the-team").hexdigest()
    assert list(matcher._known.matched) == [(Call("gpt-4o"), digest)]
    api.put(f"virtual-keys/{made['id']}", {"is_active": False})
    assert matcher.match(request(virtual_key="sk-the-value-of-the-team")).key.is_active is False
    api.delete(f"virtual-keys/{made['id']}")
    assert matcher.match(request(virtual_key="sk-the-value-of-the-team")).unknown is not None


def test_each_refusal_is_an_error_of_its_own(matcher):
    matched = matcher.match(request(virtual_key="sk-nobody"))
    decision = Decision(matched.call, 0, key_refusal=matched.unknown)
    first, second = refusal(decision), refusal(decision)
    assert first is not second
    assert (first.param, first.code) == ("virtual_key", "virtual_key_unknown")


def test_what_is_remembered_is_bounded(matcher, monkeypatch):
    monkeypatch.setattr(module, "MOST", 10)
    for number in range(50):
        assert matcher.match(request(f"model-{number}")).call.model == f"model-{number}"
        assert len(matcher._known.matched) <= 11
