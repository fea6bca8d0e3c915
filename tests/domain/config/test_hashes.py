"""The formulas of Bifrost's hashes, written without the code of the service."""

from hashlib import sha256

import pytest

from governance.domain.config import hashes
from governance.domain.config.entries import LimitEntry
from governance.domain.limits.drafts import LimitDraft, RuleSpec
from governance.domain.limits.durations import parse
from governance.domain.limits.limit import Metric, Scope

DRAFT = LimitDraft("gpt-5", "openai", Scope.VIRTUAL_KEY, "vk-1", None, "UTC", (), ())
ENTRY = LimitEntry("", "m1", DRAFT, None, ("b2", "b1"), "r1", ())


def of(text):
    return sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("nanos", "written"),
    [
        (50 * 10**9, "50"),
        (12_500_000_000, "12.5"),
        (100_000, "0.0001"),
        (1_000, "0.000001"),
        (999, "9.99e-7"),
        (150, "1.5e-7"),
        (1, "1e-9"),
        (10**18, "1000000000"),
        (10**18 - 1, "999999999.999999999"),
    ],
)
def test_dollars_are_written_as_go_writes_a_json_number_and_exactly_where_a_double_is_not_enough(nanos, written):
    assert hashes.go_number(nanos) == written


def test_a_budget_is_its_id_maximum_and_duration():
    assert hashes.of_budget("b1", RuleSpec(Metric.COST, 12_500_000_000, parse("1d"))) == of("b112.51d")


def test_a_rate_limit_is_its_id_and_each_side_that_it_has():
    tokens, requests = RuleSpec(Metric.TOKENS, 1000, parse("1h")), RuleSpec(Metric.REQUESTS, 60, parse("1m"))
    assert hashes.of_rate_limit("r1", (tokens, requests)) == of("r110001h601m")
    assert hashes.of_rate_limit("r1", (requests,)) == of("r1601m")


def test_a_limit_is_its_fields_each_with_its_length_and_its_budgets_sorted():
    text = (
        "id:2:m1;model_name:5:gpt-5;provider:6:openai;scope:11:virtual_key;scope_id:4:vk-1;"
        "budget_id:0:;rate_limit_id:2:r1;budget_ids:2:b1;budget_ids:2:b2;"
    )
    assert hashes.of_limit(ENTRY, "m1", ENTRY.budget_ids, ()) == of(text)


def test_fields_of_ours_follow_where_they_are_given():
    bare = "id:1:m;model_name:4:ä*;provider:0:;scope:6:global;scope_id:0:;budget_id:0:;rate_limit_id:0:;"
    draft = LimitDraft("ä*", None, Scope.GLOBAL, None, None, "UTC", (), ())
    entry = LimitEntry("", "m", draft, None, (), None, ())
    assert hashes.of_limit(entry, "m", (), ()) == of(bare.replace("4:ä*", "3:ä*"))
    ours = entry._replace(draft=draft._replace(calendar_aligned=True, timezone="Europe/Berlin"))
    assert hashes.of_limit(ours, "m", (), ()) == of(
        bare.replace("4:ä*", "3:ä*") + "calendar_aligned:4:true;timezone:13:Europe/Berlin;"
    )


def test_a_virtual_key_is_its_name_description_value_and_state():
    said = {"calendar_aligned": False, "expires_at": None}
    assert hashes.of_key("Team", "ours", "sk-1", is_active=True, **said) == of("Teamourssk-1isActive:true")
    assert hashes.of_key("Team", None, None, is_active=False, **said) == of("TeamisActive:false")
