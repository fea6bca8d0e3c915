"""A search in joined names finds the same names, in the same order, as a search in each name."""

from hypothesis import given
from hypothesis import strategies as st

from governance.snapshot.orders import PIECE, Names

letters = st.text("ab\né", max_size=3)


@given(some=st.lists(letters, max_size=4), times=st.integers(0, PIECE), text=letters)
def test_a_search_finds_what_looking_at_each_name_would(some, times, text):
    names = [*some * times, *some[::-1]]
    ids = [str(number) for number in range(len(names))]
    searched = Names(ids, names)
    assert searched.with_text(text) == [ids[at] for at, name in enumerate(names) if text in name]
    assert len(searched) == len(names)
