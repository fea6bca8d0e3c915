"""The usage in a model's answer is found for any division of the answer into pieces."""

import base64
import json
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.gateways.answer_reader import AWS_STREAM, AnswerReader
from governance.domain.pricing import provider_usage

EVENT_STREAM = "text/event-stream"


def sse(*events, end="\n\n", named=False):
    """Return server-sent events with the JSON of each event."""
    lines = []
    for event in events:
        text = event if isinstance(event, str) else json.dumps(event)
        lines.append((f"event: {event['type']}\n" if named else "") + f"data: {text}{end}")
    return "".join(lines).encode()


def aws(*payloads, kind="chunk", name=":event-type"):
    """Return messages of AWS's binary event stream."""
    found = b""
    for payload in payloads:
        body = json.dumps(payload).encode()
        value = kind.encode()
        headers = bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value
        prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
        message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
        found += message + struct.pack(">I", zlib.crc32(message))
    return found


def told(data, media_type="", size=None):
    reader = AnswerReader(media_type)
    for at in range(0, len(data), size or max(1, len(data))):
        reader.feed(data[at : at + (size or len(data))])
    return reader.end()


def counts(answer):
    found, faults = provider_usage.read(answer.usage)
    assert faults == {}
    return found.input, found.cached_input, found.output


OPENAI_USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}}
OPENAI_STREAM = sse(
    {"choices": [{"delta": {"content": "Hi"}}], "usage": None}, {"choices": [], "usage": OPENAI_USAGE}, "[DONE]"
)
ANTHROPIC_START = {
    "type": "message_start",
    "message": {"usage": {"input_tokens": 8, "cache_read_input_tokens": 4, "output_tokens": 1}},
}
ANTHROPIC_DELTA = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}}
ANTHROPIC_END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}
ANTHROPIC_STREAM = sse(
    ANTHROPIC_START, {"type": "ping"}, ANTHROPIC_DELTA, ANTHROPIC_END, {"type": "message_stop"}, named=True
)
RESPONSES_USAGE = {"input_tokens": 12, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 4}}
RESPONSES_STREAM = sse(
    {"type": "response.created", "response": {"usage": None, "error": None}},
    {"type": "response.output_text.delta", "delta": "Hi"},
    {
        "type": "response.completed",
        "response": {
            "error": None,
            "usage": RESPONSES_USAGE,
        },
    },
    named=True,
)
GEMINI_CHUNK = {
    "candidates": [{}],
    "usageMetadata": {"promptTokenCount": 12, "cachedContentTokenCount": 4, "candidatesTokenCount": 3},
}
GEMINI_LAST = {"usageMetadata": {"promptTokenCount": 12, "cachedContentTokenCount": 4, "candidatesTokenCount": 7}}
CONVERSE_STREAM = aws(
    {"contentBlockIndex": 0, "delta": {"text": "Hi"}},
    {"usage": {"inputTokens": 8, "cacheReadInputTokens": 4, "outputTokens": 7}, "metrics": {"latencyMs": 5}},
)
METRICS = {"inputTokenCount": 8, "outputTokenCount": 7, "cacheReadInputTokenCount": 4, "invocationLatency": 9}
BEDROCK_STOP = {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS}
NOVA_END = {"messageStop": {"stopReason": "end_turn"}, "amazon-bedrock-invocationMetrics": METRICS}
INVOKE_STREAM = aws(
    *(
        {"bytes": base64.b64encode(json.dumps(each).encode()).decode()}
        for each in (ANTHROPIC_START, ANTHROPIC_DELTA, ANTHROPIC_END, BEDROCK_STOP)
    )
)
STREAMS = {
    "openai": (OPENAI_STREAM, EVENT_STREAM),
    "anthropic": (ANTHROPIC_STREAM, EVENT_STREAM),
    "responses": (RESPONSES_STREAM, "text/event-stream; charset=utf-8"),
    "gemini": (sse(GEMINI_CHUNK, GEMINI_LAST, end="\r\n\r\n"), EVENT_STREAM),
    "gemini as a list": (json.dumps([GEMINI_CHUNK, GEMINI_LAST]).encode(), "application/json"),
    "bedrock converse": (CONVERSE_STREAM, AWS_STREAM),
    "bedrock invoke": (INVOKE_STREAM, AWS_STREAM),
    "bedrock metrics": (
        aws({"bytes": base64.b64encode(json.dumps(NOVA_END).encode()).decode()}),
        AWS_STREAM,
    ),
    "json behind blanks": (b" \r\n " + json.dumps({"usage": OPENAI_USAGE}).encode(), "application/json"),
    "behind a mark": (b"\xef\xbb\xbf" + OPENAI_STREAM, EVENT_STREAM),
    "several data lines": (
        b'data: {"usage":\r\rdata: {"usage":\rdata:' + json.dumps(OPENAI_USAGE).encode() + b"\r\ndata: }\n\n",
        EVENT_STREAM,
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_of_all_providers_are_read(name):
    answer = told(*STREAMS[name])
    assert (counts(answer), answer.has_output, answer.is_error) == ((12, 4, 7), True, False)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("media_type", ["", "application/json", EVENT_STREAM, "application/octet-stream"])
def test_the_first_bytes_tell_the_form(name, media_type):
    assert counts(told(STREAMS[name][0], media_type)) == (12, 4, 7)


@given(name=st.sampled_from(sorted(STREAMS)), cuts=st.lists(st.integers(1, 400), max_size=30))
def test_any_split_into_pieces_gives_the_same(name, cuts):
    data, media_type = STREAMS[name]
    reader, at = AnswerReader(media_type), 0
    for cut in cuts:
        reader.feed(data[at : at + cut])
        at += cut
    reader.feed(data[at:])
    assert counts(reader.end()) == (12, 4, 7)


@pytest.mark.parametrize("name", STREAMS)
def test_single_bytes_give_the_same(name):
    assert counts(told(*STREAMS[name], size=1)) == (12, 4, 7)


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": {"content": "Hi"}}], "usage": OPENAI_USAGE, "error": None},
        {"type": "message", "usage": {"input_tokens": 8, "cache_read_input_tokens": 4, "output_tokens": 7}},
        {"usageMetadata": {"promptTokenCount": 12, "cachedContentTokenCount": 4, "candidatesTokenCount": 7}},
        {"output": {}, "usage": {"inputTokens": 8, "cacheReadInputTokens": 4, "outputTokens": 7}},
    ],
)
def test_whole_answers_of_all_providers_are_read(body):
    assert counts(told(json.dumps(body).encode(), "application/json")) == (12, 4, 7)


