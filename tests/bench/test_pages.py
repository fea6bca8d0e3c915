"""A server with another format is compared by content: the limits, the number of rules of each, and the total."""

import json

from bench.pages import DIFFERENT, FIRST, MEMORY, USED, Pages, gist
from bench.servers import Server

BUDGET = {"max_limit": 5}
TOKENS = {"token_max_limit": 10, "request_max_limit": None}
BOTH = {"token_max_limit": 10, "request_max_limit": 3}


def test_ours_and_a_table_of_rows_say_the_same():
    limits = [{"id": "a", "budgets": [BUDGET, BUDGET], "rate_limits": [BOTH]}]
    limits += [{"id": "b", "budgets": [], "rate_limits": [TOKENS]}]
    ours = json.dumps({"model_configs": limits, "total_count": 7}).encode()
    rows = [{"id": "a", "rules": [1, 2, 3, 4], "total_count": 7}, {"id": "b", "rules": [1], "total_count": 7}]
    assert gist(ours) == gist(json.dumps({"rows": rows}).encode()) == (7, [("a", 4), ("b", 1)])


def test_a_question_to_memory_is_never_asked_twice_in_the_same_words():
    pages = Pages(1_000, {MEMORY: Server(1, ())}, {})
    for question in (FIRST, USED):
        assert len(set(pages.case(question, MEMORY).requests)) == DIFFERENT
