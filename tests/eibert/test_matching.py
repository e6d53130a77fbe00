"""Texts that a reader would consider the same are equal, and held-out rows are recognized however they are written."""

import pytest

from eibert.matching import HeldOut, pair_key, text_key
from eibert.validate import NO_ROW, inputs, leaked

SAME = [
    ("café au lait", "cafe\u0301 AU  lait"),
    ("Ｆｕｌｌ width", "full width"),
    ("１２３", "123"),
    ("wait…", "wait..."),
    ("Straße", "STRASSE"),
    ("a\u00a0b", "a b"),
    ("What's next?", "what 's next ?"),
    ("snake_case (a+b)", "snake _ case ( a + b )"),
    ("«Ça va?»", "« ça va ? »"),
    ("你好,世界", "你好 , 世界"),
    ("I 你好", "i你好"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_forms_of_one_text_are_equal_everywhere(one: str, other: str) -> None:
    assert text_key(one) == text_key(other)
    held_out = HeldOut.of([(one, None), ("x", one)])
    assert held_out.has(other)
    assert held_out.has(other, "X")
    assert leaked(inputs([other, "else"]), inputs([one])).tolist() == [0, NO_ROW]


@pytest.mark.parametrize(
    ("one", "other"),
    [("a b", "ab"), ("resume", "résumé"), ("can't", "cant"), ("", "a"), ("a-b", "ab"), ("안 녕", "안녕")],
)
def test_other_texts_are_not(one: str, other: str) -> None:
    assert text_key(one) != text_key(other)
    assert not HeldOut.of([(one, None)]).has(other)


def test_pair_is_equal_to_itself_turned_round() -> None:
    assert pair_key("A b", "c") == pair_key("C", "a  b") != pair_key("a", "b c")
