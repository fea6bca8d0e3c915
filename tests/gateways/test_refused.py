"""A refused call never reaches the model, and the real clients raise their own errors with the service's sentence."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

ONE_REQUEST = {"rate_limit": {"request_max_limit": 1, "request_reset_duration": "1d"}}
NO_MONEY = {"budget": {"max_limit": 0.000000001, "reset_duration": "1d"}}
FEW_TOKENS = {"rate_limit": {"token_max_limit": 10, "token_reset_duration": "1d"}}
TEN_REQUESTS = {"rate_limit": {"request_max_limit": 10, "request_reset_duration": "1d"}}


def refusal(client, status):
    """The error that a client raises, which has the status and the parts of the service's own error body."""
    with pytest.raises(client.errors.APIStatusError) as told:
        client.ask("Hello")
    error = told.value
    body = error.response.json()
    assert error.status_code == status, body
    assert body["is_bifrost_error"] is False
    assert body["error"]["message"] in str(error)
    return error, body["error"]


def test_rate_limit_is_the_clients_rate_limit_error(gateway, limits, provider):
    client = gateway.client(provider, limits.key(**ONE_REQUEST))
    assert client.ask("Hello") == "Hello"
    error, body = refusal(client, 429)
    assert isinstance(error, client.errors.RateLimitError)
    assert body["code"] == "request_limited"
    assert "1 request" in body["message"]
    assert int(error.response.headers["Retry-After"]) > 0
    assert len(gateway.models.requests) == 1


def test_budget_is_the_clients_status_error(gateway, limits, provider):
    client = gateway.client(provider, limits.key(**NO_MONEY), max_retries=2)
    _, body = refusal(client, 402)
    assert body["code"] == "budget_exceeded"
    assert "$" in body["message"]
    assert (len(client.sent), gateway.models.requests) == (1, [])


def test_inactive_key_is_the_clients_permission_error(gateway, limits, provider):
    key = limits.key()
    limits.ask("PUT", f"governance/virtual-keys/{key.id}", {"is_active": False})
    client = gateway.client(provider, key, max_retries=2)
    error, _ = refusal(client, 403)
    assert isinstance(error, client.errors.PermissionDeniedError)
    assert (len(client.sent), gateway.models.requests) == (1, [])


@pytest.mark.parametrize("value", ["sk-gov-nobody-knows-this-key", "anything"])
def test_unknown_key_is_the_clients_authentication_error(gateway, provider, value):
    client = gateway.client(provider, value, max_retries=2)
    error, _ = refusal(client, 401)
    assert isinstance(error, client.errors.AuthenticationError)
    assert (len(client.sent), gateway.models.requests) == (1, [])


def test_refusal_that_no_waiting_mends_is_not_retried(gateway, limits, provider):
    client = gateway.client(provider, limits.key(**FEW_TOKENS), max_retries=2)
    error, body = refusal(client, 429)
    assert isinstance(error, client.errors.RateLimitError)
    assert body["code"] == "token_limited"
    assert error.response.headers["x-should-retry"] == "false"
    assert (len(client.sent), gateway.models.requests) == (1, [])


def test_of_fifty_calls_at_once_ten_pass(gateway, limits, provider):
    key = limits.key(**TEN_REQUESTS)
    client = gateway.client(provider, key)

    def outcome(_):
        try:
            return client.ask("Hello")
        except client.errors.RateLimitError:
            return "refused"

    with ThreadPoolExecutor(50) as pool:
        assert Counter(pool.map(outcome, range(50))) == {"Hello": 10, "refused": 40}
    assert (len(gateway.models.requests), len(limits.reservations(key))) == (10, 10)
