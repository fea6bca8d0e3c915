"""Names: folding, the canonical provider and model, and the identity of limits."""

import json
import unicodedata

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from governance.domain.names import Identity, canonical_model, canonical_provider, fold, has_control, hidden_in, visible

often = settings(deadline=None, max_examples=150)
blanks = st.text(" \t\u00a0\u2003", max_size=3)
words = st.text(st.characters(codec="utf-8", exclude_characters="/", exclude_categories=("Z", "C")), min_size=1)


@given(st.text())
@example("ẞ ǰ ΐ ŉ İ ᾳ\u0345\u0301")
@often
def test_folding_twice_is_folding_once(text):
    assert fold(fold(text)) == fold(text)


@given(st.text())
@example("é")
@often
def test_composed_and_decomposed_text_fold_alike(text):
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text)) == fold(text)


@given(st.text())
@example("ǰ")
@often
def test_folded_text_is_composed(text):
    assert unicodedata.is_normalized("NFC", fold(text))


@given(st.text("abcxyzABCXYZ019-./:äöüÄÖÜéÉñÑабвАБВαβγΑΒΓ"))
@often
def test_case_does_not_count(text):
    assert fold(text.upper()) == fold(text.lower()) == fold(text)


def test_case_is_taken_out_by_unicode_and_not_by_ascii():
    assert fold("STRASSE") == fold("straße") == fold("STRAẞE") == "strasse"
    assert fold("ΣΊΣΥΦΟΣ") == fold("σίσυφος")
    assert fold("CAFE\u0301") == "caf\u00e9"


def test_different_letters_stay_different():
    assert fold("gpt-4o") != fold("gpt-40")
    assert fold("é") != fold("e")
    assert fold("ı") != fold("i")


def test_the_control_characters_are_those_below_the_blank_and_around_delete():
    controls = [code for code in range(0x3000) if has_control(f"a{chr(code)}b")]
    assert controls == [*range(0x20), *range(0x7F, 0xA0)]


UNSEEN = [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x61C, 0x2060, 0xFEFF, 0xAD, 0x3164]


@pytest.mark.parametrize("code", [*UNSEEN, 0xE0000, 0xE0041, 0xE007F])
def test_what_cannot_be_seen_is_named_by_its_code_point(code):
    assert hidden_in(f"gpt-4o{chr(code)}") == hidden_in(f"{chr(code)}模型") == f"U+{code:04X}"


@pytest.mark.parametrize(
    "text", ["gpt-4o", "模型 é e\u0301", "❤\ufe0f ops", "1\ufe0f\u20e3", "葛\U000e0100", "שלום", "سلام"]
)
def test_letters_of_any_script_and_emoji_can_be_seen(text):
    assert hidden_in(text) is None
    assert visible(text) == text


def test_a_variation_selector_behind_an_ascii_character_cannot_be_seen():
    assert hidden_in("gpt-4o\ufe0f") == "U+FE0F"


@pytest.mark.parametrize("text", ["\x1f\U000e0100", "a\ufe0f\ufe0e", "\u200b\ufe0f"])
def test_a_variation_selector_behind_an_escape_is_escaped_too(text):
    assert visible(visible(text)) == visible(text)
    assert json.loads(f'"{visible(text)}"') == text


@given(st.text())
@often
def test_visible_text_is_what_it_was_without_a_character_that_a_terminal_obeys(text):
    shown = visible(text)
    assert hidden_in(shown) is None
    assert not has_control(shown)
    assert visible(shown) == shown
    if not set('"\\') & set(text):
        assert json.loads(f'"{shown}"') == text


@given(words, blanks, blanks)
@often
def test_a_provider_is_canonical_without_case_and_outer_blanks(provider, before, after):
    assert canonical_provider(before + provider + after) == fold(provider)


def test_no_provider_is_the_empty_one():
    assert canonical_provider(None) == canonical_provider("") == canonical_provider("  ") == ""


