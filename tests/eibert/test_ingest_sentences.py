"""Sentence splitting."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eibert.ingest.sentences import split

CASES = {
    "plain": ["It rained.", "We stayed in!", "Why not?"],
    "abbreviations": ["Dr. Lee met Mrs. Novak on St. James Street.", "They talked, e.g. about No. 7."],
    "decimals": ["It cost 3.50 pounds, i.e. 1.2 per cent more.", "Version 2.0 came later."],
    "initials": ["J. R. Marsh wrote to the U.S. embassy.", "Nobody answered."],
    "quotes": ['"Stop!" she cried.', "He said “never again.”", "Then he left."],
    "brackets": ["It worked (more or less.)", "We went home."],
    "time of day": ["We left at 5 p.m. and slept.", "It was late."],
    "ends with an abbreviation": ["They sell pens, ink, etc.", "The shop is small."],
    "ellipsis": ["Well... maybe not.", "Let us see…", "No."],
    "question in a sentence": ["“Who is there?” he asked.", "Nobody spoke."],
}


@pytest.mark.parametrize("sentences", CASES.values(), ids=CASES)
def test_sentences_end_where_a_reader_ends_them(sentences: list[str]) -> None:
    assert split(" ".join(sentences), 300) == sentences


def test_chinese_sentences_end_without_a_space() -> None:
    assert split("今天下雨。我们回家吧！“你去吗？”他问。好", 300) == [
        "今天下雨。",
        "我们回家吧！",
        "“你去吗？”",
        "他问。",
        "好",
    ]


def test_blank_line_ends_a_sentence_and_a_list_number_does_not() -> None:
    assert split("A heading\n\n1. Wash the rice.\n2. Boil it.", 300) == [
        "A heading",
        "1. Wash the rice.",
        "2. Boil it.",
    ]


def test_overlong_sentence_is_cut_at_a_clause_then_at_a_space_then_at_the_limit() -> None:
    assert split("one two three four five, six seven eight nine ten", 40) == [
        "one two three four five,",
        "six seven eight nine ten",
    ]
    assert split("a" * 25 + " " + "b" * 30, 40) == ["a" * 25, "b" * 30]
    assert split("字" * 90, 40) == ["字" * 40, "字" * 40, "字" * 10]


@given(st.text("ab .!?…,;\n\"'()0.5。！？；，“”中文Mr", max_size=400), st.integers(40, 90))
def test_nothing_is_lost_and_nothing_is_too_long(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert re.sub(r"\s", "", "".join(pieces)) == re.sub(r"\s", "", text)
    assert all(0 < len(piece) <= limit and piece == piece.strip() for piece in pieces)
