"""Every page shows what is stored; every form creates, changes and deletes it, and refuses what the API refuses."""

import json

import pytest

from tests.web.dashboard.browser import leads_to, text, tokens, values

PAGES = (
    "",
    "limits",
    "what-if",
    "new-limit",
    "upload",
    "virtual-keys",
    "new-virtual-key",
    "users",
    "new-user",
    "prices",
)
PAGES += ("new-price", "reservations", "audit", "api-keys", "new-api-key", "health")  # fmt: skip
ADMIN_PAGES = ("api-keys", "new-api-key")
HOSTILE = ("<b>x</b>", "'\"><script>", "🙂" * 255, "שלום", "{{ 7 + 7 }}", "a/b?c#d")


@pytest.mark.parametrize("page", PAGES)
def test_page_of_an_empty_service_says_first_step(browser, page):
    answer = browser.get(page)
    assert answer.status_code == 200
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("page", ["limits", "virtual-keys", "users", "api-keys", "reservations"])
def test_empty_list_shows_its_curl(browser, page):
    shown = text(browser.get(page))
    assert "There are no" in shown
    assert "curl -s" in shown


@pytest.mark.parametrize("page", ADMIN_PAGES)
@pytest.mark.parametrize("scope", ["read", "write"])
def test_api_keys_are_for_admins(signed_in, page, scope):
    other = signed_in(scope)
    assert other.get(page).status_code == 403
    assert "API keys" not in text(other.get("limits"))


def test_audit_of_api_keys_is_for_admins(signed_in, browser):
    reader = signed_in("read")
    assert reader.key_id in browser.get("audit").text
    for query in ("audit", "audit?entity=api_key"):
        assert reader.key_id not in reader.get(query).text


def test_virtual_key_is_created_changed_and_deleted(browser, api):
    answer = browser.post("new-virtual-key", {"name": "Search", "id": "team/1", "is_active": "true"})
    (key,) = api.get("virtual-keys").get_json()["virtual_keys"]
    assert key["id"] == "team/1"
    assert f"{key['value_prefix']}" in text(answer)
    assert "it is not shown again" in text(answer)
    api.create(scope="virtual_key", scope_id="team/1")
    assert "Its limits are deleted with it: 1." in text(browser.get("delete-virtual-key?id=team%2F1"))
    change = "change-virtual-key?id=team%2F1"
    version = version_on(browser.get(change))
    fields = {"version": version, "name": "Find", "description": "d", "expires_at": "2027-01-31T00:00:00Z"}
    assert leads_to(browser.post(change, fields)) == "/ui/virtual-key?id=team%2F1&done=changed"
    (key,) = api.get("virtual-keys").get_json()["virtual_keys"]
    assert (key["name"], key["description"], key["expires_at"]) == ("Find", "d", "2027-01-31T00:00:00Z")
    fields = {"version": version_on(browser.get(change)), "name": "Find", "description": "", "expires_at": ""}
    browser.post(change, fields)
    (key,) = api.get("virtual-keys").get_json()["virtual_keys"]
    assert (key["description"], key["expires_at"]) == (None, None)
    assert leads_to(browser.post("delete-virtual-key?id=team%2F1", {})) == "/ui/virtual-keys?done=deleted"
    assert api.get("virtual-keys").get_json()["total_count"] == 0


def version_on(page):
    return page.text.split('name="version" value="')[1].split('"')[0]


@pytest.mark.parametrize("kind", ["user", "virtual-key"])
def test_edit_of_what_somebody_else_changed_shows_both(browser, api, clock, kind):
    api.post(f"{kind}s", {"id": "a", "name": "Amina"})
    page = f"change-{kind}?id=a"
    version = version_on(browser.get(page))
    clock.advance(1)
    api.put(f"{kind}s/a", {"name": "Theirs"})
    answer = browser.post(page, {"version": version, "name": "Mine"})
    assert answer.status_code == 409
    assert "Somebody else has changed this" in text(answer)
    assert "Theirs Mine" in text(answer)
    assert values(answer)["name"] == "Mine"
    assert api.get(f"{kind}s/a").get_json()[kind.replace("-", "_")]["name"] == "Theirs"
    assert browser.post(page, {"version": version_on(answer), "name": "Mine"}).status_code == 303