@given(words, words, blanks)
@often
def test_a_prefix_equal_to_the_own_provider_does_not_count(provider, model, space):
    assert canonical_model(f"{space}{provider}/{space}{model}{space}", provider) == fold(model)


@given(words, words, words)
@often
def test_the_prefix_of_another_provider_counts(provider, other, model):
    assume(fold(other) != fold(provider))
    assert canonical_model(f"{other}/{model}", provider) == fold(f"{other}/{model}")


@given(words, words)
@often
def test_without_a_provider_a_prefix_is_part_of_the_model(prefix, model):
    assert canonical_model(f"{prefix}/{model}", None) == fold(f"{prefix}/{model}")


@pytest.mark.parametrize(
    ("model", "provider", "canonical"),
    [
        ("openai/GPT-4o", "openai", "gpt-4o"),
        ("OpenAI/gpt-4o", " OPENAI ", "gpt-4o"),
        ("openai/ gpt-4o", "openai", "gpt-4o"),
        ("openai/openai/gpt-4o", "openai", "openai/gpt-4o"),
        ("meta/llama/70b", "meta", "llama/70b"),
        ("openai-gpt-4o", "openai", "openai-gpt-4o"),
        ("openais/gpt-4o", "openai", "openais/gpt-4o"),
        ("gpt-4o/openai/x", "openai", "gpt-4o/openai/x"),
        ("openai/", "openai", "openai/"),
        ("openai", "openai", "openai"),
        ("/gpt-4o", None, "/gpt-4o"),
        ("/gpt-4o", "", "/gpt-4o"),
        ("*", "openai", "*"),
        ("openai/*", "openai", "*"),
    ],
)
def test_only_one_whole_prefix_of_the_own_provider_is_dropped(model, provider, canonical):
    assert canonical_model(model, provider) == canonical


@given(words, words, blanks, st.sampled_from([str.upper, str.lower, str.title, str]))
@often
def test_an_identity_ignores_case_blanks_and_the_own_prefix(provider, model, space, style):
    assume(fold(style(provider)) == fold(provider))
    assume(fold(style(model)) == fold(model))
    plain = Identity.of("user", "u-1", provider, model)
    assert Identity.of("user", "u-1", space + style(provider), style(model) + space) == plain
    assert Identity.of("user", "u-1", style(provider), f"{space}{provider}/{style(model)}") == plain


@given(*[st.text("aAbB/ ", min_size=1, max_size=6).filter(str.strip)] * 2)
@often
def test_two_models_of_one_provider_are_the_same_limit_for_no_other_reason(one, two):
    def plain(model):
        name = model.strip().lower()
        return name.removeprefix("a/").strip() or name

    same = Identity.of("global", None, "A", one) == Identity.of("global", None, "A", two)
    assert same == (plain(one) == plain(two))


@pytest.mark.parametrize(
    "other",
    [
        Identity.of("user", "Key-1", "openai", "gpt-4o"),
        Identity.of("virtual_key", "Key-2", "openai", "gpt-4o"),
        Identity.of("virtual_key", "key-1", "openai", "gpt-4o"),
        Identity.of("virtual_key", "Key-1", "azure", "gpt-4o"),
        Identity.of("virtual_key", "Key-1", None, "gpt-4o"),
        Identity.of("virtual_key", "Key-1", None, "openai/gpt-4o"),
        Identity.of("virtual_key", "Key-1", "openai", "azure/gpt-4o"),
        Identity.of("virtual_key", "Key-1", "openai", "gpt-4o-mini"),
        Identity.of("virtual_key", "Key-1", "openai", "*"),
    ],
)
def test_another_scope_owner_provider_or_model_is_another_limit(other):
    assert other != Identity.of("virtual_key", "Key-1", "openai", "gpt-4o")


def test_no_part_of_an_identity_is_null():
    assert Identity.of("global", None, None, "*") == ("global", "", "", "*")
