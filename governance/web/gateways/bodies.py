"""Reads and decompresses the bodies that proxies pass on: whole requests, and answers of an upstream in pieces.

An upstream is the service that runs the model. Each function stops at a maximum size.
"""

import zlib
from collections.abc import Callable, Iterator

from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from governance.domain.gateways.charged import NoUsage
from governance.domain.gateways.model_call import unreadable
from governance.web.http.flask_app import HttpRequest

ReadBody = Callable[[int], bytes]
"""Reads a body. The argument is the largest number of bytes that the body may have."""
PIECE = 64 * 1024
WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""The argument `wbits` of zlib for each Content-Encoding."""
PLAIN = ("", "identity")
LONGEST_ANSWER = 1024 * 1024 * 1024
"""The largest number of bytes that an answer may have after decompression.

Without a maximum, a small answer could become a thousand times as large.
"""
UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")
"""The values of `charset` whose text can be read as UTF-8."""


def coding(request: HttpRequest) -> str:
    """Return the Content-Encoding of a request, in lower case."""
    return str(request.environ.get("HTTP_CONTENT_ENCODING", "")).strip().lower()


def refuse_other_charset(request: HttpRequest) -> None:
    """Raise InvalidRequest if Content-Type says that the text is not UTF-8."""
    if "charset" in str(request.environ.get("CONTENT_TYPE", "")).lower():
        told = request.mimetype_params.get("charset", UTF8[0])
        if told.lower() not in UTF8:
            raise unreadable("Send the body as UTF-8, and say so in Content-Type.", "Content-Type")


def plain(read: ReadBody, encoding: str, most: int) -> bytes:
    """Return the decompressed body.

    Raises InvalidRequest if the body cannot be decompressed. Raises RequestEntityTooLarge if it has more than `most`
    bytes.
    """
    data = read(most)
    if not data or encoding in PLAIN:
        return data
    if encoding not in WINDOWS:
        raise unreadable("Send the body uncompressed, or with gzip or deflate.", "Content-Encoding")
    inflater = zlib.decompressobj(WINDOWS[encoding])
    try:
        found = inflater.decompress(data, most + 1)
    except zlib.error as error:
        raise unreadable(f"Send the body as {encoding}, as Content-Encoding says.", "Content-Encoding") from error
    if len(found) > most:
        raise RequestEntityTooLarge
    if not inflater.eof or inflater.unused_data:
        raise unreadable(f"Send the whole {encoding} body.", "Content-Encoding")
    return found


def pieces(request: HttpRequest, note_fault: Callable[[NoUsage], None]) -> Iterator[bytes]:
    """Yield the body in decompressed pieces as they arrive.

    If the data cannot be decompressed, is cut off or becomes too large, call `note_fault` with the reason and yield no
    more. Raises ClientDisconnected (400) if the body ends too early.
    """
    encoding, raw = coding(request), _raw(request)
    if encoding in PLAIN:
        yield from raw
    elif encoding in WINDOWS:
        yield from _decompressed(raw, zlib.decompressobj(WINDOWS[encoding]), note_fault)
    else:
        note_fault(NoUsage.UNKNOWN_FORM)
    for _ in raw:  # read the rest, so that the connection can be used again
        pass


def _decompressed(
    raw: Iterator[bytes], inflater: "zlib._Decompress", note_fault: Callable[[NoUsage], None]
) -> Iterator[bytes]:
    """Yield decompressed pieces that together have at most LONGEST_ANSWER bytes."""
    left = LONGEST_ANSWER
    try:
        for found in (found for piece in raw for found in _inflated(inflater, piece)):
            left -= len(found)
            if left < 0:
                note_fault(NoUsage.TOO_LARGE)
                return
            yield found
    except zlib.error:
        note_fault(NoUsage.UNKNOWN_FORM)
    else:
        if not inflater.eof:
            note_fault(NoUsage.CUT_OFF)


def _inflated(inflater: "zlib._Decompress", piece: bytes) -> Iterator[bytes]:
    found = inflater.decompress(piece, PIECE)
    while found:
        yield found
        found = inflater.decompress(inflater.unconsumed_tail, PIECE)


def _raw(request: HttpRequest) -> Iterator[bytes]:
    source, told = request.environ["wsgi.input"], request.environ.get("CONTENT_LENGTH")
    left = int(told) if told and told.isdecimal() else None
    if left is None and "HTTP_TRANSFER_ENCODING" not in request.environ:
        return
    while left is None or left > 0:
        try:
            piece = source.read(PIECE if left is None else min(PIECE, left))
        except (OSError, ParseException) as error:  # gunicorn raises ParseException for a malformed chunk
            raise ClientDisconnected from error
        if not piece and left:
            raise ClientDisconnected
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece
