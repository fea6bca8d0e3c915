"""`/gateway/authorize`: the calls that a proxy may forward, and the responses for its client."""

import gzip
import json
import zlib

import pytest

from tests.metering.conftest import dollars, ok, requests, tokens

CALL = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}
SIZE = len(json.dumps(CALL).encode())
OWN = {"scope": "virtual_key", "scope_id": "vk"}


def test_an_allowed_call_is_held_on_every_limit_and_told_in_headers(api, proxy, meter):
    own = api.create("gpt-4o", **OWN, budget=dollars(1), rate_limit=tokens(1000))
    shared = api.create("*", budget=dollars(50))
    told = proxy.allowed(CALL)
    cost = (SIZE * 2 + 100 * 10) / 10**6
    held = meter.read(told["X-Reservation-Id"])
    assert (held["status"], held["virtual_key_id"], held["provider"]) == ("open", "vk", "openai")
    assert (held["tokens"]["reserved"], held["cost"]["reserved"]) == (SIZE + 100, cost)
    assert (float(told["X-Governance-Cost"]), told["X-Governance-Estimate"]) == (cost, "bound")
    assert meter.stands(own) == {"cost": (0, cost), "tokens": (0, SIZE + 100)}
    assert meter.stands(shared) == {"cost": (0, cost)}
    left = 1000 - SIZE - 100
    assert told["RateLimit-Policy"] == '"tokens";q=1000;qu="tokens";w=3600'
    assert told["RateLimit"] == f'"tokens";r={left};t=3600'


def test_a_budget_is_told_in_microdollars_and_limits_of_others_are_not_told(api, proxy):
    api.create("gpt-4o", budget=dollars(9))
    assert "RateLimit" not in proxy.allowed(CALL)
    api.create("gpt-4o", **OWN, budget=dollars(1))
    told = proxy.allowed(CALL)
    assert told["RateLimit-Policy"] == '"cost";q=1000000;qu="microdollars";w=86400'
    assert told["RateLimit"] == f'"cost";r={1000000 - SIZE * 2 - 1000};t=86400'


def test_a_call_without_a_maximum_holds_the_usual_output(proxy, meter):
    told = proxy.allowed({"model": "gpt-4o", "messages": []})
    assert told["X-Governance-Estimate"] == "assumed"
    assert meter.read(told["X-Reservation-Id"])["tokens"]["reserved"] > 4096


@pytest.mark.parametrize("options", [{"hold_output_tokens": 7, "hold_input_tokens": 1000}])
def test_the_sizes_of_holds_are_settings(proxy, meter):
    body = {"model": "gpt-4o", "previous_response_id": "r"}
    told = proxy.allowed(body, "v1/responses")
    assert meter.read(told["X-Reservation-Id"])["tokens"]["reserved"] == len(json.dumps(body)) + 1007


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "X-Bf-Vk"])
def test_the_virtual_key_is_read_where_each_client_sends_keys(proxy, meter, header):
    value = f"Bearer {proxy.virtual_key}" if header == "Authorization" else proxy.virtual_key
    told = proxy.allowed(CALL, **{"Authorization": "", header: value})
    assert meter.read(told["X-Reservation-Id"])["virtual_key_id"] == "vk"


def test_the_same_key_twice_is_one_and_two_different_ones_are_401(proxy):
    proxy.allowed(CALL, X_Api_Key=proxy.virtual_key)
    assert proxy.refused(CALL, X_Api_Key="another") == (401, "invalid_virtual_key")
    assert proxy.refused(CALL, Authorization="") == (401, "virtual_key_required")
    assert proxy.refused(CALL, Authorization="Bearer sk-unknown") == (401, "invalid_virtual_key")
    assert proxy.refused(CALL, Authorization="Bearer vk") == (401, "invalid_virtual_key")


def test_an_api_key_given_as_a_virtual_key_is_called_one(proxy):
    answer = proxy.authorize(CALL, Authorization=f"Bearer {proxy.key}")
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"]) == (401, "invalid_virtual_key")
    assert error["message"].startswith("Send a virtual key: this is an API key")


def test_an_allowed_call_has_no_body_and_no_content_type(proxy):
    assert "Content-Type" not in proxy.allowed(CALL)


