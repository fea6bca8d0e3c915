"""Invisible characters (docs/contract.md §1) are refused in names and ids, and escaped in text that users read."""

import logging

import pytest
from sqlalchemy import update

from governance.storage.tables import model_limits, users, virtual_keys
from governance.web.http.logs import JsonLine, TextLine

HIDDEN = {"zero-width": "\u200b", "bidirectional": "\u202e", "isolate": "\u2066", "mark": "\u061c", "tag": "\U000e0041"}
every = pytest.mark.parametrize("character", HIDDEN.values(), ids=HIDDEN)
FIELDS = [
    ("model-configs", {"model_name": "{}"}, "model_name"),
    ("model-configs", {"model_name": "m", "provider": "{}"}, "provider"),
    ("model-configs", {"model_name": "m", "scope": "user", "scope_id": "{}"}, "scope_id"),
    ("virtual-keys", {"name": "{}"}, "name"),
    ("virtual-keys", {"name": "n", "id": "{}"}, "id"),
    ("virtual-keys", {"name": "n", "value": "{}"}, "value"),
    ("users", {"name": "{}"}, "name"),
    ("users", {"name": "n", "id": "{}"}, "id"),
    ("/api/api-keys", {"name": "{}", "scopes": ["read"]}, "name"),
    ("reservations", {"model": "{}"}, "model"),
    ("usage", {"model": "m", "user_id": "{}"}, "user_id"),
    ("check", {"model": "m", "provider": "{}"}, "provider"),
]


@every
@pytest.mark.parametrize(("path", "body", "param"), FIELDS, ids=[f"{path} {param}" for path, _, param in FIELDS])
def test_a_name_or_an_id_with_one_is_refused_and_the_character_is_named(api, path, body, param, character):
    given = {name: value.format(f"gpt{character}4o") if value == "{}" else value for name, value in body.items()}
    answer = api.post(path, given)
    assert answer.status_code == 400, answer.text
    error = answer.get_json()["error"]
    assert error["param"] == param
    assert f"U+{ord(character):04X}" in error["message"]


@every
def test_a_second_limit_that_looks_like_the_first_cannot_be_made(api, character):
    api.create("gpt-4o", budget={"max_limit": 1, "reset_duration": "1d"})
    answer = api.post("model-configs", {"model_name": f"gpt-4o{character}"})
    assert (answer.status_code, api.list()["total_count"]) == (400, 1)


def test_a_description_may_hold_an_emoji_of_several(api):
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    answer = api.post("virtual-keys", {"name": "n", "description": family})
    assert answer.get_json()["virtual_key"]["description"] == family


def test_what_was_stored_before_is_escaped_in_tables(api, app, database):
    api.create("gpt-4o", budget={"max_limit": 1, "reset_duration": "1d"})
    api.post("usage", {"model": "gpt-4o", "cost": 0.9})
    api.post("virtual-keys", {"name": "n", "id": "vk"})
    with database.write() as connection:
        connection.execute(update(model_limits).values(model_name="gpt\u202e4o\x1b[2J"))
        connection.execute(update(virtual_keys).values(name="a\u200bb\x1b[31mred"))
    for command in (["limits", "list"], ["usage"], ["virtual-keys", "list"]):
        result = app.test_cli_runner().invoke(args=["governance", *command], color=True)
        assert result.exit_code == 0, (command, result.stderr, result.exception)
        printed = result.stdout
        assert "\\u202e4o\\u001b[2J" in printed or "a\\u200bb\\u001b[31mred" in printed
        assert not [text for text in ("\u202e", "\u200b", "\x1b[2J", "\x1b[31mred") if text in printed]


def test_what_was_stored_before_is_escaped_in_sentences(api, app, database):
    api.post("users", {"id": "ann", "name": "Ann"})
    with database.write() as connection:
        connection.execute(update(users).values(name="A\u202enn"))
    api.put("users/ann", {"name": "Ann"})
    printed = app.test_cli_runner().invoke(args=["governance", "audit"]).stdout
    assert "A\\u202enn" in printed
    assert "\u202e" not in printed


@pytest.mark.parametrize("formatter", [TextLine(), JsonLine()], ids=["text", "json"])
def test_the_log_escapes_them_in_messages_fields_and_stack_traces(formatter):
    trouble = (RuntimeError, RuntimeError("gpt\u202e4o"), None)
    record = logging.LogRecord("governance", logging.INFO, "", 0, "refused %s", ("m\u2066\x1b[2J",), trouble)
    record.fields = {"model": "a\u200bb"}
    line = formatter.format(record)
    assert {"\\u2066", "\\u001b[2J", "\\u200b", "\\u202e"} <= {word for word in ESCAPED if word in line}
    assert not {"\u2066", "\x1b", "\u200b", "\u202e"} & set(line)


ESCAPED = ("\\u2066", "\\u001b[2J", "\\u200b", "\\u202e")
