"""`flask governance prices`: list, look up, set and remove."""

import json

import pytest


@pytest.fixture
def set_price(run):
    """Set a price. Return the override."""

    def set_price(*words):
        result = run("prices", "set", *words, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)["price"]

    return set_price


def test_set_stores_every_part_of_a_price_exactly(set_price):
    made = set_price(
        "llama",
        *("--provider", "vllm", "--input", "0.4", "--output", "0.6", "--cached-input", "0.1", "--cache-write", "0.5"),
        *("--cache-write-1h", "0.8", "--input-audio", "4", "--output-audio", "8", "--request", "0.000000000001"),
        *("--tier", "200000:input=0.8,cached-input=0.2", "--effective-from", "2027-01-01T00:00:00Z"),
    )
    assert made["tiers"] == [{"above": 200_000, "input": 0.8, "cached_input": 0.2}]
    assert (made["cache_write_1h"], made["request"], made["effective_from"]) == (0.8, 1e-12, "2027-01-01T00:00:00Z")


def test_set_again_changes_the_override_of_the_same_model_and_time(run, set_price):
    first = set_price("llama", "--provider", "vllm", "--input", "1")
    again = run("prices", "set", "vllm/LLAMA", "--input", "2")
    assert again.stderr == "Changed. It holds for new calls within one poll; open reservations keep theirs.\n"
    assert first["id"] in again.stdout
    later = set_price("llama", "--provider", "vllm", "--input", "3", "--effective-from", "2027-01-01T00:00:00Z")
    assert later["id"] != first["id"]
    listed = json.loads(run("prices", "list", "--source", "override", "--json").stdout)
    assert {each["input"] for each in listed["prices"]} == {2, 3}


def test_set_says_what_is_wrong(run):
    for words, said in [
        ([], "Give input"),
        (["--input", "much"], "Give input as a number."),
        (["--input", "-1"], "Give input as a number."),
        (["--input", "1", "--same-as", "openai/gpt-4o"], "Give same_as or a price, not both"),
        (["--input", "1", "--tier", "x:input=1"], "Give above as a number."),
        (["--input", "1", "--tier", "5:inputs=1"], "Leave out tiers[0].inputs"),
        (["--same-as", "llama"], "an alias cannot take its own price"),
    ]:
        result = run("prices", "set", "llama", *words)
        assert result.exit_code == 1
        assert said in result.stderr


def test_lookup_shows_the_price_and_what_tokens_cost(run):
    told = run("prices", "lookup", "gpt-4o", "--provider", "openai", "--input-tokens", "1000", "--output-tokens", "500")
    assert "output        $10 per million tokens" in told.stdout
    assert told.stdout.splitlines()[-1] == "These tokens cost $0.0075."
    unknown = run("prices", "lookup", "nobody-knows-it")
    assert (unknown.exit_code, unknown.stdout.startswith("nobody-knows-it has no override")) == (0, True)
    assert run("prices", "lookup", "gpt-4o", "--input-tokens", "x").exit_code == 1


def test_lookup_shows_tiers_and_calls(run, set_price):
    set_price("llama", "--input", "1", "--request", "0.5", "--tier", "10:input=2")
    lines = run("prices", "lookup", "llama").stdout.splitlines()
    assert lines[1:] == [
        "input                        $1 per million tokens",
        "request                      $0.5 a call",
        "input above 10 input tokens  $2 per million tokens",
    ]


def test_list_has_the_list_behind_the_overrides(run, set_price):
    set_price("mine", "--same-as", "openai/gpt-4o")
    told = run("prices", "list", "--search", "mi", "--limit", "3")
    assert told.stdout.splitlines()[1].startswith("override  any")
    assert told.stdout.splitlines()[2].startswith("list ")
    assert told.stderr.startswith("Shown: 1 to 3 of ")
    assert run("prices", "list", "--search", "nobody-has-it").stderr == "Shown: none of 0.\n"


def test_remove_takes_an_override_away(run, set_price):
    made = set_price("llama", "--input", "1")
    assert run("prices", "remove", made["id"]).stderr == f"Removed: {made['id']}.\n"
    again = run("prices", "remove", made["id"], "--json")
    assert (again.exit_code, again.stderr) == (1, "Price not found\n")
    other = set_price("llama", "--input", "2")
    assert json.loads(run("prices", "remove", other["id"], "--json").stdout) == {"removed": other["id"]}
