"""Each write has an actor in the audit log. No write can lack one, and no entry contains a secret."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

from governance.startup import prepare
from tests.api.trail import DAY, KEYS, changes, entries, key, newest, ok, text, virtual_key
from tests.conftest import governance_of


def test_every_write_is_recorded_under_the_key_that_made_it(api):
    admin = key(api, "admin")
    writer = key(api, "write")
    mine, his = api.with_key(admin["key"]), api.with_key(writer["key"])
    of_admin = key(mine, "read")["id"]
    ok(mine.delete(f"{KEYS}/{of_admin}"))
    limit = his.create(budget=DAY)["id"]
    ok(his.put(f"model-configs/{limit}", {"budget": DAY | {"max_limit": 7}}))
    ok(his.delete(f"model-configs/{limit}"))
    for path in ("virtual-keys", "users"):
        ok(his.post(path, {"id": "x", "name": "one"}))
        ok(his.put(f"{path}/x", {"name": "two"}))
        ok(his.delete(f"{path}/x"))
    assert [entry["actor"] for entry in entries(api)] == [
        *[f"key:{writer['id']}"] * 9,
        *[f"key:{admin['id']}"] * 2,
        *["key:settings"] * 2,
    ]


def test_a_thread_that_serves_one_key_after_another_never_mistakes_them(api, governance):
    keys = [key(api, "write") for _ in range(3)]

    def work():
        for turn in range(9):
            caller = api.with_key(keys[turn % 3]["key"])
            ok(caller.post("users", {"id": f"u{turn}", "name": "Ada"}))
            assert caller.post("users", {"id": f"u{turn}", "name": "Ada"}).status_code == 409
            governance.users.create({"id": f"s{turn}", "name": "nobody asked"})

    with ThreadPoolExecutor(1) as thread:
        thread.submit(work).result()
    for turn in range(9):
        (mine,) = entries(api, f"entity_id=u{turn}")
        (none,) = entries(api, f"entity_id=s{turn}")
        assert (mine["actor"], none["actor"]) == (f"key:{keys[turn % 3]['id']}", "service")


def test_no_secret_is_ever_in_the_audit(api, app, database, unset):
    given = "sk-the-gateways-own-value-0123456789-0123456789"
    first = governance_of(unset[0])
    prepare(unset[0])
    minted = [api.post("virtual-keys", {"name": f"k{turn}"}).get_json()["virtual_key"] for turn in range(5)]
    virtual_key(api, value=given)
    virtual_key(api, name="short", value="s3cret")
    made = [key(api, scope) for scope in ("read", "write", "meter", "admin")]
    for each in minted:
        ok(api.put(f"virtual-keys/{each['id']}", {"description": "edited"}))
        ok(api.delete(f"virtual-keys/{each['id']}"))
    for each in made:
        ok(api.delete(f"{KEYS}/{each['id']}"))
    secrets = [each["value"] for each in minted] + [each["key"] for each in made]
    secrets += [given, api.key, (unset[1] / "admin.key").read_text().strip()]
    printed = app.test_cli_runner().invoke(args=["governance", "audit", "--limit", "1000"]).output
    told = "".join([text(database), text(first.database), api.get("audit?limit=100").text, printed])
    assert "s3cret" not in told
    for secret in secrets:
        assert secret[:13] not in told, "more than the prefix that answers show"
        assert secret[13:] not in told
        assert hashlib.sha256(secret.encode()).hexdigest() not in told


def test_another_value_of_a_virtual_key_is_recorded_without_telling_either(api, governance, database):
    virtual_key(api, id="vk", value="sk-one-value-that-begins-like-the-other-1")
    writer = governance.virtual_keys._writer
    with writer.write() as write:
        write.connection.exec_driver_sql("UPDATE virtual_keys SET digest = 'another', revision = ?", (write.revision,))
    assert changes(newest(api)) == {"value": ("hidden", "hidden")}


def test_a_new_kind_of_write_need_not_remember_the_audit(api, governance):
    virtual_key(api, id="vk")
    with governance.users._writer.write() as write:
        write.connection.exec_driver_sql("UPDATE virtual_keys SET is_active = 0, revision = ?", (write.revision,))
    assert changes(newest(api)) == {"is_active": (True, False)}


def test_what_is_deleted_and_made_again_in_one_write_was_changed(api, governance):
    ok(api.post("users", {"id": "u", "name": "Ada"}))
    with governance.users._writer.write() as write:
        write.connection.exec_driver_sql("DELETE FROM users")
        write.connection.exec_driver_sql("INSERT INTO tombstones VALUES ('user', 'u', ?)", (write.revision,))
        row = ("u", "Grace", 1, 1, "grace", write.revision)
        columns = "id, name, created_at, updated_at, search_name, revision"
        write.connection.exec_driver_sql(f"INSERT INTO users ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)
    entry = newest(api)
    assert (entry["action"], changes(entry)) == ("update", {"name": ("Ada", "Grace")})