def test_user_is_created_and_deleted(browser, api):
    assert leads_to(browser.post("new-user", {"name": "Amina", "id": "u-1"})) == "/ui/users?done=created"
    assert "Amina" in text(browser.get("users?search=ami"))
    answer = browser.post("new-user", {"name": "Other", "id": "u-1"})
    assert answer.status_code == 409
    assert "Give another id" in text(answer)
    assert values(answer)["name"] == "Other"
    browser.post("delete-user?id=u-1", {})
    assert api.get("users").get_json()["total_count"] == 0


def test_api_key_is_created_shown_once_and_revoked(browser, api):
    fields = {"name": "gateway", "scopes[2]": "meter", "scopes[0]": "read"}
    answer = browser.post("new-api-key", fields)
    secret = answer.text.split("<code>gov-")[1].split("<")[0]
    assert api.with_key(f"gov-{secret}").get("model-configs").status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    (key,) = api.get("/api/api-keys").get_json()["api_keys"]
    assert sorted(key["scopes"]) == ["meter", "read"]
    assert leads_to(browser.post(f"revoke-api-key?id={key['id']}", {})) == "/ui/api-keys?done=revoked"
    assert api.with_key(f"gov-{secret}").get("model-configs").status_code == 401


def test_api_key_without_scopes_is_refused(browser, api):
    answer = browser.post("new-api-key", {"name": "gateway"})
    assert answer.status_code == 400
    assert "Give scopes as a list" in text(answer)
    assert api.get("/api/api-keys").get_json()["total_count"] == 0


def test_price_is_created_changed_and_deleted(browser, api):
    fields = {"model": "m", "input": "2.5", "output": "10", "tiers[0].above": "200000", "tiers[0].input": "5"}
    assert leads_to(browser.post("new-price", fields)) == "/ui/prices?source=override&done=created"
    (price,) = api.get("prices?source=override").get_json()["prices"]
    assert (price["input"], price["output"], price["tiers"]) == (2.5, 10, [{"above": 200_000, "input": 5}])
    page = f"change-price?id={price['id']}"
    shown = browser.get(page)
    fields = values(shown) | {"version": version_on(shown), "input": "3"}
    assert browser.post(page, fields).status_code == 303
    (price,) = api.get("prices?source=override").get_json()["prices"]
    assert (price["input"], price["output"], price["tiers"]) == (3, 10, [{"above": 200_000, "input": 5}])
    browser.post(f"delete-price?id={price['id']}", {})
    assert api.get("prices?source=override").get_json()["total_count"] == 0


def test_form_of_a_limit_says_what_the_api_says(browser, api):
    fields = {"model_name": "", "budgets[0].max_limit": "x", "scope": "user", "step": "store"}
    answer = browser.post("new-limit", fields)
    assert answer.status_code == 400
    refused = api.post("model-configs", {"scope": "user", "budgets": [{"max_limit": "x"}]}).get_json()
    for fault in refused["extra_fields"]["errors"]:
        assert fault["message"] in text(answer)


def test_limit_is_changed_with_all_its_rules(browser, api):
    limit = api.create(
        budgets=[{"max_limit": 20, "reset_duration": "1d"}],
        rate_limits=[{"token_max_limit": 9, "token_reset_duration": "1h"}],
        calendar_aligned=True,
        timezone="Europe/Berlin",
    )
    page = f"change-limit?id={limit['id']}"
    shown = browser.get(page)
    fields = values(shown) | {"calendar_aligned": "true", "version": version_on(shown), "step": "store"}
    fields |= {"budgets[0].id": limit["budget"]["id"]}
    assert browser.post(page, fields).status_code == 303
    after = api.get(f"model-configs/{limit['id']}").get_json()["model_config"]
    assert {**after, "updated_at": None} == {**limit, "updated_at": None}
    fields |= {"version": version_on(browser.get(page)), "budgets[0].max_limit": "", "budgets[0].reset_duration": ""}
    fields |= {"calendar_aligned": "false", "timezone": "UTC"}
    assert browser.post(page, fields).status_code == 303
    after = api.get(f"model-configs/{limit['id']}").get_json()["model_config"]
    assert (after["budgets"], len(after["rate_limits"])) == ([], 1)


def test_deletion_of_a_changed_limit_is_refused(browser, api):
    limit = api.create()
    page = f"delete-limit?id={limit['id']}"
    version = version_on(browser.get(page))
    api.put(f"model-configs/{limit['id']}", {"budget": {"max_limit": 1, "reset_duration": "1d"}})
    answer = browser.post(page, {"version": version})
    assert answer.status_code == 409
    assert "somebody else has changed this limit" in text(answer)
    assert api.list()["total_count"] == 1


