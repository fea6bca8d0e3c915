"""Price overrides and the list over HTTP: create, list, look up, change, delete. Each change has an audit entry."""

import pytest

from tests.conftest import Api

RATES = {
    "input": 2.5,
    "output": 10,
    "cached_input": 1.25,
    "cache_write": 3,
    "cache_write_1h": 5,
    "input_audio": 40,
    "output_audio": 80.000000000001,
    "request": 0.0125,
    "tiers": [{"above": 200_000, "input": 5, "output": 15}],
}


@pytest.fixture
def create(api):
    def create(model="llama", **fields):
        response = api.post("prices", {"model": model, **fields})
        assert response.status_code == 200, response.text
        return response.get_json()["price"]

    return create


def faults(response, status=400):
    """Return (param, message) of each fault of a refused request."""
    body = response.get_json()
    assert response.status_code == status, response.text
    several = body["extra_fields"].get("errors") or [body["error"]]
    return [(each["param"], each["message"]) for each in several]


def test_an_override_is_stored_exactly_as_it_is_given(api, create):
    made = create(id="own", provider="vLLM", effective_from="2027-01-01T00:00:00Z", **RATES)
    times = {"created_at": "2026-11-23T12:00:00Z", "updated_at": "2026-11-23T12:00:00Z"}
    assert made == {
        "id": "own",
        "source": "override",
        "provider": "vLLM",
        "model": "llama",
        "same_as": None,
        **RATES,
        "effective_from": "2027-01-01T00:00:00Z",
        "not_priced": [],
        **times,
    }
    assert b'"output_audio":80.000000000001' in api.get("prices/own").data
    assert api.get("prices/own").get_json()["price"] == made
    assert api.get("prices?source=override").get_json()["prices"] == [made]


def test_what_is_read_can_be_sent_back_unchanged(api, create):
    for made in (create(provider="vllm", **RATES), create("prod", same_as={"provider": "openai", "model": "gpt-4o"})):
        again = api.put(f"prices/{made['id']}", made)
        assert (again.status_code, again.get_json()["price"]) == (200, made)
    assert api.get("audit?entity=price&action=update").get_json()["total_count"] == 0


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({}, "input", "dollars per million input tokens"),
        ({"output": 1}, "input", "0 if they are free"),
        ({"input": -1}, "input", "from 0 to 1000000"),
        ({"input": 1_000_001}, "input", "from 0 to 1000000"),
        ({"input": "1"}, "input", "as a number"),
        ({"input": 1, "output": 0.0000000000001}, "output", "at most 12 decimals"),
        ({"input": 1, "same_as": {"model": "x"}}, "same_as", "not both"),
        ({"same_as": {"provider": "openai"}}, "same_as.model", "required"),
        ({"same_as": {"model": "*"}}, "same_as.model", "one model"),
        ({"same_as": {"model": "llama"}}, "same_as", "cannot take its own price"),
        ({"input": 1, "model": "*"}, "model", "one model"),
        ({"input": 1, "provider": "*"}, "provider", "'*' is not one"),
        ({"input": 1, "tiers": [{"above": 5}]}, "tiers[0].above", "at least one rate"),
        ({"input": 1, "tiers": [{"above": 0, "input": 1}]}, "tiers[0].above", "from 1"),
        ({"input": 1, "tiers": [{"above": 5, "input": 1}, {"above": 5, "input": 2}]}, "tiers", "another above"),
        ({"input": 1, "tiers": [{"above": n + 1, "input": 1} for n in range(11)]}, "tiers", "at most 10"),
        ({"input": 1, "effective_from": "soon"}, "effective_from", "RFC 3339"),
        ({"inputs": 1}, "inputs", "did you mean input?"),
        ({"input": 1, "tier": []}, "tier", "did you mean tiers?"),
    ],
)
def test_a_wrong_override_is_refused_by_its_field(api, body, param, said):
    found = faults(api.post("prices", {"model": "llama", **body}))
    assert [name for name, _ in found] == [param]
    assert said in found[0][1]
    assert api.get("prices?source=override").get_json()["total_count"] == 0


