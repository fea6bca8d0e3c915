"""The effects of one worker, as the other worker shows them. One worker is called while the other is stopped."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.process.service import MODEL_CONFIGS, Answer, Service, until

pytestmark = pytest.mark.process

RESERVATIONS = "/api/governance/reservations"
MANY = 16
SOON = 5.0
"""A time in seconds that is far more than a poll (0.2 s) and a refresh need on a busy machine."""


def new_key(service: Service, *scopes: str) -> tuple[str, str]:
    """Create an API key. Return its id and secret."""
    answer = service.call("POST", "/api/api-keys", {"name": "of a test", "scopes": list(scopes)})
    assert answer.status == 200, answer
    return answer.body["api_key"]["id"], answer.body["api_key"]["key"]


def status(service: Service, key: str) -> int:
    return service.call("GET", MODEL_CONFIGS, key=key).status


def test_a_limit_made_in_one_worker_is_in_its_memory_and_in_the_other_s_database_at_once(strangers):
    one, other = strangers.workers
    with strangers.only(other):
        strangers.names(from_memory=True)
    with strangers.only(one):
        strangers.create("made at once")
        assert "made at once" in strangers.names(from_memory=True)
    with strangers.only(other):
        assert "made at once" in strangers.names()
        assert "made at once" not in strangers.names(from_memory=True)


def test_a_limit_made_in_one_worker_is_in_the_other_s_memory_within_a_poll(pair):
    one, other = pair.workers
    with pair.only(one):
        limit_id = pair.create("made within a poll")
        assert "made within a poll" in pair.names(from_memory=True)
    with pair.only(other):
        until(lambda: "made within a poll" in pair.names(from_memory=True), SOON)
        assert pair.call("DELETE", f"{MODEL_CONFIGS}/{limit_id}").status == 200
        assert "made within a poll" not in pair.names(from_memory=True)
    with pair.only(one):
        assert "made within a poll" not in pair.names()
        until(lambda: "made within a poll" not in pair.names(from_memory=True), SOON)


def test_usage_that_one_worker_wrote_is_in_the_other_s_memory_within_a_poll(pair):
    def used() -> int:
        found = pair.call("GET", f"{MODEL_CONFIGS}?search=counted&from_memory=true").body["model_configs"]
        return found[0]["rate_limit"]["request_current_usage"] if found else 0

    one, other = pair.workers
    with pair.only(one):
        pair.create("counted", rate_limit={"request_max_limit": 9, "request_reset_duration": "1d"})
        assert pair.call("POST", "/api/governance/usage", {"model": "counted", "requests": 3}).status == 200
    with pair.only(other):
        until(lambda: used() == 3, SOON)
        assert pair.call("POST", RESERVATIONS, {"model": "counted"}).status == 200


def test_memory_and_database_say_the_same_in_both_workers(pair):
    pair.create("the same everywhere")
    answers = []
    for worker in pair.workers:
        with pair.only(worker):
            until(lambda: "the same everywhere" in pair.names(from_memory=True), SOON)
            answers += [pair.call("GET", f"{MODEL_CONFIGS}?from_memory={flag}").body for flag in ("true", "false")]
    assert answers == answers[:1] * 4


def test_a_new_api_key_works_in_every_worker_at_once(strangers):
    one, other = strangers.workers
    with strangers.only(other):
        strangers.names(from_memory=True)
    with strangers.only(one):
        _, secret = new_key(strangers, "read")
        assert status(strangers, secret) == 200
    with strangers.only(other):
        assert status(strangers, secret) == 200


def test_a_new_virtual_key_can_have_a_limit_in_every_worker_at_once(strangers):
    one, other = strangers.workers
    with strangers.only(one):
        answer = strangers.call("POST", "/api/governance/virtual-keys", {"name": "of a test"})
        key_id = answer.body["virtual_key"]["id"]
    with strangers.only(other):
        strangers.create("bound", scope="virtual_key", scope_id=key_id)


def test_a_revoked_key_is_refused_at_once_where_it_was_revoked_and_elsewhere_within_a_poll(pair):
    one, other = pair.workers
    key_id, secret = new_key(pair, "read")
    for worker in (one, other):
        with pair.only(worker):
            assert status(pair, secret) == 200
    with pair.only(one):
        assert pair.call("DELETE", f"/api/api-keys/{key_id}").status == 200
        assert status(pair, secret) == 401
    with pair.only(other):
        until(lambda: status(pair, secret) == 401, SOON)


def all_at_once(service: Service, path: str, body: dict) -> list[Answer]:
    """Send the same POST from many threads that start together."""
    barrier = Barrier(MANY)

    def post(_: int) -> Answer:
        barrier.wait()
        return service.call("POST", path, body)

    with ThreadPoolExecutor(MANY) as threads:
        return list(threads.map(post, range(MANY)))


@pytest.mark.parametrize("provider", [None, "openai"])
@pytest.mark.parametrize("attempt", range(3))
def test_of_simultaneous_creates_of_one_identity_one_is_stored_and_the_rest_are_told_its_id(pair, provider, attempt):
    body = {"model_name": f"raced {provider} {attempt}", "provider": provider}
    answers = all_at_once(pair, MODEL_CONFIGS, body)
    assert Counter(answer.status for answer in answers) == {200: 1, 409: MANY - 1}
    (made,) = [answer.body["model_config"]["id"] for answer in answers if answer.status == 200]
    assert all(made in answer.body["error"]["message"] for answer in answers if answer.status == 409)
    listed = pair.call("GET", f"{MODEL_CONFIGS}?search=raced%20{provider}%20{attempt}")
    assert [each["id"] for each in listed.body["model_configs"]] == [made]


def known_everywhere(service: Service, name: str) -> None:
    """Wait until the snapshot of every worker has a limit."""
    for worker in service.workers:
        with service.only(worker):
            until(lambda: name in service.names(from_memory=True), SOON)


def test_of_simultaneous_reservations_in_both_workers_exactly_as_many_pass_as_there_is_room_for(pair):
    pair.create("capped", rate_limit={"request_max_limit": 5, "request_reset_duration": "1d"})
    known_everywhere(pair, "capped")
    answers = all_at_once(pair, RESERVATIONS, {"model": "capped"})
    assert Counter(answer.status for answer in answers) == {200: 5, 429: MANY - 5}


def test_a_reservation_is_decided_by_the_limit_that_the_other_worker_has_just_made(strangers):
    one, other = strangers.workers
    with strangers.only(other):
        strangers.names(from_memory=True)
    with strangers.only(one):
        strangers.create("capped by the other", rate_limit={"request_max_limit": 1, "request_reset_duration": "1d"})
    with strangers.only(other):
        answers = [strangers.call("POST", RESERVATIONS, {"model": "capped by the other"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429], answers[0].body
