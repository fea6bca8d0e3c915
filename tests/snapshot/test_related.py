"""Limits on the same provider or model are found in one order, and counted exactly, without a scan of all limits."""

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.names import Identity
from governance.snapshot.unmatched_limits import RelatedLimits

PROVIDERS, MODELS = ["", "azure", "openai"], ["*", "gpt", "o3", "openai/gpt"]
identities = st.builds(
    Identity,
    st.sampled_from(["global", "user"]),
    st.sampled_from("ab"),
    st.sampled_from(PROVIDERS),
    st.sampled_from(MODELS),
)
sets = st.sets(identities, max_size=40)


class Unwalkable(list):
    """A list that allows only access by index and by slice."""

    def __iter__(self):
        raise AssertionError("walked")


def place(identity):
    return identity.provider, identity.model, identity.scope, identity.scope_id


def walked(known, provider, models, without):
    """Return the result of a scan of all identities."""
    found = [each for each in known if each.model in models or (provider and each.provider == provider)]
    return sorted((each for each in found if each not in without), key=place)


@given(sets, sets, st.sampled_from(PROVIDERS), st.sets(st.sampled_from(MODELS)), st.data())
@settings(deadline=None, max_examples=200)
def test_what_is_found_equals_what_a_walk_finds(before, after, provider, models, data):
    index = RelatedLimits.of(before).moved(after - before, before - after)
    assert index == RelatedLimits.of(after)
    without = data.draw(st.sets(st.sampled_from(sorted(after)), max_size=5)) if after else set()
    most = data.draw(st.integers(0, 6))
    expected = walked(after, provider, models, without)
    assert index.find(provider, models, without, most) == (len(expected), expected[:most])


def test_nothing_is_walked():
    many = [Identity("user", f"user-{number}", "openai", "gpt") for number in range(1000)]
    index = RelatedLimits(*map(Unwalkable, RelatedLimits.of(many)))
    total, found = index.find("openai", {"gpt", "openai/gpt"}, {many[0]}, 2)
    assert (total, found) == (999, [many[1], many[10]])