def test_an_inactive_or_expired_key_is_403(api, proxy, clock):
    api.put("virtual-keys/vk", {"is_active": False})
    assert proxy.refused(CALL) == (403, "virtual_key_inactive")
    api.put("virtual-keys/vk", {"is_active": True, "expires_at": "2026-11-24T00:00:00Z"})
    clock.advance(24 * 3600)
    assert proxy.refused(CALL) == (403, "virtual_key_expired")


@pytest.mark.parametrize("options", [{"gateway_anonymous": "allow"}])
def test_anonymous_calls_are_allowed_where_the_settings_say_so(api, proxy, meter):
    api.create("gpt-4o", rate_limit=requests(1))
    told = proxy.allowed(CALL, Authorization="")
    assert meter.read(told["X-Reservation-Id"])["virtual_key_id"] is None
    assert proxy.refused(CALL, Authorization="") == (429, "request_limited")


def test_the_proxy_needs_a_key_with_the_scope_meter(api, proxy):
    reader = api.post("/api/api-keys", {"name": "r", "scopes": ["read"]}).get_json()["api_key"]["key"]
    assert proxy.refused(CALL, X_Governance_Key="") == (401, "api_key_required")
    assert proxy.refused(CALL, X_Governance_Key="gov-wrong") == (401, "invalid_api_key")
    assert proxy.refused(CALL, X_Governance_Key=reader) == (403, "insufficient_scope")
    assert proxy.refused(CALL, X_Governance_Key="", Authorization=f"Bearer {proxy.key}") == (401, "api_key_required")


@pytest.mark.parametrize("key", ["", "gov-wrong", "sk-gov-a-virtual-key"])
def test_a_wrong_or_missing_key_of_the_proxy_says_where_it_belongs(proxy, key):
    message = proxy.authorize(CALL, X_Governance_Key=key).get_json()["error"]["message"]
    assert message.startswith(
        "Send the proxy's API key (scope meter) as X-Governance-Key; Authorization is for the client's virtual key."
    )
    assert ("unknown, revoked or expired" in message) == bool(key)


