"""The strict reader of JSON."""

import json
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.errors import Code, InvalidRequest
from governance.domain.strict_json import read_object

often = settings(deadline=None, max_examples=150)
scalars = st.none() | st.booleans() | st.integers(-(10**38), 10**38) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(st.text(), values, max_size=4)


def refusal(body):
    with pytest.raises(InvalidRequest) as caught:
        read_object(body)
    assert caught.value.code == Code.INVALID_BODY
    return caught.value


def nested(depth, opening=b'{"a":', closing=b"}"):
    """Return an object of the given depth."""
    return b'{"a":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"


def typed(value):
    """Return the value with the type of all its parts, because True equals 1."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return [typed(item) for item in value] if isinstance(value, list) else (type(value), value)


@given(objects, st.booleans(), st.sampled_from([None, 2]))
@often
def test_any_object_of_plain_values_is_read_as_it_was_written(value, escaped, indent):
    assert typed(read_object(json.dumps(value, ensure_ascii=escaped, indent=indent).encode())) == typed(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
@often
def test_a_broken_number_is_a_decimal_of_exactly_its_digits(number):
    found = read_object(json.dumps({"n": [number]}).encode())["n"][0]
    assert isinstance(found, Decimal)
    assert str(found) == str(Decimal(repr(number)))


def read_or_refused(body):
    try:
        return read_object(body)
    except InvalidRequest as refused:
        return refused.code


@given(st.binary() | st.text('{}[]",:\\ud8019eE+-.nulltrfasNI \n').map(str.encode))
@often
def test_any_bytes_are_an_object_or_refused_as_an_invalid_body(body):
    found = read_or_refused(body)
    assert isinstance(found, dict) or found == Code.INVALID_BODY


@given(objects, st.data())
@often
def test_a_body_cut_short_is_refused(value, data):
    body = json.dumps(value).encode()
    refusal(body[: data.draw(st.integers(0, len(body) - 1))])


@pytest.mark.parametrize("body", [b"[]", b"[{}]", b'"{}"', b"1", b"1.5", b"null", b"true"])
def test_what_is_no_object_is_refused(body):
    assert refusal(body).message == "Send a JSON object, such as {}."


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{", b"{}}", b"{} {}", b"{},", b"{}\x00", b"{'a': 1}", b'{"a": 1,}', b"a=1"]
)
def test_what_is_no_json_and_what_follows_the_object_is_refused(body):
    assert "not valid JSON at line 1, column" in refusal(body).message


@pytest.mark.parametrize("number", ["01", "+1", ".5", "1.", "1e", "0x10", "1_000", "٣", "- 1", "--1"])
def test_a_number_in_another_language_than_json_is_refused(number):
    refusal(f'{{"a": {number}}}'.encode())


@pytest.mark.parametrize("text", ['"\x00"', '"a\nb"', '"\\x41"', '"\\u12"'])
def test_a_string_in_another_language_than_json_is_refused(text):
    refusal(f'{{"a": {text}}}'.encode())


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_refused_by_name(constant):
    assert constant in refusal(f'{{"a": [{constant}]}}'.encode()).message


@pytest.mark.parametrize(
    "body",
    [
        b'{"limit": 1, "limit": 1}',
        b'{"limit": 1, "x": 0, "limit": 2}',
        b'{"a": [{"limit": {}, "limit": {}}]}',
        b'{"limit": 1, "\\u006cimit": 2}',
    ],
)
def test_a_key_given_twice_in_one_object_is_refused_by_name(body):
    refused = refusal(body)
    assert refused.param == "limit"
    assert "'limit'" in refused.message


def test_the_same_key_in_two_objects_or_in_another_case_is_no_repetition():
    assert read_object(b'{"a": {"a": {"a": 1}}, "A": [{"a": 1}, {"a": 2}]}')["A"] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("surrogate", ["\\ud800", "\\uDFFF", "x\\udc00y", "\\ude00\\ud83d", "\\ud83d\\ud83d\\ude00"])
@pytest.mark.parametrize("place", ['{"a": "%s"}', '{"%s": 1}', '{"a": ["%s"]}', '{"a": [{"b": {"%s": {}}}]}'])
def test_an_unpaired_surrogate_is_refused_wherever_it_stands(surrogate, place):
    assert "surrogates" in refusal((place % surrogate).encode()).message


def test_a_pair_of_surrogates_is_one_character():
    assert read_object(b'{"\\ud83d\\ude00": "\\uD83D\\uDE00"}') == {"😀": "😀"}


def test_the_refusal_of_a_repeated_key_can_itself_be_sent_as_utf_8():
    refused = refusal(b'{"\\ud800": 1, "\\ud800": 2}')
    assert f"{refused.message}{refused.param}".encode()


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "é".encode("latin-1")]
)
def test_invalid_utf_8_is_refused(text):
    assert "UTF-8" in refusal(b'{"a": "' + text + b'"}').message


@pytest.mark.parametrize("body", ["{}".encode("utf-16"), "{}".encode("utf-32-le"), b"\xef\xbb\xbf{}"])
def test_another_encoding_or_a_byte_order_mark_is_refused(body):
    refusal(body)


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
def test_nesting_is_allowed_up_to_32_and_no_further(opening, closing):
    assert read_object(nested(32, opening, closing))
    assert refusal(nested(33, opening, closing)).message == "Nest the body at most 32 deep."


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]"), (b"[", b""), (b'{"a":[', b"]}")])
@pytest.mark.parametrize("depth", [900, 1100, 100_000])
def test_nesting_deeper_than_any_stack_is_refused_like_any_other(opening, closing, depth):
    refusal(nested(depth, opening, closing))


@pytest.mark.parametrize("sign", ["", "-"])
def test_an_integer_is_an_int_up_to_forty_characters_and_a_decimal_beyond(sign):
    digits = sign.ljust(40, "9")
    found = read_object(f'{{"short": {digits}, "long": {digits}9}}'.encode())
    assert typed(found) == {"short": (int, int(digits)), "long": (Decimal, Decimal(digits + "9"))}


@pytest.mark.parametrize("text", ["9" * 100_000, "-" + "9" * 100_000, "0." + "9" * 100_000, "1e900000", "-1E-900000"])
def test_a_huge_number_is_read_at_once_and_exactly(text):
    began = time.process_time()
    found = read_object(f'{{"a": {text}}}'.encode())["a"]
    assert time.process_time() - began < 0.1
    assert isinstance(found, Decimal)
    assert found == Decimal(text)


@pytest.mark.parametrize("text", ["1e99999999999999999999", "1e-99999999999999999999", "-1.5E+99999999999999999999"])
def test_a_number_beyond_all_exponents_is_refused(text):
    assert "astronomically" in refusal(f'{{"a": {text}}}'.encode()).message
