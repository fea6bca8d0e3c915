"""`config/plan` and `config/apply`: a file of limits over HTTP, applied only as it was planned."""

import json
from io import BytesIO
from threading import Event, Thread

import pytest

from governance.services.config import files
from governance.services.config.uploads import MAX_FILE, OWNER_WANTED
from tests.api.trail import entries, key, ok
from tests.config.conftest import Terminal, bifrost, budget, nested

PLAN, APPLY = "config/plan", "config/apply"
LIMIT = {"id": "m", "model_name": "gpt-5", "budgets": [budget(20, id="b")]}
FILE = nested(LIMIT, users=[{"id": "ada", "name": "Ada"}], owner="team")


@pytest.fixture
def apply(api):
    """Return a function that plans a file and applies it as planned."""

    def applied(content, query="", **options):
        etag = api.post(PLAN + query, content).headers["ETag"]
        return api.post(APPLY + query, content, headers={"If-Match": etag}, **options)

    return applied


def refusal(response):
    error = response.get_json()["error"]
    return response.status_code, error["code"], error["param"]


def test_a_plan_says_what_an_apply_would_do_and_changes_nothing(api, database, app, tmp_path):
    terminal = Terminal(app, tmp_path, database)
    before = terminal.revision()
    response = api.post(PLAN, FILE)
    plan = ok(response)
    assert (plan["applied"], plan["owner"], plan["counts"], plan["minted"]) == (False, "team", {"create": 2}, 0)
    shown = terminal.dry(FILE, "--json").json
    assert {name: plan[name] for name in ("steps", "counts", "gone", "skipped", "warnings", "left_out")} == {
        name: shown[name] for name in ("steps", "counts", "gone", "skipped", "warnings", "left_out")
    }
    assert (terminal.revision(), api.list()["total_count"]) == (before, 0)


def test_an_apply_does_what_was_planned_and_a_second_plan_finds_nothing_to_do(api, apply):
    done = ok(apply(FILE))
    assert (done["applied"], done["counts"]) == (True, {"create": 2})
    assert api.list(memory=True)["model_configs"][0]["id"] == "m"
    assert api.get("users/ada").get_json()["user"]["name"] == "Ada"
    assert ok(api.post(PLAN, FILE))["counts"] == {"keep": 2}
    assert ok(apply(FILE))["counts"] == {"keep": 2}


@pytest.mark.parametrize("headers", [{}, {"If-Match": ""}, {"If-Match": "*"}])
def test_an_apply_without_the_etag_of_a_plan_is_428(api, headers):
    assert refusal(api.post(APPLY, FILE, headers=headers)) == (428, "plan_required", "If-Match")
    assert api.list()["total_count"] == 0


CHANGED = {
    "another file": (lambda api: None, nested(LIMIT, owner="team"), "?prune=true"),
    "the same file written otherwise": (lambda api: None, FILE | {"governance": None}, "?prune=true"),
    "another parameter": (lambda api: None, FILE, "?prune=false"),
    "another owner": (lambda api: None, FILE, "?prune=true&owner=team"),
    "a limit more": (lambda api: api.create("another"), FILE, "?prune=true"),
    "a user more": (lambda api: api.post("users", {"name": "Eve"}), FILE, "?prune=true"),
}


@pytest.mark.parametrize(("move", "content", "query"), CHANGED.values(), ids=CHANGED)
def test_an_apply_is_412_where_anything_has_moved_since_the_plan(api, move, content, query):
    etag = api.post(f"{PLAN}?prune=true", FILE).headers["ETag"]
    move(api)
    response = api.post(APPLY + query, content, headers={"If-Match": etag})
    assert refusal(response) == (412, "stale_version", "If-Match")
    assert api.get("model-configs/m").status_code == 404


def test_an_apply_is_412_where_somebody_writes_while_it_is_on_its_way(api, governance, monkeypatch):
    etag, apply = api.post(PLAN, FILE).headers["ETag"], governance.sync.apply

    def meanwhile(*arguments, **wishes):
        api.create("another")
        return apply(*arguments, **wishes)

    monkeypatch.setattr(governance.sync, "apply", meanwhile)
    assert refusal(api.post(APPLY, FILE, headers={"If-Match": etag})) == (412, "stale_version", "If-Match")
    assert api.get("model-configs/m").status_code == 404


def test_all_faults_come_together_with_their_paths_and_lines(api):
    text = json.dumps(bifrost(model_configs=[{"model_nam": "x"}], budgets=[{"id": "b", "max_limit": -1}]), indent=1)
    response = api.post(PLAN, data=text)
    body = response.get_json()
    assert refusal(response) == (400, "invalid_field", "governance.model_configs[0].model_name")
    assert [(each["param"], each["line"]) for each in body["extra_fields"]["errors"]] == [
        ("governance.model_configs[0].model_name", 4),
        ("governance.model_configs[0].model_nam", 5),
        ("governance.budgets[0].reset_duration", 9),
        ("governance.budgets[0].max_limit", 11),
    ]
    assert all(each["line"] and each["message"] for each in body["extra_fields"]["errors"])


def test_a_file_that_does_not_go_with_what_is_stored_is_refused_with_the_place(api):
    limit = {"model_name": "*", "scope": "virtual_key", "scope_id": "vk-9", "budgets": [budget()]}
    assert refusal(api.post(PLAN, nested(limit))) == (400, "invalid_field", "model_configs[0].scope_id")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"a": NaN}', b"\xff"])
def test_what_is_no_json_object_is_an_invalid_body(api, data):
    assert refusal(api.post(PLAN, data=data))[:2] == (400, "invalid_body")


def test_no_more_than_a_hundred_faults_are_looked_for(api):
    listed = api.post(PLAN, nested(*[{}] * 5000)).get_json()["extra_fields"]["errors"]
    assert len(listed) == 100