@pytest.mark.parametrize("path", ["authorize", "authorize/v1/chat/completions", "settled", "other", ""])
def test_every_path_of_proxies_asks_for_their_key_first(api, proxy, path):
    answer = api.with_key(None).request("POST", f"/gateway/{path}", headers={"Authorization": f"Bearer {api.key}"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "api_key_required")
    assert "X-Governance-Key" in answer.get_json()["error"]["message"]


def test_a_refusal_has_our_shape_and_figures_only_of_the_callers_own_limits(api, proxy):
    own = api.create("gpt-4o", **OWN, budget=dollars(0.0001))
    api.create("*", budget=dollars(0.0002))
    answer = proxy.authorize(CALL)
    found = answer.get_json()
    assert (answer.status_code, found["type"], found["error"]["code"]) == (402, "budget_exceeded", "budget_exceeded")
    assert [each["model_config_id"] for each in found["extra_fields"]["violations"]] == [own["id"]]
    assert "$0.0001" in found["error"]["message"]
    assert "0.0002" not in answer.text
    assert (answer.headers["x-should-retry"], "Retry-After" in answer.headers) == ("false", False)


def test_a_refusal_by_a_shared_limit_tells_no_figures(api, proxy):
    api.create("*", rate_limit=requests(1))
    proxy.allowed(CALL)
    answer = proxy.authorize(CALL)
    assert answer.get_json()["error"]["message"] == (
        "Wait until 2026-11-23T12:01:00Z: a shared limit has no room for this call."
    )
    assert answer.get_json()["extra_fields"] == {"decision": "deny", "retryable": True, "violations": []}
    assert (answer.status_code, answer.headers["Retry-After"], "x-should-retry" in answer.headers) == (429, "60", False)
    api.create("gpt-4o", budget=dollars(0.0001))
    assert proxy.authorize(CALL | {"model": "gpt-4o"}).get_json()["error"]["message"].startswith("Ask for less")


def test_clients_are_told_not_to_retry_where_the_wait_is_longer_than_theirs(api, proxy):
    api.create("*", rate_limit=requests(1, "1h"))
    proxy.allowed(CALL)
    answer = proxy.authorize(CALL)
    assert (answer.headers["Retry-After"], answer.headers["x-should-retry"]) == ("3600", "false")


def test_full_detail_shows_the_proxy_everything(api, proxy):
    shared = api.create("*", budget=dollars(0.0002))
    answer = proxy.authorize(CALL, "?trust=uri&detail=full")
    assert [each["model_config_id"] for each in answer.get_json()["extra_fields"]["violations"]] == [shared["id"]]
    assert "$0.0002" in answer.get_json()["error"]["message"]


def test_deny_403_puts_everything_in_headers_for_nginx(api, proxy):
    api.create("*", rate_limit=requests(1))
    proxy.allowed(CALL)
    answer = proxy.authorize(CALL, "?trust=uri&deny=403")
    told = answer.headers
    assert (answer.status_code, told["X-Governance-Status"], told["Retry-After"]) == (403, "429", "60")
    assert told["X-Governance-Code"] == "request_limited"
    assert json.loads(told["X-Governance-Error"]) == answer.get_json()
    unknown = proxy.authorize(CALL, "?trust=uri&deny=403", Authorization="Bearer nope")
    assert (unknown.status_code, unknown.headers["X-Governance-Status"]) == (403, "401")
    broken = proxy.authorize(b"{", "?trust=uri&deny=403")
    assert (broken.status_code, broken.headers["X-Governance-Status"]) == (403, "400")


def test_the_headers_of_a_403_fit_into_those_that_nginx_takes(api, proxy):
    api.create("*", **OWN, budgets=[dollars(0.0001, f"{days}d") for days in range(1, 20)])
    answer = proxy.authorize(CALL, "?trust=uri&deny=403&detail=full")
    told = json.loads(answer.headers["X-Governance-Error"])
    assert sum(len(name) + len(value) + 4 for name, value in answer.headers) < 3000
    assert (told["error"], told["extra_fields"]) == (answer.get_json()["error"], {})
    assert len(answer.get_json()["extra_fields"]["violations"]) == 19


def test_settle_never_charges_the_estimate_at_once(api, proxy, meter):
    limit = api.create("gpt-4o", rate_limit=tokens(1000))
    told = proxy.allowed(CALL, "?trust=uri&settle=never")
    assert meter.read(told["X-Reservation-Id"])["status"] == "settled"
    assert meter.stands(limit)["tokens"] == (SIZE + 100, 0)
    for _ in range(4):
        proxy.allowed(CALL, "?trust=uri&settle=never")
    assert proxy.refused(CALL, "?trust=uri&settle=never") == (429, "token_limited")
    after = proxy.settled(told["X-Reservation-Id"], {"usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    assert (after["status"], after["tokens"]["used"], after["overrun"]) == (
        "settled",
        SIZE + 100,
        {"tokens": 0, "cost": 0},
    )
    assert meter.stands(limit)["tokens"] == (5 * (SIZE + 100), 0)
    total = ok(api.get("usage/history"))["sum"]
    assert (total["requests"], total["input_tokens"], total["output_tokens"]) == (5, 5 * SIZE, 500)
    assert meter.proven() == 1


FORGED = {
    "X_Governance_Model": "free-model",
    "X_Governance_Provider": "nobody",
    "X_Governance_User": "eve",
    "X_Governance_Input_Tokens": "1",
    "X_Governance_Output_Tokens": "1",
    "X_Forwarded_Uri": "/v1/embeddings",
    "X_Reservation_Id": "forged",
    "X_Governance_Cost": "0",
    "X_Governance_Estimate": "bound",
    "Idempotency_Key": "the same each time",
}


@pytest.mark.parametrize("header", FORGED)
@pytest.mark.parametrize("path", ["v1/chat/completions", ""])
def test_headers_that_the_url_does_not_name_are_without_effect(proxy, meter, header, path):
    call = CALL if path else CALL | {"model": "openai/gpt-4o"}
    plain, forged = (
        meter.read(proxy.allowed(call, path, **sent)["X-Reservation-Id"]) for sent in ({}, {header: FORGED[header]})
    )
    different = {"id", "created_at", "expires_at"}
    assert {name: value for name, value in plain.items() if name not in different} == {
        name: value for name, value in forged.items() if name not in different
    }


def test_a_client_cannot_give_options_behind_a_path(proxy, meter):
    told = proxy.allowed(CALL, "v1/chat/completions?settle=never&trust=model,user&x=1&x=2", X_Governance_Model="free")
    held = meter.read(told["X-Reservation-Id"])
    assert (held["status"], held["model"]) == ("open", "gpt-4o")


def test_named_headers_count(proxy, meter):
    trust = "?trust=model,provider,user,input_tokens,output_tokens,uri"
    sent = {
        "X_Governance_Model": "claude-4",
        "X_Governance_Provider": "anthropic",
        "X_Governance_User": "ann",
        "X_Governance_Input_Tokens": "30",
        "X_Governance_Output_Tokens": "4",
    }
    held = meter.read(proxy.allowed(None, trust, **sent)["X-Reservation-Id"])
    assert (held["model"], held["provider"], held["user_id"]) == ("claude-4", "anthropic", "ann")
    assert held["tokens"]["reserved"] == 34
    told = proxy.allowed(
        {"messages": [], "max_tokens": 3}, trust, X_Governance_Model="claude-4", X_Forwarded_Uri="/v1/messages?beta=1"
    )
    held = meter.read(told["X-Reservation-Id"])
    assert (held["model"], held["provider"]) == ("claude-4", "anthropic")
    assert proxy.refused(CALL, "?trust=input_tokens", X_Governance_Input_Tokens="many") == (400, "invalid_body")
    assert proxy.refused(CALL, "?trust=everything") == (400, "invalid_parameter")
    assert proxy.refused(CALL, "?deny=404") == (400, "invalid_parameter")


def test_a_model_alone_holds_an_assumed_size(proxy, meter):
    told = proxy.allowed(None, "?trust=model,uri", X_Governance_Model="gpt-4o")
    assert told["X-Governance-Estimate"] == "assumed"
    assert meter.read(told["X-Reservation-Id"])["tokens"]["reserved"] == 8192


@pytest.mark.parametrize("path", ["", "?trust=model,user", "?settle=never"])
@pytest.mark.parametrize("model", ["gpt-4o", "/gpt-4o", "gpt-4o/"])
@pytest.mark.parametrize("options", [{}, {"gateway_unknown": "allow"}])
def test_a_call_whose_provider_is_not_known_is_refused(api, proxy, path, model):
    api.create("*", provider="openai", rate_limit=requests(9))
    answer = proxy.authorize(CALL | {"model": model}, path, X_Governance_Model=model)
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"]) == (403, "call_unknown")
    assert error["message"].startswith("Send the path of the call behind /gateway/authorize, or as X-Forwarded-Uri")
    assert ok(api.get("reservations"))["total_count"] == 0


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("?trust=uri", "gpt-4o"),
        ("?trust=provider", "gpt-4o"),
        ("", "openai/gpt-4o"),
        ("v1/chat/completions", "openai/gpt-4o"),
        ("v1/chat/completions", "gpt-4o/"),
    ],
)
def test_a_limit_on_a_provider_holds_however_the_provider_is_named(api, proxy, path, model):
    api.create("*", provider="openai", rate_limit=requests(1))
    proxy.allowed(CALL | {"model": model}, path, X_Governance_Provider="openai")
    assert proxy.refused(CALL | {"model": model}, path, X_Governance_Provider="openai") == (429, "request_limited")


