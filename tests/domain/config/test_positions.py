"""The line of each value in a JSON text."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.config.positions import line_of, positions, repeated

often = settings(deadline=None, max_examples=150)
keys = st.text("abz_", min_size=1, max_size=3)
values = st.recursive(
    st.none() | st.integers() | st.text('a"\\{}[]:, \n', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)


def paths(value, path=""):
    """Yield the path of every value inside a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        own = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}" if path else key
        yield own
        yield from paths(item, own)


@given(st.dictionaries(keys, values, max_size=4), st.sampled_from([None, 1]))
@often
def test_every_value_has_its_path_in_the_order_of_the_text(value, indent):
    assert [path for path, _ in positions(json.dumps(value, indent=indent))] == list(paths(value))


def test_a_line_is_that_of_the_key_or_of_an_array_s_item():
    text = '{\n "a": [\n  1,\n  {"b":\n   2}\n ],\n "c": {}\n}'
    assert dict(positions(text)) == {"a": 2, "a[0]": 3, "a[1]": 4, "a[1].b": 4, "c": 7}


def test_what_is_not_there_has_the_line_of_what_it_would_stand_in():
    lines = {"a": 2, "a[1]": 4}
    assert [line_of(path, lines) for path in ("a[1].b.c", "a[7]", "a", "z", "z[0].y", "")] == [4, 2, 2, 1, 1, 1]


def test_a_key_that_stands_twice_is_found_with_its_second_line():
    assert repeated('{"a": {"b": 1},\n "b": 2,\n "a": 3}]') == ("a", 3)
    assert repeated('{"x": [{"a": 1}, {"a": 1,\n"a": 2}]}') == ("x[1].a", 2)
