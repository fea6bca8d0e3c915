"""Whose budget and whose rate limit it is: what a file says of it, and nothing that it does not say."""

from tests.files.conftest import bifrost, budget


def rules(terminal):
    """What is stored, by virtual key, provider and model, in words."""
    found = {}
    for limit, _ in terminal.stored().limits.values():
        own = sorted(f"{rule.max_limit / (10**9 if rule.metric == 'cost' else 1):g} {rule.metric} / "
                     f"{rule.reset_duration}" for rule in limit.rules)  # fmt: skip
        found[limit.scope_id, limit.provider, limit.model_name] = own
    return found


def test_each_key_gets_its_own_rules_and_none_of_another(terminal):
    content = bifrost(
        virtual_keys=[
            {"id": "vk-red", "name": "Red", "value": "sk-bf-red-0001", "rate_limit_id": "rl-red"},
            {"id": "vk-blue", "name": "Blue", "value": "sk-bf-blue-0001", "rate_limit_id": "rl-blue"},
        ],
        budgets=[
            budget(5, "1M", id="b-red", virtual_key_id="vk-red"),
            budget(9, "1M", id="b-blue", virtual_key_id="vk-blue"),
        ],
        rate_limits=[
            {"id": "rl-red", "request_max_limit": 2, "request_reset_duration": "1m",
             "token_max_limit": 100000, "token_reset_duration": "1m"},
            {"id": "rl-blue", "request_max_limit": 4, "request_reset_duration": "1m"},
        ],
    )  # fmt: skip
    assert terminal.check(content).err == ""
    assert terminal.sync(content).code == 0
    assert rules(terminal) == {
        ("vk-red", None, "*"): ["100000 tokens / 1m", "2 requests / 1m", "5 cost / 1M"],
        ("vk-blue", None, "*"): ["4 requests / 1m", "9 cost / 1M"],
    }


def test_rules_that_name_no_owner_go_to_no_limit_without_an_id(terminal):
    content = bifrost(
        model_configs=[{"model_name": "gpt-5", "budgets": [budget(7)]}],
        budgets=[budget(3, "1Y", id="b-nobody"), budget(1, "1w", id="b-team", team_id="t1")],
        rate_limits=[{"id": "rl-nobody", "request_max_limit": 2, "request_reset_duration": "1h"}],
    )
    assert terminal.sync(content).code == 0
    assert rules(terminal) == {(None, None, "gpt-5"): ["7 cost / 1d"]}
