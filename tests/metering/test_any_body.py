"""Bodies of plain fields are read in one pass. The result is always the same as marshmallow's."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from schemas.metering import requests

SCHEMAS = [requests.ReservationCreate(), requests.UsageReport(), requests.Settlement(), requests.Extension()]
NAMES = sorted({name for schema in SCHEMAS for name in schema.fields})
good = {
    "model": st.sampled_from(["gpt-4o", " openai/gpt-4o "]),
    "provider": st.just("openai"),
    "virtual_key_id": st.just("vk-1"),
    "virtual_key": st.just("sk-1"),
    "user_id": st.just("u-1"),
    "tokens": st.integers(0, 10**6),
    "input_tokens": st.integers(0, 10**12),
    "cached_input_tokens": st.integers(0, 10**6),
    "cache_write_tokens": st.integers(0, 10**6),
    "cache_write_1h_tokens": st.integers(0, 10**6),
    "input_audio_tokens": st.integers(0, 10**6),
    "output_tokens": st.integers(0, 10**12),
    "output_audio_tokens": st.integers(0, 10**6),
    "usage": st.sampled_from([{"prompt_tokens": 5}, {"input_tokens": 5, "output_tokens": -1}, {"tokens": 5}, {}]),
    "cost": st.decimals(0, 1000, places=4) | st.integers(0, 5),
    "ttl_seconds": st.integers(1, 86_400),
    "requests": st.integers(0, 100),
}
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([Decimal("0.5"), Decimal("1e30"), "", "*", "\0", "x" * 300, [], {}, ["model"]]),
)
mostly_good = st.fixed_dictionaries({}, optional={name: good[name] for name in NAMES})
bodies = st.one_of(
    mostly_good,
    st.dictionaries(st.sampled_from([*NAMES, "modle", ""]), anything, max_size=6),
    st.tuples(mostly_good, st.dictionaries(st.sampled_from([*NAMES, "extra"]), anything, max_size=2)).map(
        lambda pair: pair[0] | pair[1]
    ),
    anything,
)


def outcome(load, data):
    """Return the result of a load, or the faults that it finds."""
    try:
        return load(data), None
    except ValidationError as error:
        return None, list(error.messages.items())


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: type(schema).__name__)
@given(body=bodies)
@settings(deadline=None, max_examples=200)
def test_any_body_is_read_as_marshmallow_reads_it(schema, body):
    assert outcome(schema.read, body) == outcome(schema.load, body)
