"""The table of the proxies in docs/gateways.md names the recipes that exist; `make gateways` tests what it says."""

from tests.gateways.proxies import RECIPES, STARTERS
from tests.gateways.table import rows


def test_each_row_is_a_recipe_with_a_readme():
    assert [row.recipe for row in rows()] == list(STARTERS)
    assert [row.recipe for row in rows() if not (RECIPES / row.recipe / "README.md").exists()] == []


def test_rows_say_only_what_the_tests_of_the_proxies_know():
    assert {row.model_from for row in rows()} <= {"the body", "the route"}
    assert {row.charged for row in rows()} <= {"what it used", "an estimate"}
    assert {row.upstream_error for row in rows()} <= {"released", "charged the estimate"}
    assert {row.without_service for row in rows()} <= {"refused", "refused, or passed if you say so"}
