"""A client without a valid key costs one look-up of a key and few log lines. Clients are distinguished by address."""

import json
import logging
from time import monotonic

import pytest
from sqlalchemy import event

from app import create_app
from governance.services.operations.refusal_log import ALL, EACH, RefusalLog
from governance.settings import Settings
from governance.web.http.logs import JsonLine

WRONG = "gov-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"


class Lines(logging.Handler):
    """Keeps the lines of the refusal log from now on."""

    def __init__(self):
        super().__init__()
        self.setFormatter(JsonLine())
        self.lines = []

    def emit(self, record):
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def log():
    lines, logger = Lines(), logging.getLogger("governance.requests")
    logger.addHandler(lines)
    yield lines.lines
    logger.removeHandler(lines)


@pytest.fixture
def selects(database):
    """Return the list of the statements that look up a key."""
    seen = []

    def note(*arguments):
        if "api_keys" in arguments[2]:
            seen.append(arguments[2])

    event.listen(database.engine, "before_cursor_execute", note)
    return seen


@pytest.fixture
def behind(tmp_path, api, clock):
    """Return a client of an app that trusts the proxies of two networks."""
    settings = Settings.from_environ(
        {"GOVERNANCE_INSTANCE": str(tmp_path), "GOVERNANCE_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8"}
    )
    return type(api)(create_app(settings, clock=clock).test_client(), None)


def test_a_wrong_key_is_looked_for_once(api, selects):
    for _ in range(5):
        assert api.with_key(WRONG).get("users").status_code == 401
    assert len(selects) == 1


def test_a_new_key_works_at_once_where_wrong_ones_are_tried(api, settings, clock):
    elsewhere = create_app(settings, clock=clock)
    other = type(api)(elsewhere.test_client(), WRONG)
    assert other.get("users").status_code == 401
    secret = api.post("/api/api-keys", {"name": "ci", "scopes": ["read"]}).get_json()["api_key"]["key"]
    assert other.with_key(secret).get("users").status_code == 200
    elsewhere.extensions["governance"].close()


