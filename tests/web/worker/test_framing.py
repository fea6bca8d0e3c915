"""The end of a message is found for any division of its bytes, and agrees with gunicorn's own parser."""

import pytest
from gunicorn.config import Config
from gunicorn.http import RequestParser
from gunicorn.http.errors import NoMoreData, ParseException
from hypothesis import given
from hypothesis import strategies as st

from governance.web.http.flask_app import MAX_BODY
from governance.web.worker.framing import MAX_HEAD, MAX_LINE, MAX_MESSAGE, Framing, MessageProgress

HEAD = b"POST /x HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n"

GOOD = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    HEAD + b"\r\n",
    HEAD + b"Content-Length: 0\r\n\r\n",
    HEAD + b"Content-Length:5\r\n\r\nhello",
    HEAD + b"cOnTeNt-LeNgTh: \t 5 \r\n\r\nhello",
    HEAD + b"Content-Length: 00005\r\n\r\n\r\n\r\n!",
    HEAD + b"Expect: 100-Continue\r\nContent-Length: 5\r\n\r\nhello",
    HEAD + b"X-Content-Length: 7\r\nContent-Length: 5\r\n\r\nhello",
    CHUNKED + b"0\r\n\r\n",
    CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"5;name=value\r\nhello\r\n000A \r\n0123456789\r\n0\r\nX-Trailer: y\r\n\r\n".replace(b"A \r", b"A\r"),
    CHUNKED + b"4\r\n\r\n\r\n\r\n0;last\r\nA: b\r\nC: d\r\n\r\n",
]
REFUSED = [
    b"GET / HTTP/1.1\nHost: x\n\n",
    HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Content-Length: +5\r\n\r\nhello",
    HEAD + b"Content-Length: -5\r\n\r\nhello",
    HEAD + b"Content-Length: 5,5\r\n\r\nhello",
    HEAD + b"Content-Length: \xb2\r\n\r\nhello",
    HEAD + b"Content-Length: 0x5\r\n\r\nhello",
    HEAD + b"Content-Length: \r\n\r\n",
    HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Expect: miracles\r\nContent-Length: 5\r\n\r\n",
    CHUNKED + b"zz\r\n",
    CHUNKED + b"-5\r\nhello\r\n",
    CHUNKED + b"\r\n",
    CHUNKED + b"5\r\nhello!!0\r\n\r\n",
    CHUNKED + b"fffffffff\r\n",
]
"""Messages that gunicorn refuses or closes, so the loop must not wait for more bytes."""


def looked(data: bytes, cuts: list[int]) -> tuple[MessageProgress, int]:
    """Return the final progress of a message whose bytes come in pieces."""
    framing = Framing()
    for cut in [*sorted(cuts), len(data)]:
        if framing.look(data[:cut]) in {MessageProgress.WHOLE, MessageProgress.REFUSED}:
            break
    return framing.progress, framing.end


def consumed(data: bytes) -> int:
    """Return the number of bytes that gunicorn takes for the first message."""
    parser = RequestParser(Config(), iter([data]), ("127.0.0.1", 1))
    next(parser)
    parser.finish_body()
    return len(data) - len(parser.unreader.take_buffered())


@pytest.mark.parametrize("message", GOOD)
def test_a_message_ends_where_gunicorn_says(message: bytes):
    for data in (message, message + NEXT):
        assert consumed(data) == len(message)
        assert looked(data, []) == (MessageProgress.WHOLE, len(message))


@pytest.mark.parametrize("message", GOOD)
def test_a_message_less_a_byte_is_waited_for(message: bytes):
    assert Framing().look(message[:-1]) in {MessageProgress.HEAD, MessageProgress.BODY}


@pytest.mark.parametrize("message", [*GOOD, *REFUSED])
def test_a_message_that_comes_byte_by_byte_is_judged_alike(message: bytes):
    assert looked(message, list(range(len(message))))[0] is looked(message, [])[0]


@pytest.mark.parametrize("message", REFUSED)
def test_what_has_no_clear_end_is_not_waited_for(message: bytes):
    assert looked(message, [])[0] is MessageProgress.REFUSED


lines = st.sampled_from(
    [b"5", b"0", b"A", b"x", b"; e", b" ", b"\t", b"\r\n", b"\n", b"\r", b"hello", b"chunked", b":"]
)
heads = st.sampled_from([HEAD, CHUNKED, HEAD + b"Content-Length: 5\r\n\r\n", HEAD + b"Content-Length: "])


@given(heads, st.lists(lines | st.binary(max_size=3), max_size=12).map(b"".join), st.lists(st.integers(0, 200)))
def test_whatever_comes_no_whole_message_ends_elsewhere_than_gunicorn_says(head: bytes, rest: bytes, cuts: list[int]):
    data = head + rest
    progress, end = looked(data, [cut for cut in cuts if cut < len(data)])
    assert looked(data, [])[0] is progress
    if progress is MessageProgress.WHOLE:
        try:
            assert consumed(data) == end
        except (ParseException, NoMoreData):
            return  # the message is refused, and the connection is closed


@given(st.lists(st.binary(min_size=1, max_size=400), max_size=8), st.lists(st.integers(0, 4000), max_size=8))
def test_any_chunked_body_in_any_pieces_ends_with_its_last_chunk(chunks: list[bytes], cuts: list[int]):
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    data = CHUNKED + body + NEXT
    assert looked(data, [cut for cut in cuts if cut < len(data)]) == (MessageProgress.WHOLE, len(CHUNKED + body))


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"x" * MAX_HEAD,
        HEAD + b"Content-Length: 99999999999999\r\n\r\n",
        CHUNKED + b"fffffff\r\n" + b"x" * (MAX_BODY + 1),
        CHUNKED + b"1;" + b"x" * MAX_LINE,
        CHUNKED + b"0\r\nX: " + b"y" * MAX_LINE,
        CHUNKED + b"1;%b\r\nx\r\n" % (b"y" * 8000) * (MAX_MESSAGE // 8000 + 1),
    ],
)
def test_what_is_too_large_is_not_waited_for(data: bytes):
    assert looked(data, [])[0] is MessageProgress.REFUSED


def test_a_body_of_more_than_a_mebibyte_is_left_to_whom_the_app_lets_in():
    head = HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1)
    assert looked(head, []) == (MessageProgress.LARGE, len(head) + MAX_BODY + 1)


def test_a_chunked_body_of_a_mebibyte_is_waited_for_and_found():
    body = b"".join([b"%x\r\n%b\r\n" % (65536, b"x" * 65536)] * 16)
    assert Framing().look(CHUNKED + body) is MessageProgress.BODY
    assert Framing().look(CHUNKED + body + b"0\r\n\r\n") is MessageProgress.WHOLE