@pytest.mark.parametrize("path", ["v1/models", "v1/audio/transcriptions", "anything", "/"])
def test_other_paths_are_refused(proxy, path):
    assert proxy.refused(CALL, path) == (403, "call_unknown")
    assert proxy.refused(None, "?trust=uri", X_Forwarded_Uri=f"/{path}") == (403, "call_unknown")


@pytest.mark.parametrize("options", [{"gateway_unknown": "allow"}])
def test_other_paths_pass_unmetered_where_the_settings_say_so(proxy):
    told = proxy.allowed(None, "v1/models")
    assert not {"X-Reservation-Id", "X-Governance-Cost"} & told.keys()
    assert proxy.refused(b"", "v1/chat/completions") == (400, "invalid_body")
    assert proxy.refused(None, "v1/models", Authorization="") == (401, "virtual_key_required")


@pytest.mark.parametrize("options", [{"gateway_unknown": "allow"}])
def test_unmetered_calls_need_a_usable_key_too(api, proxy):
    assert proxy.refused(None, "v1/models", Authorization="Bearer nope") == (401, "invalid_virtual_key")
    api.put("virtual-keys/vk", {"is_active": False})
    assert proxy.refused(None, "v1/models") == (403, "virtual_key_inactive")


@pytest.mark.parametrize("options", [{"gateway_unknown": "allow", "gateway_anonymous": "allow"}])
def test_anonymous_unmetered_calls_pass_only_without_a_key(proxy):
    proxy.allowed(None, "v1/models", Authorization="")
    assert proxy.refused(None, "v1/models", Authorization="Bearer nope") == (401, "invalid_virtual_key")


