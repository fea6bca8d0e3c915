"""What is left out of Flask is missed by nobody."""

import pytest

HOSTS = ["127.0.0.1", "limits.internal:8080", "[::1]:8080", "münchen.example", "a" * 300, "", "no host at all"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_request_may_be_sent_to_any_host(api, host):
    assert api.get("model-configs", headers={"Host": host}).status_code == 200


def test_no_answer_sets_a_cookie_and_none_is_read(api):
    answers = [api.get("model-configs"), api.get("nowhere"), api.client.get("/docs")]
    assert not [answer.headers["Set-Cookie"] for answer in answers if "Set-Cookie" in answer.headers]
    assert api.get("model-configs", headers={"Cookie": "session=e30.forged"}).status_code == 200


def test_a_head_says_how_long_the_body_would_be_and_has_none(api):
    whole, head = api.get("model-configs"), api.request("HEAD", "model-configs")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(whole.data))


def test_an_answer_that_is_known_already_has_neither_body_nor_length(api):
    etag = api.get("model-configs").headers["ETag"]
    answer = api.get("model-configs", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (304, b"")
    assert "Content-Length" not in answer.headers
    assert "Content-Type" not in answer.headers


def test_nobody_registers_a_hook_that_would_not_run(app):
    own = {None}
    assert set(app.before_request_funcs) == own
    assert set(app.after_request_funcs) == own
    assert not app.teardown_request_funcs
    assert not app.url_value_preprocessors
    assert {hook.__module__ for hook in app.teardown_appcontext_funcs} == {"flask_sqlalchemy.extension"}


def test_what_a_hook_of_the_app_answers_is_the_answer(app, api):
    app.before_request_funcs[None].append(lambda: app.response_class(b"closed", 503))
    assert api.get("model-configs").data == b"closed"
