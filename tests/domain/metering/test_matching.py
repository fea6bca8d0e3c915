"""Pure tests of matching (docs/contract.md §6): the tiers and scopes of a call, compared with a simple definition."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from governance.domain.limits.limit import Scope
from governance.domain.metering.matching import matches, reason
from governance.domain.metering.request import Call
from governance.domain.names import Identity, bare_model, canonical_model, fold, spelled

often = settings(deadline=None, max_examples=150)

plain = st.text("abcXYZ0-.:\u00e4\u00df", min_size=1, max_size=6)
providers = st.sampled_from(["openai", "OpenAI", "azure", "openrouter", "p"])
names = st.one_of(
    plain, st.builds("{}/{}".format, providers, plain), st.builds("{}/{}/{}".format, providers, plain, plain)
)
ids = st.sampled_from([None, "a", "b"])
calls = st.builds(Call, names, st.none() | providers, ids, ids)


def index(*identities):
    """Return an index of limits. The id of a limit is its position."""
    return {identity: str(place) for place, identity in enumerate(identities)}


def one(model, provider=None, scope=Scope.GLOBAL, scope_id=None):
    """Return an index of one limit."""
    return index(Identity.of(scope, scope_id, provider, model))


def found(call, known):
    return [match.limit_id for match in matches(call, known)]


limits = st.builds(
    lambda model, provider, scope, scope_id: Identity.of(
        scope, scope_id if scope != Scope.GLOBAL else None, provider, model
    ),
    st.one_of(names, st.just("*")),
    st.none() | providers,
    st.sampled_from(Scope),
    st.sampled_from(["a", "b"]),
)


def as_written(call):
    """Return the (provider, model) pairs of a call by docs/contract.md §6, in canonical form."""
    provider = fold((call.provider or "").strip())
    model = canonical_model(call.model, call.provider)
    pairs = [(provider, model)]
    head, _, rest = model.partition("/")
    if not provider and head and rest:
        pairs += [(head, canonical_model(rest, head))]
    return pairs


def unprefixed(name, provider):
    """Return a name without any prefix of the provider. The prefix may occur several times."""
    return unprefixed(name.removeprefix(f"{provider}/"), provider) if name.startswith(f"{provider}/") else name


def applies(identity, call):
    """Return whether a limit applies to a call, by the simple definition."""
    ids = {Scope.GLOBAL: "", Scope.VIRTUAL_KEY: call.virtual_key_id, Scope.USER: call.user_id}
    if identity.scope_id != ids[identity.scope]:
        return False
    for provider, model in as_written(call):
        if identity.provider in ("", provider) and identity.model in ("*", model):
            return True
        if provider and identity.provider in ("", provider):
            own = identity.model.removeprefix(f"{provider}/").removeprefix(f"{provider}/")
            if own == unprefixed(model, provider):
                return True
    return False


@given(calls, st.lists(limits, unique=True, max_size=30))
@example(Call("openai/gpt", None), [Identity.of("global", None, None, "openai/gpt")])
@often
def test_exactly_the_limits_of_the_call_s_tiers_and_scopes_apply_each_once(call, identities):
    known = index(*identities)
    expected = {known[identity] for identity in identities if applies(identity, call)}
    answer = found(call, known)
    assert set(answer) == expected
    assert len(answer) == len(set(answer))


@given(plain, providers, ids, ids, st.lists(limits, unique=True, max_size=30))
@often
def test_a_provider_says_the_same_before_the_model_as_beside_it(model, provider, key, user, identities):
    known = index(*identities)
    beside = matches(Call(model, provider, key, user), known)
    assert matches(Call(f"{provider}/{model}", None, key, user), known) == beside
    assert matches(Call(f"{provider.upper()}/{model}", provider, key, user), known) == beside


FORMS = [
    lambda provider, model: (f"{provider}/{model}", None),
    lambda provider, model: (f"{provider}/{provider}/{model}", None),
    lambda provider, model: (model, provider),
    lambda provider, model: (f"{provider}/{model}", provider),
    lambda provider, model: (f"{provider}/{provider}/{model}", provider),
]
"""The spellings of a model. If its own name begins with its provider, the second and the last one are in full."""
cases = st.sampled_from([str.upper, str.lower, str.title])
forms = st.builds(
    lambda form, case, space: (
        lambda provider, model: tuple(name and space + case(name) for name in form(provider, model))
    ),
    st.sampled_from(FORMS),
    cases,
    st.sampled_from(["", " "]),
)


@given(st.sampled_from(["groq", "openrouter", "p"]), st.sampled_from(["compound", "auto", "meta/llama"]), forms, forms)
@often
def test_a_limit_in_any_spelling_is_met_by_a_call_in_any_spelling(provider, model, stored, called):
    assert found(Call(*called(provider, model)), one(*stored(provider, model))) == ["0"]


@given(providers, plain, forms, st.lists(forms, min_size=2, max_size=8))
@often
def test_limits_in_several_spellings_count_once_each(provider, model, called, stored):
    known = {
        Identity.of("global", None, limit[1], limit[0]): str(place)
        for place, limit in enumerate(form(provider, model) for form in stored)
    }
    answer = found(Call(*called(provider, model)), known)
    assert sorted(answer) == sorted(known.values())


def test_another_model_or_provider_is_not_met_by_a_doubled_prefix():
    for identity in (one("groq/compound-mini", "groq"), one("groq/compound", "azure"), one("azure/compound")):
        for form in FORMS:
            assert found(Call(*form("groq", "compound")), identity) == []


def test_a_bare_model_has_no_prefix_of_its_provider_left():
    assert bare_model("Groq/groq/ groq/Compound", "groq") == "compound"
    assert bare_model("groq/", "groq") == "groq/"
    assert bare_model("groq/compound", None) == "groq/compound"


@given(st.text("ab/ ", min_size=1, max_size=6).filter(str.strip))
@example("a / b")
@often
def test_a_call_without_a_provider_meets_the_provider_less_limit_of_just_its_own_name(name):
    assert found(Call(name), one(name)) == ["0"]


@given(names, providers)
@often
def test_a_call_meets_the_limit_on_just_its_own_provider_and_model(name, provider):
    assert found(Call(name, provider), one(name, provider)) == ["0"]


@given(calls, st.lists(limits, unique=True, max_size=30))
@often
def test_the_order_does_not_depend_on_the_order_of_the_index(call, identities):
    known = index(*identities)
    turned = dict(reversed(known.items()))
    assert matches(call, known) == matches(call, turned)


def test_user_before_virtual_key_before_global_and_in_each_the_narrower_tier_first():
    tiers = [("m", "p"), ("m", None), ("*", "p"), ("*", None)]
    scopes = [(Scope.USER, "u"), (Scope.VIRTUAL_KEY, "k"), (Scope.GLOBAL, None)]
    known = index(
        *(Identity.of(scope, scope_id, provider, model) for scope, scope_id in scopes for model, provider in tiers)
    )
    answer = matches(Call("m", "p", "k", "u"), known)
    assert [match.limit_id for match in answer] == [str(place) for place in range(12)]
    assert [match.rank for match in answer] == [(scope, tier) for scope in range(3) for tier in range(4)]


@pytest.mark.parametrize("model", ["m", "p/m"])
def test_a_provider_less_limit_stands_in_the_second_tier_under_either_name(model):
    assert [match.rank for match in matches(Call("m", "p"), one(model))] == [(2, 1)]


def test_a_scope_that_is_not_in_play_is_not_looked_at():
    known = index(*(Identity.of(scope, "x", None, "*") for scope in (Scope.USER, Scope.VIRTUAL_KEY)))
    assert found(Call("m"), known) == []
    assert found(Call("m", None, "x", None), known) == ["1"]
    assert found(Call("m", None, None, "x"), known) == ["0"]


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (Call("GPT-4o", "OpenAI"), ("openai", "gpt-4o")),
        (Call("openai/gpt-4o"), ("openai", "gpt-4o")),
        (Call("openai/gpt-4o", "openai"), ("openai", "gpt-4o")),
        (Call("anthropic/claude", "openrouter"), ("openrouter", "anthropic/claude")),
        (Call("openrouter/anthropic/claude"), ("openrouter", "anthropic/claude")),
        (Call("gpt-4o"), ("", "gpt-4o")),
        (Call("/m"), ("", "/m")),
        (Call("p/"), ("", "p/")),
        (Call("/"), ("", "/")),
    ],
)
def test_a_call_has_one_provider_and_one_model_however_it_is_spelled(call, names):
    assert spelled(call.model, call.provider) == names


@pytest.mark.parametrize(
    ("call", "identity", "sentence"),
    [
        (Call("m"), Identity("user", "ann", "", "m"), "It is bound to the user ann, and the call names none."),
        (
            Call("m", user_id="bob"),
            Identity("user", "ann", "", "m"),
            "It is bound to the user ann, and the call is for another.",
        ),
        (Call("m", "p"), Identity("global", "", "q", "m"), "It is on the provider q, and the call is to p."),
        (Call("m"), Identity("global", "", "q", "m"), "It is on the provider q, and the call is to none by name."),
        (Call("m", "p"), Identity("global", "", "p", "n"), "It is on the model n, and the call is to m."),
    ],
)
def test_a_limit_that_does_not_apply_has_a_reason(call, identity, sentence):
    assert reason(call, identity) == sentence