def test_a_line_says_where_a_request_came_from_and_which_key_it_tried(api, log):
    api.with_key(WRONG).get("users", environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
    (line,) = log
    assert (line["peer"], line["key_prefix"]) == ("203.0.113.9", WRONG[: len(WRONG) // 4])
    assert "forwarded_for" not in line


def test_a_line_about_a_proxy_tells_of_its_key_and_never_of_the_clients(api, log):
    client = {"Authorization": "Bearer gov-the-client-sent-an-api-key-of-its-own"}
    proxies = api.with_key(None)
    proxies.post("/gateway/authorize", {}, headers=client | {"X-Governance-Key": WRONG})
    proxies.post("/gateway/authorize", {}, headers=client)
    proxies.get("/gateway/self", headers=client)
    prefixes = [line.get("key_prefix") for line in log]
    assert prefixes == [WRONG[: len(WRONG) // 4], None, None]


@pytest.mark.parametrize("header", ["Bearer hunter2-hunter2-hunter2-hunter2", "Basic aHVudGVyMg==", "hunter2", ""])
def test_a_line_shows_nothing_of_what_may_be_a_password(api, log, header):
    api.with_key(None).get("users", headers={"Authorization": header} if header else {})
    (line,) = log
    assert "key_prefix" not in line
    assert "hunter2" not in json.dumps(line)


@pytest.mark.parametrize(
    ("peer", "told", "found"),
    [
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "10.1.2.3", None),
        ("127.0.0.1", "203.0.113.9, nonsense", None),
        ("127.0.0.1", None, None),
        ("203.0.113.50", "198.51.100.1", None),
    ],
)
def test_whom_a_proxy_forwards_for_counts_only_from_a_trusted_one(behind, log, peer, told, found):
    headers = {} if told is None else {"X-Forwarded-For": told}
    behind.get("users", headers=headers, environ_overrides={"REMOTE_ADDR": peer})
    (line,) = log
    assert (line["peer"], line.get("forwarded_for")) == (peer, found)


@pytest.mark.parametrize("value", ["localhost", "10.0.0.1/8", "10.0.0.0/8,,", "300.0.0.1"])
def test_a_trusted_proxy_is_an_address_or_a_network(value):
    with pytest.raises(Exception, match=r"Set GOVERNANCE_TRUSTED_PROXIES to addresses and networks such as"):
        Settings.from_environ({"GOVERNANCE_TRUSTED_PROXIES": value})


def test_what_a_stranger_repeats_is_summed_up_once_a_poll(api, governance, log):
    for _ in range(EACH + 7):
        api.with_key(WRONG).get("users")
    assert [line["message"] for line in log] == ["refused"] * EACH
    governance.refusals.flush()
    assert (log[-1]["message"], log[-1]["count"], log[-1]["peer"]) == ("refused more", 7, "127.0.0.1")
    assert log[-1]["code"] == "invalid_api_key"
    del log[:]
    governance.refusals.flush()
    assert log == []
    api.with_key(WRONG).get("users")
    assert [line["message"] for line in log] == ["refused"]


def test_strangers_together_get_a_bounded_number_of_lines(log):
    refusals = RefusalLog()
    for number in range(3 * ALL):
        refusals.write_stranger(
            {"status": 401, "code": "invalid_api_key", "peer": f"203.0.{number // 256}.{number % 256}"}
        )
    assert len(log) == ALL
    refusals.flush()
    assert sum(line["count"] for line in log[ALL:]) == 2 * ALL
    assert log[-1]["addresses"] > 1


@pytest.mark.parametrize(("path", "most"), [("/readyz", 10), ("/metrics", 5)])
def test_who_asks_often_how_things_are_has_the_database_asked_a_few_times_a_second(api, database, path, most):
    begun = []
    event.listen(database.engine, "begin", begun.append)
    began = monotonic()
    assert api.with_key(None).get(path).status_code == 200
    each = len(begun)
    assert {api.with_key(None).get(path).status_code for _ in range(200)} == {200}
    assert each <= len(begun) <= each * most * (1 + monotonic() - began)


def test_who_has_a_key_gets_a_line_for_each_refusal(api, log):
    for _ in range(EACH + 7):
        api.get("users/unknown")
    assert [line["message"] for line in log] == ["refused"] * (EACH + 7)


def test_failures_of_authentication_are_counted(api):
    def counted():
        text = api.with_key(None).get("/metrics").text
        lines = [line for line in text.splitlines() if line.startswith("governance_authentication_failures_total{")]
        return {line.partition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    before = counted()
    api.with_key(WRONG).get("users")
    api.with_key(None).get("users")
    after = counted()
    more = {name.partition('"')[2].partition('"')[0]: after[name] - before.get(name, 0) for name in after}
    assert {code: count for code, count in more.items() if count} == {"invalid_api_key": 1, "api_key_required": 1}


@pytest.mark.parametrize(
    "secret", [WRONG, "sk-gov-KdtoQDEhU9hF3zmnuGpW8Wp08CLaDL3UZNvvZB1aPcg", "sk-bf-0123456789abcdef0123"]
)
@pytest.mark.parametrize("path", ["/api/governance/virtual-keys/{}/x", "/nowhere/{}", "/api/api-keys/{}"])
def test_a_key_in_a_path_is_neither_logged_nor_echoed(api, log, path, secret):
    for caller in (api, api.with_key(None)):
        for method in ("GET", "PATCH"):
            answer = caller.request(method, path.format(secret))
            assert secret not in answer.text
    assert len(log) == 4
    assert not [line for line in log if secret in json.dumps(line)]
    assert all("…" in line["path"] for line in log)


def test_a_gateways_own_key_in_a_path_is_known_by_its_digest(api, log, governance):
    api.post("virtual-keys", {"name": "Team A", "value": "team-a-has-its-own-form"})
    governance.cache.refresh()
    assert "team-a-has" not in api.get("/nowhere/team-a-has-its-own-form/limits").text
    assert log[0]["path"] == "/nowhere/team-…/limits"


def test_a_key_in_a_body_or_a_query_is_not_echoed(api, log, governance):
    secret, own = "sk-bf-0123456789abcdef0123", "team-a-has-its-own-form"
    api.post("virtual-keys", {"name": "Team A", "value": own})
    governance.cache.refresh()
    for text in (secret, own):
        asked = [
            api.post("model-configs", {"model_name": "m", "scope": "virtual_key", "scope_id": text}),
            api.post("reservations", {"model": "m", "virtual_key_id": text}),
        ]
        assert [answer.status_code for answer in asked] == [400, 403]
        assert not [answer.text for answer in asked if text in answer.text]
    for answer in (
        api.post("model-configs", {"model_name": "m", secret: 1, "other": 2}),
        api.post("reservations", {"model": "m"}, headers={"X-Request-Id": secret}),
        api.get(f"model-configs?{secret}=1"),
        api.get(f"model-configs?scope={secret}"),
    ):
        assert secret not in answer.text + str(answer.headers)
    assert secret not in json.dumps(log)


def test_a_key_that_is_given_as_a_user_is_not_logged_with_a_denial(api, log):
    secret = "sk-bf-0123456789abcdef0123"
    api.create("gpt-4o", budget={"max_limit": 1, "reset_duration": "1d"})
    assert api.post("reservations", {"model": "gpt-4o", "cost": 2, "user_id": secret}).status_code == 402
    assert log[0]["user_id"] == "sk-bf-…"


def test_a_path_without_a_key_is_logged_as_it_is(api, log):
    api.get("/api/governance/virtual-keys/vk-red")
    assert log[0]["path"] == "/api/governance/virtual-keys/vk-red"
