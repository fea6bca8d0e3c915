"""A persistent map equals a dictionary after any replacement, and older versions do not change."""

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.snapshot.persistent_map import PIECES, PersistentMap

keys = st.text(max_size=2) | st.integers(0, 3).map(lambda number: f"{number}" * 40)
values = st.integers(0, 2)
steps = st.lists(st.tuples(st.lists(keys, max_size=4), st.dictionaries(keys, values, max_size=4)), max_size=6)


@settings(deadline=None)
@given(first=st.dictionaries(keys, values), steps=steps)
def test_every_version_says_what_a_dictionary_would_also_after_later_ones_were_made(first, steps):
    versions = [(dict(first), PersistentMap(first.items()))]
    for gone, news in steps:
        plain, made = versions[-1]
        left = {key: value for key, value in plain.items() if key not in gone}
        versions.append((left | news, made.replaced(gone, news)))
    for plain, made in versions:
        assert dict(made.items()) == plain == {key: made[key] for key in made}
        assert len(made) == len(plain)
        assert sorted(made.values()) == sorted(plain.values())
        assert made == PersistentMap(plain.items())
        assert made.of(plain) == list(plain.values())
        assert all((key in made) == (key in plain) for key in ("", "a", "0" * 40))


@settings(deadline=None)
@given(first=st.dictionaries(keys, values), gone=st.lists(keys), news=st.dictionaries(keys, values))
def test_what_has_changed_since_is_what_has_another_value_now(first, gone, news):
    before = PersistentMap((key, [value]) for key, value in first.items())
    after = before.replaced(gone, {key: [value] for key, value in news.items()})
    assert set(after.changed_since(before)) == set(news)
    assert not set(before.changed_since(before))


def test_a_version_shares_all_pieces_but_those_in_which_something_changed():
    before = PersistentMap((str(number), number) for number in range(20 * PIECES))
    after = before.replaced(["7"], {"9": 0, "new": 1})
    own = [mine for mine, theirs in zip(after.pieces, before.pieces, strict=True) if mine is not theirs]
    assert 1 <= len(own) <= 3
    assert sum(map(len, own)) < 200
