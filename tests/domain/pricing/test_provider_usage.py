"""The usage objects of providers, in their documented forms, become token counts."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.pricing.provider_usage import SHAPES, UNKNOWN, WHOLE, read
from governance.domain.pricing.tokens import MAX_TOKENS, TokenCounts
from tests.domain.pricing.usages import COUNTS


@pytest.mark.parametrize(("usage", "counts"), COUNTS.values(), ids=COUNTS)
def test_usage_becomes_token_counts(usage, counts):
    assert read(usage) == (counts, {})


@pytest.mark.parametrize(("usage", "counts"), COUNTS.values(), ids=COUNTS)
def test_a_cost_and_unknown_keys_are_ignored(usage, counts):
    assert read(usage | {"cost": 0.5, "cost_details": {}, "inference_geo": "eu"}) == (counts, {})


def test_each_shape_has_an_example():
    marks = [{mark for shape in SHAPES for mark in shape.marks if mark in usage} for usage, _ in COUNTS.values()]
    assert set().union(*marks) == {mark for shape in SHAPES for mark in shape.marks}


@pytest.mark.parametrize("usage", [{}, {"tokens": 5}, {"total_tokens": 5}, {"completion": {"prompt_tokens": 1}}])
def test_a_shape_that_cannot_be_told_is_refused(usage):
    assert read(usage) == (TokenCounts(), {WHOLE: [UNKNOWN]})


@pytest.mark.parametrize("value", [-1, True, "5", Decimal("1.5"), Decimal(5), [], {}, MAX_TOKENS + 1])
@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("usage.prompt_tokens", lambda value: {"prompt_tokens": value}),
        (
            "usage.prompt_tokens_details.cached_tokens",
            lambda value: {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": value}},
        ),
        ("usage.cache_read_input_tokens", lambda value: {"input_tokens": 5, "cache_read_input_tokens": value}),
        (
            "usage.promptTokensDetails.tokenCount",
            lambda value: {"promptTokenCount": 1, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": value}]},
        ),
    ],
)
def test_what_is_no_count_is_refused_once_by_name(name, usage, value):
    _, faults = read(usage(value))
    assert faults == {name.removeprefix("usage."): [f"Give {name} as a whole number from 0 to {MAX_TOKENS}."]}


@pytest.mark.parametrize(
    ("usage", "name"),
    [
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}}, "input"),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 3}}, "input"),
        ({"completion_tokens": 5, "completion_tokens_details": {"audio_tokens": 6}}, "output"),
        ({"cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 6}}, "input"),
        ({"inputTokens": 5, "cacheDetails": [{"ttl": "1h", "inputTokens": 1}]}, "input"),
    ],
)
def test_parts_over_their_whole_are_refused(usage, name):
    _, faults = read(usage)
    (message,) = faults[WHOLE]
    assert f"its {name} tokens are fewer than their parts" in message


def test_more_tokens_than_a_call_has_are_refused():
    _, faults = read({"input_tokens": MAX_TOKENS, "output_tokens": 1})
    assert faults == {WHOLE: [f"Give usage of at most {MAX_TOKENS} tokens together."]}


def test_parts_over_both_wholes_are_told_at_once():
    _, faults = read(
        {
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"audio_tokens": 1},
            "prompt_tokens": 0,
        }
    )
    assert len(faults[WHOLE]) == 2


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
terms = [term for shape in SHAPES for terms in shape.counts.values() for term in terms]
keys = st.sampled_from(sorted({step for term in terms for path in term.paths for step in path}))


@given(st.dictionaries(keys, values | st.dictionaries(keys, values) | st.lists(st.dictionaries(keys, values))))
def test_any_object_is_read_or_refused(usage):
    counts, faults = read(usage)
    if not faults:
        assert min(counts) >= 0
        assert counts.plain_input >= 0
        assert counts.plain_output >= 0
        assert counts.total <= MAX_TOKENS
