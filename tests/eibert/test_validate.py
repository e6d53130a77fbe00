import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eibert import validate

NONE = validate.NO_ROW


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\x96", "\ufffd", "\ufeff", "\uffff"])
def test_a_character_that_nobody_types_is_unclean(character):
    assert validate.unclean([f"good {character} text"]).tolist() == [True]
    assert validate.unclean_at(f"good {character} text") == 5


@pytest.mark.parametrize("text", ["", "a\tb\r\nc", "naïve café", "天气 很好。", "👍🏽 fine", "a\u200db", None])
def test_a_written_text_is_clean(text):
    assert validate.unclean([text]).tolist() == [False]


@given(st.text())
def test_unclean_agrees_with_the_unicode_database(text):
    controls = any(unicodedata.category(c) == "Cc" and c not in "\t\n\r" for c in text)
    marks = any(c in "\ufeff\ufffd" or (ord(c) & 0xFFFE) == 0xFFFE or 0xFDD0 <= ord(c) <= 0xFDEF for c in text)
    assert validate.unclean([text])[0] == (controls or marks)


def test_only_text_without_a_visible_character_is_blank():
    assert (
        validate.blank(["", " \t\n", "\u00a0\u3000", "\u200b", "a", ".", "天", None]).tolist()
        == [True] * 4 + [False] * 4
    )


def test_only_visible_text_without_letter_or_digit_is_wordless():
    assert (
        validate.wordless(["...", "👍", "?!", " ", "", "a.", "7", "天", "हि", None]).tolist()
        == [True] * 3 + [False] * 7
    )


def test_inputs_ignore_case_width_and_spacing():
    assert len(set(validate.inputs(["Play  Ｊazz", " play jazz\n", "PLAY JAZZ"]))) == 1
    assert len(set(validate.inputs(["play jazz", "play jazz!", "playjazz"]))) == 3


def test_order_of_a_pair_matters():
    assert len(set(validate.inputs(["a", "b"], ["b", "a"]))) == 2


def test_where_a_pair_is_cut_matters():
    assert len(set(validate.inputs(["a b", "a"], ["c", "b c"]))) == 2


def test_pairs_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="argument"):
        validate.inputs(["a"], ["b", "c"])


def test_repeated_row_names_the_first_of_its_kind():
    keys = validate.inputs(["a", "b", "A", "a", "a"])
    assert validate.repeated(keys, ["x", "x", "x", "y", "x"]).tolist() == [NONE, NONE, 0, NONE, 0]


def test_contradictory_rows_name_the_first_row_of_another_label():
    keys = validate.inputs(["a", "b", "a", "a", "b"])
    assert validate.contradictory(keys, ["x", "x", "x", "y", "x"]).tolist() == [3, NONE, 3, 0, NONE]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=12))
def test_contradictions_agree_with_a_comparison_of_all_rows(rows):
    keys, labels = [(text,) for text, _ in rows], [label for _, label in rows]
    expected = [
        next((i for i, other in enumerate(rows) if other[0] == row[0] and other[1] != row[1]), NONE) for row in rows
    ]
    assert validate.contradictory(keys, labels).tolist() == expected


def test_leaked_row_names_its_first_copy_in_the_earlier_split():
    earlier = validate.inputs(["a", "b", "b"])
    assert validate.leaked(validate.inputs(["c", "B ", "a"]), earlier).tolist() == [NONE, 1, 0]


def test_class_without_rows_counts_zero_and_unknown_label_is_not_counted():
    assert validate.class_counts(["a", "a", "z", None], ["a", "b"]) == {"a": 2, "b": 0}


def test_lengths_count_characters_and_skip_missing_texts():
    assert validate.lengths(["ab", None, "天气", ""]).tolist() == [2, 2, 0]


@given(st.lists(st.integers(0, 40)))
def test_histogram_agrees_with_numpy(values):
    expected, _ = np.histogram(values, [0, 5, 10, np.inf])
    assert validate.histogram(np.array(values, float), [0, 5, 10, float("inf")]) == expected.tolist()


def test_histogram_leaves_out_what_lies_below_or_is_no_number():
    assert validate.histogram(np.array([-1.0, float("nan"), 3.0, 9.0]), [0, 5, 10]) == [1, 1]


def test_no_rows_give_no_facts():
    assert validate.unclean([]).shape == validate.repeated([], []).shape == validate.lengths([]).shape == (0,)
    assert validate.histogram(validate.lengths([]), [0, 1, 2]) == [0, 0]
