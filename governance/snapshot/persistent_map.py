"""An immutable mapping. A new version shares all unchanged parts with the old version.

The snapshot, a worker's copy of the database in memory, consists of such mappings. A refresh builds a new snapshot
while readers use the old one. If the mapping were one dictionary, copying 100,000 keys would hold the interpreter lock
for milliseconds, and the garbage collector would walk through the copy twice. So this mapping consists of many small
dictionaries. The hash of a key selects one of them. Only dictionaries with changes are copied.
"""

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from itertools import chain
from typing import Self, TypeVar, overload

Key = TypeVar("Key")
Value = TypeVar("Value")
Other = TypeVar("Other")

PIECES = 4096
"""The number of small dictionaries.

With 100,000 keys, a small dictionary contains about 24 keys, and copying it takes less than a microsecond.
"""


class PersistentMap(Mapping[Key, Value]):
    """Values by key. `replaced` returns a new version and leaves this one unchanged."""

    __slots__ = ("pieces",)

    def __init__(self, items: Iterable[tuple[Key, Value]] = ()) -> None:
        empty: dict[Key, Value] = {}
        self.pieces = [empty] * PIECES
        for key, value in items:
            place = hash(key) % PIECES
            if self.pieces[place] is empty:
                self.pieces[place] = {}
            self.pieces[place][key] = value

    def __getitem__(self, key: Key) -> Value:
        return self.pieces[hash(key) % PIECES][key]

    @overload
    def get(self, key: Key, /) -> Value | None: ...
    @overload
    def get(self, key: Key, default: Value | Other, /) -> Value | Other: ...
    def get(self, key: Key, default: object = None, /) -> object:
        """Return the value of a key, or the default.

        The inherited `Mapping.get` is slower, because it raises and catches KeyError for a missing key.
        """
        return self.pieces[hash(key) % PIECES].get(key, default)

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def __iter__(self) -> Iterator[Key]:
        return chain.from_iterable(self.pieces)

    def __eq__(self, other: object) -> bool:
        return self.pieces == other.pieces if isinstance(other, PersistentMap) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def values(self) -> ValuesView[Value]:
        """Return all values. They are in the same order as the keys."""
        return _ValuesView(self)

    def items(self) -> ItemsView[Key, Value]:
        """Return all pairs of key and value."""
        return _ItemsView(self)

    def of(self, keys: Iterable[Key]) -> list[Value]:
        """Return the values of some keys. Raises KeyError."""
        pieces = self.pieces
        return [pieces[hash(key) % PIECES][key] for key in keys]

    def replaced(self, gone: Iterable[Key], news: Mapping[Key, Value]) -> Self:
        """Return a new version without the keys in `gone` and with the values in `news`."""
        pieces, gone = self.pieces.copy(), list(gone)
        for place in {hash(key) % PIECES for key in (*gone, *news)}:
            pieces[place] = pieces[place].copy()
        for key in gone:
            pieces[hash(key) % PIECES].pop(key, None)
        for key, value in news.items():
            pieces[hash(key) % PIECES][key] = value
        made = object.__new__(type(self))
        made.pieces = pieces
        return made

    def changed_since(self, before: "PersistentMap[Key, Value]") -> Iterator[Key]:
        """Return the keys that are new, or whose value is another object than in the older version `before`."""
        for mine, theirs in zip(self.pieces, before.pieces, strict=True):
            if mine is not theirs:
                yield from (key for key, value in mine.items() if theirs.get(key) is not value)


class _ValuesView(ValuesView[Value]):
    _mapping: PersistentMap[object, Value]

    def __iter__(self) -> Iterator[Value]:
        return chain.from_iterable(piece.values() for piece in self._mapping.pieces)


class _ItemsView(ItemsView[Key, Value]):
    _mapping: PersistentMap[Key, Value]

    def __iter__(self) -> Iterator[tuple[Key, Value]]:
        return chain.from_iterable(piece.items() for piece in self._mapping.pieces)
