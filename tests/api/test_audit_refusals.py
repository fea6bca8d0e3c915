"""Writes that leave no entry in the audit log: an edit that changes nothing, and a write that is refused or fails."""

import pytest

from governance.domain.errors import NotReady
from governance.startup import prepare
from governance.storage.sqlite.files import migrations
from tests.api.trail import DAY, KEYS, entries, key, ok, text, virtual_key
from tests.conftest import governance_of


def test_a_first_admin_key_that_cannot_be_handed_over_leaves_no_entry(unset):
    app, folder = unset
    migrations.upgrade(folder / "governance.db", 1.0)
    (folder / "admin.key").mkdir()
    with pytest.raises(NotReady):
        prepare(app)
    assert text(governance_of(app).database) == "[]"


@pytest.mark.parametrize(
    "edit",
    [
        lambda limit: {},
        lambda limit: limit,
        lambda limit: {"budget": DAY, "model_name": "GPT-4o ", "reset_usage": False},
        lambda limit: {"timezone": "UTC", "calendar_aligned": False},
    ],
    ids=["nothing", "what was read", "the same again", "the same settings"],
)
def test_an_edit_that_changes_nothing_records_nothing(api, edit):
    limit = api.create(budget=DAY)
    virtual_key(api, id="vk")
    ok(api.post("users", {"id": "u", "name": "Ada"}))
    before = entries(api)
    ok(api.put(f"model-configs/{limit['id']}", edit(limit)))
    ok(api.put("virtual-keys/vk", {"name": "team"}))
    ok(api.put("users/u", {"name": "Ada"}))
    assert entries(api) == before


REFUSED = [
    ("POST", "model-configs", {"model_name": "x", "budget": {"max_limit": 0}}, 400),
    ("POST", "model-configs", {"model_name": "x", "scope": "virtual_key", "scope_id": "none"}, 400),
    ("POST", "model-configs", {"model_name": "GPT-4O"}, 409),
    ("PUT", "model-configs/none", {"reset_usage": True}, 404),
    ("PUT", "model-configs/{limit}", {"model_name": "other", "reset_usage": True}, 400),
    (
        "PUT",
        "model-configs/{limit}",
        {"calendar_aligned": True, "budget": DAY | {"reset_duration": "1h"}},
        400,
    ),
    ("DELETE", "model-configs/none", None, 404),
    ("POST", "virtual-keys", {"name": "team"}, 409),
    ("POST", "virtual-keys", {"name": "late", "expires_at": "2020-01-01T00:00:00Z"}, 400),
    ("PUT", "virtual-keys/other", {"name": "team", "is_active": False}, 409),
    ("DELETE", "virtual-keys/none", None, 404),
    ("POST", "users", {"id": "u", "name": "again"}, 409),
    ("DELETE", "users/none", None, 404),
    ("POST", KEYS, {"name": "late", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, 400),
    ("DELETE", f"{KEYS}/none", None, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED)
def test_a_refused_write_leaves_no_entry(api, method, path, body, status):
    limit = api.create(budget=DAY)
    virtual_key(api)
    virtual_key(api, id="other", name="other")
    ok(api.post("users", {"id": "u", "name": "Ada"}))
    before = entries(api)
    response = api.request(method, path.replace("{limit}", limit["id"]), json=body)
    assert response.status_code == status
    assert entries(api) == before


def test_a_stale_version_or_too_small_a_key_leaves_no_entry(api):
    limit = api.create(budget=DAY)
    reader = api.with_key(key(api, "read")["key"])
    before = entries(api)
    assert api.delete(f"model-configs/{limit['id']}", headers={"If-Match": '"9.x"'}).status_code == 412
    assert reader.delete(f"model-configs/{limit['id']}").status_code == 403
    assert entries(api) == before


def test_a_change_that_cannot_be_recorded_is_not_made(api, database):
    limit = api.create(budget=DAY)
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE audit RENAME TO lost")
    for refused in (
        api.put(f"model-configs/{limit['id']}", {"budget": DAY | {"max_limit": 7}}),
        api.post("virtual-keys", {"name": "team"}),
        api.delete(f"model-configs/{limit['id']}"),
    ):
        assert refused.get_json()["error"]["code"] == "database_unavailable"
    assert ok(api.get(f"model-configs/{limit['id']}"))["model_config"] == limit
    assert ok(api.get("virtual-keys"))["total_count"] == 0