FILE = json.dumps({"model_configs": [{"model_name": "gpt-4o", "budget": {"max_limit": 20, "reset_duration": "1d"}}]})


def hidden(page, name):
    return page.text.split(f'name="{name}" value="')[1].split('"')[0]


def test_file_is_applied_as_planned(browser, api):
    plan = browser.post("upload", {"text": FILE})
    assert "1 to create" in text(plan)
    assert api.list()["total_count"] == 0
    fields = {"kept": hidden(plan, "kept"), "tag": hidden(plan, "tag")}
    form = next(iter(reversed(tokens(plan)[:-1])))
    assert leads_to(browser.post("upload", fields, form=form)) == "/ui/limits?done=applied"
    assert api.list()["total_count"] == 1


def test_plan_that_moved_is_shown_anew(browser, api):
    plan = browser.post("upload", {"text": FILE})
    api.create("other")
    answer = browser.post("upload", {"kept": hidden(plan, "kept"), "tag": hidden(plan, "tag")}, form=tokens(plan)[1])
    assert answer.status_code == 409
    assert "The plan" in text(answer)
    assert api.list()["total_count"] == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"text": ""}, "Choose a file of limits"),
        ({"text": "{"}, "is not valid JSON"),
        ({"text": '{"model_configs": [{"model_name": 5}]}'}, "Give model_name as text"),
        ({"kept": "forged", "tag": "x"}, "Choose a file of limits"),
        ({"text": FILE, "prune": "true"}, "Name an owner to prune for"),
    ],
)
def test_faulty_file_changes_nothing(browser, api, fields, sentence):
    answer = browser.post("upload", fields)
    assert answer.status_code == 400
    assert sentence in text(answer)
    assert api.list()["total_count"] == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(browser, api, name):
    limit = api.create(name)
    api.post("users", {"id": name, "name": name})
    api.post("virtual-keys", {"id": name, "name": name})
    for page in (
        "",
        "limits",
        f"limit?id={limit['id']}",
        f"delete-limit?id={limit['id']}",
        "users",
        "virtual-keys",
        "audit",
    ):
        answer = browser.get(page)
        assert answer.status_code == 200
        assert "<b>x</b>" not in answer.text
        assert "<script>" not in answer.text
    assert name in text(browser.get("users"))


INVISIBLE = {"right-to-left override": "\u202e", "right-to-left mark": "\u200f", "isolate": "\u2066"}


@pytest.mark.parametrize("mark", INVISIBLE.values(), ids=INVISIBLE)
def test_invisible_mark_in_a_name_is_refused_at_its_field(browser, api, mark):
    for page, field in (("new-limit", "model_name"), ("new-user", "name"), ("new-virtual-key", "name")):
        answer = browser.post(page, {field: f"gpt{mark}4o", "step": "store"})
        assert answer.status_code == 400
        assert f"Take U+{ord(mark):04X} out of {field}" in text(answer)
    assert api.list()["total_count"] == api.get("users").get_json()["total_count"] == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_calls_are_text(browser, api, name):
    assert api.post("usage", {"model": name, "provider": name, "user_id": name, "cost": 1}).status_code == 200
    shown = browser.get()
    assert name.lower() in text(shown).lower()
    assert "<b>x</b>" not in shown.text.lower()
    assert "<script>" not in shown.text


@pytest.mark.parametrize(
    "page", ["limit", "change-limit", "delete-limit", "virtual-key", "change-user", "change-price", "revoke-api-key"]
)
def test_unknown_id_is_404(browser, page):
    assert browser.get(f"{page}?id=none").status_code == 404


@pytest.mark.parametrize(
    "query", ["new-limit?budgets=1&budgets[0].max_limit=2", "what-if?days=7&model_name=a&budgets[0].a[1].b=2"]
)
def test_crafted_address_is_no_mistake_of_the_service(browser, query):
    assert browser.get(query).status_code in {200, 400}


def test_page_has_at_most_fifty_rows(browser, api):
    for number in range(55):
        api.create(f"m{number}")
    answer = browser.get("limits?limit=100")
    assert "1–50 of 55" in text(answer)
    assert len(answer.data) < 150_000
    assert "51–55 of 55" in text(browser.get("limits?limit=100&offset=50"))
