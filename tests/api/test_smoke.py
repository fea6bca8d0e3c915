def test_a_limit_that_was_created_is_listed_from_both_sources_with_the_same_bytes(api):
    api.create(budgets=[{"max_limit": 1, "reset_duration": "1d"}])
    first, second = api.get("model-configs"), api.get("model-configs?from_memory=true")
    assert first.data == second.data
    assert first.get_json()["total_count"] == 1
