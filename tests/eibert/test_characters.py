"""Words as BERT separates them, against what its tokenizers are known to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eibert.characters import is_ideograph, joined, stands_alone, words


@given(st.text(alphabet=st.sampled_from("ab 1,.!美国日本のカ한é\t\u3000"), max_size=30))
def test_joining_the_words_of_a_text_gives_it_back(text: str) -> None:
    assert joined(words(text)) == " ".join(text.split())


def test_ideographs_are_words_and_other_scripts_are_parted_by_spaces() -> None:
    assert words("play 日本のラジオ, ok") == [
        ("play", False), ("日", False), ("本", True), ("のラジオ,", True), ("ok", False),
    ]  # fmt: skip
    assert words("don't stop!") == [("don't", False), ("stop!", False)]
    assert words(" \n") == words("") == []


@pytest.mark.parametrize(("character", "alone", "ideograph"), [
    ("美", True, True), ("\U00020000", True, True), ("!", True, False), ("$", True, False), ("。", True, False),
    ("—", True, False), ("a", False, False), ("の", False, False), ("한", False, False), ("é", False, False),
    ("7", False, False), ("€", False, False),
])  # fmt: skip
def test_known_characters(character: str, alone: bool, ideograph: bool) -> None:
    assert stands_alone(character) == alone
    assert is_ideograph(character) == ideograph