def test_no_value_is_taken_from_the_service_s_environment(api, monkeypatch):
    monkeypatch.setenv("A_SECRET", "sk-nobody-may-see")
    for name in ("A_SECRET", "NOT_SET"):
        response = api.post(PLAN, nested(virtual_keys=[{"id": "vk", "name": "T", "value": f"env.{name}"}]))
        assert refusal(response) == (400, "invalid_field", "virtual_keys[0].value")
        assert response.get_json()["error"]["message"].startswith("Give the value itself, or leave it out")


def test_no_secret_is_in_a_plan_or_in_what_was_done_and_a_missing_value_is_kept_on_the_service_s_disk(
    api, apply, governance
):
    content = nested(virtual_keys=[{"id": "a", "name": "A", "value": "sk-of-team-a"}, {"id": "b", "name": "B"}])
    plan, done = api.post(PLAN, content), apply(content)
    value = governance.sync.values.read_text().split()[1]
    assert plan.get_json()["minted"] == done.get_json()["minted"] == 1
    assert all(secret not in each.text for each in (plan, done) for secret in ("sk-of-team-a", value))
    assert api.post("check", {"model": "x", "virtual_key": value}).status_code == 200


def test_values_that_cannot_be_kept_are_503_and_nothing_is_stored(api, apply, governance):
    governance.sync.values.mkdir()
    response = apply(nested(virtual_keys=[{"id": "b", "name": "B"}]))
    assert (response.status_code, str(governance.sync.values) in response.text) == (503, False)
    assert api.get("virtual-keys/b").status_code == 404


def test_prune_needs_an_owner_and_takes_the_owner_s_rows_alone(api, apply):
    api.create("by-api", budgets=[budget()])
    ok(apply(nested({"model_name": "of-nobody", "budgets": [budget()]})))
    ok(apply(FILE))
    response = api.post(f"{PLAN}?prune=true", nested())
    assert refusal(response) == (400, "invalid_field", "owner")
    assert response.get_json()["error"]["message"] == OWNER_WANTED
    done = ok(apply(nested(), "?prune=1&owner=team"))
    assert (done["counts"], done["owner"]) == ({"remove": 2}, "team")
    assert {each["model_name"] for each in api.list()["model_configs"]} == {"by-api", "of-nobody"}


def test_overwrite_takes_back_an_edit_by_api(api, apply):
    ok(apply(FILE))
    ok(api.put("model-configs/m", {"budgets": [budget(99, id="b")]}))
    assert ok(apply(FILE))["counts"] == {"keep": 2}
    assert ok(apply(FILE, "?overwrite=true"))["counts"] == {"change": 1, "keep": 1}
    assert api.list()["model_configs"][0]["budget"]["max_limit"] == 20


def test_each_row_is_in_the_audit_under_the_key_that_applied_the_file(api):
    writer = key(api, "write")
    his = api.with_key(writer["key"])
    etag = his.post(PLAN, FILE).headers["ETag"]
    ok(his.post(APPLY, FILE, headers={"If-Match": etag}))
    found = {(each["actor"], each["entity_id"], each["action"]) for each in entries(api)[:2]}
    assert found == {(f"key:{writer['id']}", "m", "create"), (f"key:{writer['id']}", "ada", "create")}


class Unread(BytesIO):
    """A body that raises an error if it is read."""

    def read(self, *_):
        raise AssertionError("the body was read")


@pytest.mark.parametrize("path", [PLAN, APPLY])
def test_key_scope_and_parameters_come_before_the_body_is_read(api, path):
    reader = api.with_key(key(api, "read")["key"])
    options = {"input_stream": Unread(), "environ_overrides": {"CONTENT_LENGTH": "999"}}
    assert api.with_key("gov-unknown").post(path, **options).status_code == 401
    assert reader.post(path, **options).status_code == 403
    assert refusal(api.post(f"{path}?owner={'x' * 256}&prun=1", **options))[0] == 400
    if path == APPLY:
        assert api.post(path, **options).status_code == 428


def test_a_file_may_have_32_mib_and_all_other_bodies_one(api):
    content = json.dumps(FILE).encode()
    assert api.post(PLAN, data=content.ljust(MAX_FILE)).status_code == 200
    over = api.post(PLAN, data=content.ljust(MAX_FILE + 1))
    assert (refusal(over), "32 MiB" in over.text) == ((413, "body_too_large", None), True)
    assert "1 MiB" in api.post("users", data=b"{}".ljust(1024 * 1024 + 1)).text


def test_a_file_of_too_many_values_is_413_before_it_is_read(api, monkeypatch):
    monkeypatch.setattr(files, "MOST_VALUES", 5)
    assert refusal(api.post(PLAN, FILE)) == (413, "body_too_large", None)


def test_large_files_are_read_one_at_a_time_and_small_ones_beside_them(api):
    begun, end = Event(), Event()

    class Slow(BytesIO):
        def read(self, size=-1):
            begun.set()
            end.wait(10)
            return super().read(size)

    large = json.dumps(FILE).encode().ljust(2 * 1024 * 1024)
    statuses = []
    options = {"input_stream": Slow(large), "environ_overrides": {"CONTENT_LENGTH": str(len(large))}}
    thread = Thread(target=lambda: statuses.append(api.post(PLAN, **options).status_code))
    thread.start()
    begun.wait(10)
    refused = api.post(PLAN, data=large)
    assert (refusal(refused)[:2], refused.headers["Retry-After"]) == ((503, "file_busy"), "60")
    assert api.post(PLAN, FILE).status_code == 200
    end.set()
    thread.join(10)
    assert statuses == [200]
    assert api.post(PLAN, data=large).status_code == 200