@pytest.mark.parametrize("uri", ["//[abc/chat/completions", "//chat/completions?a=?", "/v1/x/../chat/./completions/"])
def test_hostile_paths_are_read_like_an_upstream_would(proxy, meter, uri):
    held = meter.read(proxy.allowed(CALL, "?trust=uri", X_Forwarded_Uri=uri)["X-Reservation-Id"])
    assert held["provider"] == "openai"
    held = meter.read(proxy.allowed(CALL, uri.partition("?")[0])["X-Reservation-Id"])
    assert held["provider"] == "openai"


def test_names_in_trusted_headers_are_utf8_and_bounded(proxy, meter):
    trust = "?trust=user,provider,model,uri"
    told = proxy.allowed(CALL, trust, X_Governance_User="Zo\u00eb".encode().decode("latin-1"))
    assert meter.read(told["X-Reservation-Id"])["user_id"] == "Zo\u00eb"
    for header in ("User", "Provider", "Model"):
        for value in ("u" * 256, "\xff", "a\xc2\x9bb"):
            answer = proxy.authorize(CALL, trust, **{f"X_Governance_{header}": value})
            assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, f"X-Governance-{header}")


def test_bodies_may_be_compressed(proxy, meter):
    data = json.dumps(CALL).encode()
    for name, packed in (("gzip", gzip.compress(data)), ("deflate", zlib.compress(data)), ("identity", data)):
        told = proxy.allowed(packed, Content_Encoding=name)
        assert meter.read(told["X-Reservation-Id"])["tokens"]["reserved"] == SIZE + 100


@pytest.mark.parametrize("options", [{"gateway_body_mb": 1}])
def test_bodies_that_are_too_large_or_cut_off_are_refused(proxy):
    data = json.dumps(CALL).encode()
    bomb = gzip.compress(b" " * (2 * 1024 * 1024) + data)
    assert proxy.refused(bomb, Content_Encoding="gzip") == (413, "body_too_large")
    assert proxy.refused(b" " * (1024 * 1024 + 1)) == (413, "body_too_large")
    for body, encoding in ((gzip.compress(data)[:-9], "gzip"), (data, "gzip"), (data, "br"), (b"{" + data, "")):
        assert proxy.refused(body, Content_Encoding=encoding) == (400, "invalid_body")
    assert proxy.refused(CALL, X_Envoy_Auth_Partial_Body="true") == (400, "invalid_body")
    assert proxy.refused(CALL, Content_Type="application/json; charset=utf-16") == (400, "invalid_body")
    proxy.allowed(CALL, Content_Type="application/json; charset=UTF-8")
    assert proxy.refused(b'{"model": "a", "model": "b"}') == (400, "invalid_body")
    assert proxy.refused(None) == (400, "invalid_body")


def test_an_unknown_price_is_422_under_a_budget(api, proxy):
    api.create("*", budget=dollars(5))
    answer = proxy.authorize(CALL | {"model": "nobody-knows-it"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (422, "price_unknown")
    assert "prices set" in answer.get_json()["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"


def test_limits_on_a_provider_hold_by_the_form_of_the_call(api, proxy):
    api.create("gpt-4o", provider="openai", rate_limit=requests(1))
    proxy.allowed(CALL)
    assert proxy.refused(CALL) == (429, "request_limited")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_proxies_ask_with_any_method(api, proxy, method):
    sent = {
        "Authorization": f"Bearer {proxy.virtual_key}",
        "X-Governance-Key": proxy.key,
        "X-Governance-Model": "gpt-4o",
        "X-Governance-Provider": "openai",
    }
    answer = api.with_key(None).request(method, "/gateway/authorize?trust=model,provider", headers=sent)
    assert (answer.status_code, answer.data) == (200, b"")


def test_nothing_of_a_call_or_a_key_is_logged(api, proxy, caplog):
    proxy.refused({"model": "a"} | {"messages": "secret words"}, "v1/none?key=hidden")
    assert "secret words" not in caplog.text
    assert proxy.virtual_key not in caplog.text
    assert "hidden" not in caplog.text


def test_a_cap_of_ten_lets_exactly_ten_calls_pass(api, proxy):
    api.create("gpt-4o", **OWN, rate_limit=requests(10))
    statuses = [proxy.authorize(CALL).status_code for _ in range(15)]
    assert statuses == [200] * 10 + [429] * 5
    assert ok(api.get("reservations"))["total_count"] == 10