def test_two_overrides_of_one_model_and_time_contradict(api, create):
    first = create(provider="vllm", input=1)
    create(provider="vllm", input=2, effective_from="2027-01-01T00:00:00Z")
    create(input=3)
    for twin in ({"model": "LLAMA", "provider": "vLLM"}, {"model": "vllm/llama"}):
        ((param, said),) = faults(api.post("prices", {**twin, "input": 9}), 409)
        assert (param, first["id"] in said) == ("effective_from", True)
    later = create(provider="vllm", input=2, effective_from="2027-02-01T00:00:00Z")
    assert faults(api.put(f"prices/{later['id']}", {"effective_from": None}), 409)[0][0] == "effective_from"
    assert faults(api.post("prices", {"id": first["id"], "model": "x", "input": 1}), 409)[0][0] == "id"


def test_an_alias_leads_to_a_price_in_one_step(api, create):
    alias = create("b", same_as={"model": "c"})
    ((param, said),) = faults(api.post("prices", {"model": "a", "same_as": {"model": "b"}}))
    assert (param, said.startswith("Give same_as as c, which has a price")) == ("same_as", True)
    ((param, said),) = faults(api.post("prices", {"model": "c", "same_as": {"model": "d"}}))
    assert (param, "b is same_as c" in said) == ("same_as", True)
    assert faults(api.put(f"prices/{alias['id']}", {"same_as": {"model": "b"}}))[0][0] == "same_as"


def test_an_edit_keeps_what_it_does_not_name_and_null_removes(api, create):
    made = create(provider="vllm", **RATES)
    path = f"prices/{made['id']}"
    after = api.put(path, {"output": 12, "tiers": None, "request": None, "provider": None}).get_json()["price"]
    assert after["output"] == 12
    assert after["provider"] is None
    assert not {"tiers", "request"} & after.keys()
    assert after["cache_write"] == 3
    alias = api.put(path, {"same_as": {"provider": "openai", "model": "gpt-4o"}}).get_json()["price"]
    assert (alias["same_as"], "input" in alias) == ({"provider": "openai", "model": "gpt-4o"}, False)
    priced = api.put(path, {"input": 0}).get_json()["price"]
    assert (priced["same_as"], priced["input"], "output" in priced) == (None, 0, False)
    assert faults(api.put(path, {"input": None}))[0][0] == "input"


def test_each_change_is_recorded_with_its_values(api, create, clock):
    made = create(provider="vllm", input=0.4, tiers=[{"above": 9, "input": 1}])
    clock.advance(1)
    api.put(f"prices/{made['id']}", {"input": 0.5})
    api.delete(f"prices/{made['id']}")
    deleted, changed, created = api.get("audit?entity=price").get_json()["audit"]
    assert [each["action"] for each in (created, changed, deleted)] == ["create", "update", "delete"]
    assert {"field": "tiers[9].input", "old": None, "new": 1} in created["changes"]
    assert changed["changes"] == [{"field": "input", "old": 0.4, "new": 0.5}]
    assert {"field": "model", "old": "llama", "new": None} in deleted["changes"]


def test_a_price_that_is_gone_is_404(api, create):
    made = create(input=1)
    assert api.delete(f"prices/{made['id']}").get_json() == {"message": "Price deleted successfully"}
    for response in (
        api.get(f"prices/{made['id']}"),
        api.put(f"prices/{made['id']}", {"input": 2}),
        api.delete(f"prices/{made['id']}"),
    ):
        assert (response.status_code, response.get_json()["error"]["code"]) == (404, "price_not_found")


