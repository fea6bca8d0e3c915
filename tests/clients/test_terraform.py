"""A Terraform provider: it creates, refreshes, compares plan and state, updates with whole objects, destroys."""

from tests.clients.conftest import KEY, expect, limit

WANTED = {
    "model_name": "gpt-4o",
    "provider": "openai",
    "scope": "global",
    "scope_id": None,
    "calendar_aligned": False,
    "budgets": [{"max_limit": 100.0, "reset_duration": "1M"}],
    "rate_limit": {
        "token_max_limit": 1000000,
        "token_reset_duration": "1d",
        "request_max_limit": None,
        "request_reset_duration": None,
    },
}


def planned(state):
    """Return the members that a plan compares: of the state that was read, those that are configured."""
    rate = state["rate_limit"]
    return {name: state[name] for name in ("model_name", "provider", "scope", "scope_id", "calendar_aligned")} | {
        "budgets": [{name: each[name] for name in ("max_limit", "reset_duration")} for each in state["budgets"]],
        "rate_limit": rate and {name: rate[name] for name in WANTED["rate_limit"]},
    }


def test_a_resource_is_created_refreshed_without_drift_updated_and_destroyed(client):
    made = limit(client.send("POST", "model-configs", WANTED)["model_config"])
    path = f"model-configs/{made['id']}"
    state = limit(client.send("GET", path)["model_config"])
    assert state == made
    assert planned(state) == WANTED

    wanted = planned(state) | {"budgets": [{"max_limit": 150.5, "reset_duration": "1M"}]}
    after = limit(client.send("PUT", path, wanted)["model_config"])
    assert planned(after) == wanted
    assert after["budgets"][0]["id"] == state["budgets"][0]["id"]

    assert client.send("DELETE", path)["message"] == "Model config deleted successfully"
    assert client.refused("GET", path) == (404, "Model config not found")
    assert client.refused("PUT", path, wanted)[0] == 404


def test_the_whole_state_with_all_that_is_computed_is_accepted_and_changes_nothing(client):
    made = limit(client.send("POST", "model-configs", WANTED)["model_config"])
    path = f"model-configs/{made['id']}"
    assert client.send("PUT", path, made)["model_config"] == made
    edited = made | {"budgets": [made["budgets"][0] | {"max_limit": 1}]}
    assert limit(client.send("PUT", path, edited)["model_config"])["budgets"][0]["max_limit"] == 1


def test_taking_a_block_out_of_the_configuration_removes_it(client):
    made = limit(client.send("POST", "model-configs", WANTED)["model_config"])
    path = f"model-configs/{made['id']}"
    after = limit(client.send("PUT", path, WANTED | {"budgets": [], "rate_limit": {}})["model_config"])
    assert planned(after) == WANTED | {"budgets": [], "rate_limit": None}


def test_a_second_resource_on_the_same_model_is_refused_and_names_the_first(client):
    made = limit(client.send("POST", "model-configs", WANTED)["model_config"])
    status, sentence = client.refused("POST", "model-configs", WANTED)
    assert (status, made["id"] in sentence) == (409, True)


def test_a_virtual_key_is_imported_by_its_id_and_destroyed(client):
    body = {"name": "ci", "description": None, "is_active": True, "team_id": "", "customer_id": "", "budgets": []}
    made = expect(client.send("POST", "virtual-keys", body)["virtual_key"], KEY | {"value": str})
    path = f"virtual-keys/{made['id']}"
    state = expect(client.send("GET", path)["virtual_key"], KEY)
    assert client.send("PUT", path, state)["virtual_key"] == state
    client.send("DELETE", path)
    assert client.refused("GET", path) == (404, "Virtual key not found")