def test_cohere_tells_its_usage_in_its_meta():
    answer = told(
        json.dumps({"text": "Hi", "meta": {"billed_units": {"input_tokens": 3, "output_tokens": 2}}}).encode()
    )
    assert counts(answer) == (3, 0, 2)


def test_a_stream_that_breaks_off_has_no_final_usage():
    for broken in (sse({"choices": [{"delta": {}}]}), sse(ANTHROPIC_START, ANTHROPIC_DELTA), CONVERSE_STREAM[:-30]):
        answer = told(broken, AWS_STREAM if broken is not None and broken[:1] == b"\0" else EVENT_STREAM)
        assert (answer.usage, answer.has_output) == (None, True)


def test_a_last_event_without_a_blank_line_counts():
    assert counts(told(OPENAI_STREAM[: OPENAI_STREAM.index(b"data: [DONE]")].rstrip(), EVENT_STREAM)) == (12, 4, 7)


@pytest.mark.parametrize(
    ("data", "has_output"),
    [
        (json.dumps({"error": {"message": "overloaded"}}).encode(), False),
        (sse({"type": "error", "error": {"type": "overloaded_error"}}), False),
        (sse(ANTHROPIC_START, {"type": "error", "error": {"type": "overloaded_error"}}), False),
        (sse({"type": "response.failed", "response": {"error": {"code": "server_error"}}}), False),
        (sse(ANTHROPIC_START, ANTHROPIC_DELTA, {"type": "error", "error": {"type": "overloaded_error"}}), True),
    ],
)
def test_errors_before_and_behind_output_are_told_apart(data, has_output):
    answer = told(data)
    assert (answer.is_error, answer.has_output, answer.usage) == (True, has_output, None)


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"{", b"data: {\n\n", b"data: nope\n\n", b"[1, 2]", b"null", b"\xff\xfe"]
)
def test_what_is_no_answer_tells_nothing(data):
    assert told(data).usage is None


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("long", [b"data: " + b"x" * 500, b"data: xxxx\n" * 50, b": " + b"x" * 500, b"x" * 500])
def test_events_longer_than_the_bound_are_dropped_and_later_ones_read(long, size):
    reader = AnswerReader(EVENT_STREAM, longest=250)
    data = long + b"\n\n" + OPENAI_STREAM
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    assert counts(reader.end()) == (12, 4, 7)


def test_longer_answers_than_the_bound_are_dropped():
    whole = AnswerReader("application/json", longest=100)
    whole.feed(json.dumps({"text": "x" * 500, "usage": OPENAI_USAGE}).encode())
    whole.feed(b"{}")
    assert whole.end().usage is None
    broken = AnswerReader(AWS_STREAM, longest=20)
    broken.feed(CONVERSE_STREAM)
    broken.feed(CONVERSE_STREAM)
    assert broken.end().usage is None


@pytest.mark.parametrize(
    "endless", [b"data: " + b"x" * 60_000, b"data: x\n" * 8_000, b"x" * 60_000, b"data:\n" * 9_000]
)
@pytest.mark.parametrize("begins", [b"data: {}\n", b"{", b"\x00\x00\x40\x00" + b"\0" * 8])
def test_memory_is_flat_however_long_an_answer_is(begins, endless):
    reader = AnswerReader("", longest=100_000)
    reader.feed(begins)
    tracemalloc.start()
    for _ in range(40):
        reader.feed(endless)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_500_000


def test_a_failed_answer_with_usage_keeps_its_usage():
    failed = {"type": "response.failed", "response": {"error": {"code": "x"}, "usage": RESPONSES_USAGE}}
    assert counts(told(sse(failed))) == (12, 4, 7)


def test_a_failure_of_an_aws_stream_is_an_error():
    answer = told(aws({"message": "Too many requests"}, kind="throttlingException", name=":exception-type"), AWS_STREAM)
    assert (answer.is_error, answer.has_output, answer.usage) == (True, False, None)


FIELDS = st.sampled_from(
    ("type", "error", "usage", "message", "response", "delta", "meta", "metadata", "usageMetadata", "prompt_tokens")
)
shapes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=5), inner, max_size=4),
)


@given(event=shapes)
def test_no_event_breaks_it(event):
    answer = told(sse(json.dumps(event)))
    if answer.usage is not None:
        provider_usage.read(answer.usage)


@given(data=st.binary(max_size=300), media_type=st.sampled_from(["", EVENT_STREAM, AWS_STREAM, "application/json"]))
def test_no_bytes_break_it(data, media_type):
    told(data, media_type, size=7)