def test_a_page_has_overrides_first_then_the_list(api, create):
    for number in range(3):
        create(f"gpt-4o-{number}", provider="openai", input=number)
    whole = api.get("prices?search=openai/gpt-4o&limit=100").get_json()
    names = [(each["source"], each["provider"], each["model"]) for each in whole["prices"]]
    assert [name[0] for name in names] == ["override"] * 3 + ["list"] * (len(names) - 3)
    assert {"gpt-4o", "gpt-4o-mini"} <= {name[2] for name in names}
    assert whole["total_count"] == len(names) > 6
    paged = []
    for offset in range(0, len(names), 2):
        page = api.get(f"prices?search=openai/gpt-4o&limit=2&offset={offset}").get_json()
        assert page["total_count"] == whole["total_count"]
        paged += page["prices"]
    assert paged == whole["prices"]
    assert api.get("prices?provider=OpenAI&source=override").get_json()["total_count"] == 3
    listed = api.get("prices?source=list").get_json()
    assert (listed["total_count"] > 2_000, listed["count"]) == (True, 25)
    assert listed["price_list"]["status"] == "loaded"
    assert api.get("prices?search=nobody-has-it").get_json()["prices"] == []


def test_links_lead_through_the_pages(api):
    assert 'rel="next"' in api.get("prices?source=list&provider=openai&limit=5").headers["Link"]


def test_a_look_up_says_where_the_price_comes_from_and_why(api, create):
    def looked(query):
        found = api.get(f"prices/lookup?{query}").get_json()
        return found["source"], found["reason"]

    own = create("prod", provider="azure", same_as={"provider": "openai", "model": "gpt-4o"})["id"]
    dated = create(provider="vllm", input=1, effective_from="2026-11-01T00:00:00Z")["id"]
    listed = "the list (genai-prices 0.2.3). Not counted: storage_searches_kcount, web_searches_kcount."
    nowhere = "vllm/x has no override, and no price of input tokens in the list (genai-prices 0.2.3)."
    sets = "flask governance prices set {} --provider vllm --input DOLLARS --output DOLLARS (per million tokens)."
    assert looked("model=openai/gpt-4o") == ("list", f"openai/gpt-4o is openai/gpt-4o in {listed}")
    assert looked("provider=azure&model=prod") == (
        "list",
        f"The override {own} gives azure/prod the price of openai/gpt-4o, from {listed}",
    )
    assert looked("model=vllm/llama") == (
        "override",
        f"The override {dated} sets the price of vllm/llama, from 2026-11-01T00:00:00Z on.",
    )
    assert looked("model=vllm/llama&at=2026-10-31T00:00:00Z")[0] == "none"
    assert looked("model=vllm/x") == ("none", f"{nowhere} Set its price: {sets.format('x')}")
    _, said = looked("model=vllm/llama&input_tokens=1&output_tokens=1")
    assert said.endswith(f"It has no rate for these tokens. Set one: {sets.format('llama')}")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("", "model"),
        ("model=x&input_tokens=1.5", "input_tokens"),
        ("model=x&input_tokens=1&cached_input_tokens=2", "input_tokens"),
        ("model=x&at=soon", "at"),
        ("model=x&tokens=5", "tokens"),
    ],
)
def test_a_wrong_look_up_is_refused_by_its_parameter(api, query, param):
    assert faults(api.get(f"prices/lookup?{query}"))[0][0] == param


def test_what_a_key_may_do_with_prices_is_its_scope(api):
    keys = {}
    for scope in ("read", "write", "meter"):
        made = api.post("/api/api-keys", {"name": scope, "scopes": [scope]}).get_json()["api_key"]["key"]
        keys[scope] = Api(api.client, made)
    body = {"model": "x", "input": 1}
    assert [keys[scope].post("prices", body).status_code for scope in ("read", "meter", "write")] == [403, 403, 200]
    assert [keys[scope].get("prices").status_code for scope in keys] == [200, 200, 403]
    assert [keys[scope].get("prices/lookup?model=x").status_code for scope in keys] == [200, 200, 200]
    assert api.with_key(None).get("prices").status_code == 401
