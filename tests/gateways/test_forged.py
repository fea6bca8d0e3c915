"""What a client sends under the proxy's own names has no effect, and no upstream sees a key that is not its own."""

import pytest

from tests.gateways.proxies import KEYS
from tests.gateways.table import MODELS

FORGED = {
    "X-Governance-Key": "gov-forged",
    "X-Governance-Model": "forged-model",
    "X-Governance-Provider": "forged-provider",
    "X-Governance-User": "forged-user",
    "X_Governance_User": "forged-user",
    "X-Governance-Input-Tokens": "1",
    "X-Governance-Output-Tokens": "1",
    "X-Forwarded-Uri": "/forged/path",
}
OPTIONS = ["settle=never", "deny=403", "detail=full", "trust=user,model", "api-version=2024-10-21"]
CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "x-bf-vk")


def test_forged_headers_change_nothing(gateway, limits, provider):
    plain, forged = limits.key(), limits.key()
    gateway.client(provider, plain).ask("Hello")
    gateway.client(provider, forged).ask("Hello", headers=FORGED)
    one, other = limits.ended(plain), limits.ended(forged)
    assert (other["model"], other["provider"], other["user_id"]) == (MODELS[provider], provider, None)
    assert (other["tokens"], other["cost"]) == (one["tokens"], one["cost"])


def test_forged_headers_do_not_reach_the_upstream(gateway, limits, provider):
    gateway.client(provider, limits.key()).ask("Hello", headers={**FORGED, "X-Reservation-Id": "forged"})
    (seen,) = gateway.models.requests
    assert not [name for name in seen.headers if name.startswith("x-governance-") or name == "x-reservation-id"]


def test_forged_reservation_is_left_alone(gateway, limits, provider):
    other = limits.ask("POST", "governance/reservations", {"model": "gpt-4o", "tokens": 77})["reservation"]["id"]
    key = limits.key()
    gateway.client(provider, key).ask("Hello", headers={"X-Reservation-Id": other})
    assert limits.ended(key)["status"] == "settled"
    assert limits.ask("GET", f"governance/reservations/{other}")["reservation"]["status"] == "open"


@pytest.mark.parametrize(
    "option", ["settle=never", "deny=403", "detail=full", "trust=user,model", "api-version=2024-10-21"]
)
def test_client_cannot_give_options_in_its_query(gateway, limits, option):
    key = limits.key(rate_limit={"request_max_limit": 1, "request_reset_duration": "1d"})
    client = gateway.client("openai", key)
    name, _, value = option.partition("=")
    client.library = client.library.with_options(default_query={name: value})
    assert client.ask("Hello", headers=FORGED) == "Hello"
    held = limits.ended(key)
    assert (held["model"], held["user_id"]) == ("gpt-4o-mini", None)
    assert not gateway.row.settles or held["tokens"]["used"] == 18
    with pytest.raises(client.errors.RateLimitError):
        client.ask("Hello")


def test_upstream_sees_its_own_key_and_no_other(gateway, limits, provider):
    key = limits.key()
    gateway.client(provider, key).ask("Hello", headers={"X-Bf-Vk": key.value, "Api-Key": key.value})
    (seen,) = gateway.models.requests
    name, value = {
        "openai": ("authorization", f"Bearer {KEYS['OPENAI_API_KEY']}"),
        "anthropic": ("x-api-key", KEYS["ANTHROPIC_API_KEY"]),
    }[provider]
    assert {each: seen.headers[each] for each in CREDENTIALS if each in seen.headers} == {name: value}
    assert "gov-" not in str(seen.headers)


def test_two_different_credentials_are_refused(gateway, limits, provider):
    client = gateway.client(provider, limits.key())
    with pytest.raises(client.errors.AuthenticationError):
        client.ask("Hello", headers={"X-Bf-Vk": limits.key().value})
    assert gateway.models.requests == []
