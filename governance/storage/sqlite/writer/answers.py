"""Stores the responses to calls with an idempotency key, compressed. Texts that many responses share are stored once.

A response consists mostly of texts that occur in other responses too: its rules, with their UUIDs. Each of these texts
is a row of `answer_texts`. Together they are the preset dictionary with which zlib compresses the response. If a call
is repeated with the same key, it gets the same bytes again, even if the limits have changed since.

Unused texts are deleted without a clock. Each reservation has a number, `seq`, which only rises. When a worker uses a
text, it writes the seq of the reservation to the text's `last_use`. It writes `last_use` again only after `NOTED_AGAIN`
more reservations. So all responses that use the text have a seq below `last_use + NOTED_AGAIN` (see `UnusedAnswerTexts`
in `retention/pruning.py`).
"""

import hashlib
import sqlite3
import zlib
from array import array
from functools import lru_cache
from typing import NamedTuple, Self

from governance.storage.store import IdempotencyKey

PUT = "INSERT OR REPLACE INTO answers (seq, digest, fingerprint, created_at, texts, body) VALUES {}"
GET = "SELECT fingerprint, texts, body FROM answers WHERE digest = ? AND created_at > ?"
GET_OLD = """
    SELECT fingerprint, answer FROM idempotency
    WHERE api_key_id = ? AND path = ? AND key = ? AND created_at > ?"""
HAS_OLD = "SELECT EXISTS (SELECT 1 FROM idempotency)"
GET_TEXT = "SELECT text FROM answer_texts WHERE id = ?"
PUT_TEXT = """
    INSERT INTO answer_texts (digest, text, last_use) VALUES (?, ?, ?)
    ON CONFLICT (digest) DO UPDATE SET last_use = max(last_use, excluded.last_use) RETURNING id"""

NOTED_AGAIN = 10_000
MOST_REMEMBERED = 1024
LEVEL = 2
"""zlib's level. Level 2 compresses 3.7 kB (eight rules) to 367 bytes in 17 µs. Level 1 gives 381 bytes in 17 µs, and
level 6 gives 334 bytes in 24 µs."""
MEMORY = 6
"""zlib's memLevel.

With a higher level, zlib allocates memory from the system for each response and takes three times as long.
"""
SMALLEST_WINDOW, LARGEST_WINDOW = 10, 15
DIGEST = 16


class StoredAnswer(NamedTuple):
    """A response to store. `seq` is the number of its reservation. `fingerprint` is a hash of its request.

    `texts` are the parts of the response that other responses contain too.
    """

    seq: int
    fingerprint: bytes
    body: bytes
    texts: tuple[str, ...]


class AnswerTexts(NamedTuple):
    """The texts of one compression dictionary. `ids` are their ids, and `beside` contains their joined bytes.

    When a reservation with the seq `until` or a higher one uses the texts, their `last_use` must be written again.
    """

    ids: bytes
    beside: bytes
    until: int


class AnswerTextsCache:
    """A worker's cache of stored texts, for one connection to the database.

    The cache contains no texts of a transaction that was rolled back.
    """

    def __init__(self, *, has_old_answers: bool = False) -> None:
        self._known: dict[tuple[str, ...], AnswerTexts] = {}
        self.has_old_answers = has_old_answers
        """Whether the table `idempotency` may contain responses from before schema 0007. No new ones are added."""

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> Self:
        """Return an empty cache for a connection that was just opened."""
        return cls(has_old_answers=bool(connection.execute(HAS_OLD).fetchone()[0]))

    def get(self, texts: tuple[str, ...], seq: int) -> AnswerTexts | None:
        """Return the stored texts. Return None if they are unknown, or if their `last_use` must be written again."""
        known = self._known.get(texts)
        return known if known is not None and seq < known.until else None

    def learn(self, found: dict[tuple[str, ...], AnswerTexts]) -> None:
        """Add the texts that a batch has stored. This must be called after all rows of the batch were written."""
        if len(self._known) + len(found) > MOST_REMEMBERED:
            self._known.clear()
        self._known.update(found)


class AnswerStore:
    """Reads and writes stored responses in one transaction."""

    def __init__(self, connection: sqlite3.Connection, known: AnswerTextsCache) -> None:
        self._execute = connection.execute
        self._known = known
        self._stored: dict[tuple[str, ...], AnswerTexts] = {}

    def get(self, key: IdempotencyKey, since: int) -> tuple[bytes, bytes] | None:
        """Return the fingerprint and the response for a key. Return None if none was stored after `since`."""
        row = self._execute(GET, (digest(key), since)).fetchone()
        if row is not None:
            return row[0], self._unpacked(*row[1:])
        if self._known.has_old_answers:
            old = self._execute(GET_OLD, (*key, since)).fetchone()
            return old and (bytes.fromhex(old[0])[:DIGEST], old[1])
        return None

    def rows(self, kept: dict[IdempotencyKey, StoredAnswer], now: int) -> list[tuple[object, ...]]:
        """Store the texts that are new. Return the values for the statement `PUT`, one row for each response."""
        found: list[tuple[object, ...]] = []
        for key, (seq, fingerprint, body, texts) in kept.items():
            beside = self._stored.get(texts) or self._known.get(texts, seq) or self._store(texts, seq)
            found.append((seq, digest(key), fingerprint, now, beside.ids, _packed(body, beside.beside)))
        return found

    def done(self) -> None:
        """Move the texts of this transaction to the cache. This must be called after all rows were written."""
        if self._stored:
            self._known.learn(self._stored)

    def _store(self, texts: tuple[str, ...], seq: int) -> AnswerTexts:
        encoded = [text.encode() for text in texts]
        ids = array("I", [self._execute(PUT_TEXT, (_digest(text), text, seq)).fetchone()[0] for text in encoded])
        self._stored[texts] = made = AnswerTexts(ids.tobytes(), b"".join(encoded), seq + NOTED_AGAIN)
        return made

    def _unpacked(self, texts: bytes, body: bytes) -> bytes:
        found = b"".join(self._execute(GET_TEXT, (text_id,)).fetchone()[0] for text_id in array("I", texts))
        reader = zlib.decompressobj(-LARGEST_WINDOW, zdict=found)
        return reader.decompress(body) + reader.flush()


@lru_cache(maxsize=256)
def digest(key: IdempotencyKey) -> bytes:
    """Return the hash under which a response is stored. No part of a key contains NUL, so NUL separates the parts."""
    return _digest("\0".join(key).encode())


def _packed(body: bytes, beside: bytes) -> bytes:
    """Compress a response with the shared texts as the dictionary.

    zlib first clears its whole window, which takes time. So the window is the smallest that can contain the texts and
    the response.
    """
    window = min(LARGEST_WINDOW, max(SMALLEST_WINDOW, (len(beside) + len(body)).bit_length()))
    writer = zlib.compressobj(LEVEL, zlib.DEFLATED, -window, MEMORY, zlib.Z_DEFAULT_STRATEGY, beside)
    return writer.compress(body) + writer.flush()


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=DIGEST).digest()
