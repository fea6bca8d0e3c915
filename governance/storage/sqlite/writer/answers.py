"""Answers that are kept for repeats, compressed: what an answer has in common with others is stored once.

An answer consists mostly of texts that come again (its rules, with their UUIDs). Each such text is a row of
`answer_texts`; together they are the preset dictionary with which zlib compresses the answer. The bytes come back
equal, whatever has become of the limits.

When a text may go is told without a clock. `seq` is the number of the effect, which only rises. A worker that uses a
text notes its own seq on the row again after `NOTED_AGAIN` effects, so no answer from `last_use + NOTED_AGAIN` on
refers to that note (see `UnusedTexts` in `pruning.py`).
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
"""Of 3.7 kB (eight rules), 1 makes 381 bytes, 2 makes 367 in as many microseconds (17), 6 makes 334 in 24."""
MEMORY = 6
"""zlib's memLevel: with more than this it asks the system for memory at each answer, three times the time."""
SMALLEST_WINDOW, LARGEST_WINDOW = 10, 15
DIGEST = 16


class StoredAnswer(NamedTuple):
    """The answer to an effect, and what it repeats."""

    seq: int
    fingerprint: bytes
    body: bytes
    texts: tuple[str, ...]


class AnswerTexts(NamedTuple):
    """Stored texts beside which answers are compressed: their ids, their bytes, and until which seq they are noted."""

    ids: bytes
    beside: bytes
    until: int


class AnswerTextsCache:
    """What a worker knows of the stored texts on one connection; nothing of what was undone."""

    def __init__(self, *, has_old_answers: bool = False) -> None:
        self._known: dict[tuple[str, ...], AnswerTexts] = {}
        self.has_old_answers = has_old_answers
        """Whether answers may be left that a version before schema 0007 kept; nobody adds to them any more."""

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> Self:
        """What is known on a connection that was just opened."""
        return cls(has_old_answers=bool(connection.execute(HAS_OLD).fetchone()[0]))

    def get(self, texts: tuple[str, ...], seq: int) -> AnswerTexts | None:
        """The stored texts, where they need not be noted anew."""
        known = self._known.get(texts)
        return known if known is not None and seq < known.until else None

    def learn(self, found: dict[tuple[str, ...], AnswerTexts]) -> None:
        """Remember what a batch has stored, once all of it is written."""
        if len(self._known) + len(found) > MOST_REMEMBERED:
            self._known.clear()
        self._known.update(found)


class AnswerStore:
    """The kept answers, in one transaction."""

    def __init__(self, connection: sqlite3.Connection, known: AnswerTextsCache) -> None:
        self._execute = connection.execute
        self._known = known
        self._stored: dict[tuple[str, ...], AnswerTexts] = {}

    def get(self, key: IdempotencyKey, since: int) -> tuple[bytes, bytes] | None:
        """The fingerprint and the answer that were kept under a key since an instant."""
        row = self._execute(GET, (digest(key), since)).fetchone()
        if row is not None:
            return row[0], self._unpacked(*row[1:])
        if self._known.has_old_answers:
            old = self._execute(GET_OLD, (*key, since)).fetchone()
            return old and (bytes.fromhex(old[0])[:DIGEST], old[1])
        return None

    def rows(self, kept: dict[IdempotencyKey, StoredAnswer], now: int) -> list[tuple[object, ...]]:
        """What `PUT` writes; texts that are new are stored."""
        found: list[tuple[object, ...]] = []
        for key, (seq, fingerprint, body, texts) in kept.items():
            beside = self._stored.get(texts) or self._known.get(texts, seq) or self._store(texts, seq)
            found.append((seq, digest(key), fingerprint, now, beside.ids, _packed(body, beside.beside)))
        return found

    def done(self) -> None:
        """All is written: what was stored is known from now on."""
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
    """What an idempotency key is stored as. None of its parts has a NUL in it."""
    return _digest("\0".join(key).encode())


def _packed(body: bytes, beside: bytes) -> bytes:
    """A text compressed beside others; the window is as large as it needs to be, since zlib clears all of it first."""
    window = min(LARGEST_WINDOW, max(SMALLEST_WINDOW, (len(beside) + len(body)).bit_length()))
    writer = zlib.compressobj(LEVEL, zlib.DEFLATED, -window, MEMORY, zlib.Z_DEFAULT_STRATEGY, beside)
    return writer.compress(body) + writer.flush()


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=DIGEST).digest()
