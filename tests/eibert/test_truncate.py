"""Truncated rows, against the tokenizer's own truncation."""

import resource

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from eibert.runtime.tokenizer import SPECIALS, wordpiece
from eibert.truncate import NO_WORD, truncated

TOKENS = (
    *SPECIALS,
    "play",
    "songs",
    "now",
    ",",
    "für",
    "中",
    *(f"{start}{letter}" for start in ("", "##") for letter in "abnowsu"),
)
TEXTS = st.lists(st.sampled_from(["play", "songs", "now,", "snow", "für", "中", "xyz", "[MASK]"]), max_size=14).map(
    " ".join
)


def tokenizer() -> Tokenizer:
    found = wordpiece(TOKENS, lowercase=True, strip_accents=False, max_tokens=512)
    found.encode_special_tokens = True
    return found


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6), st.booleans(), st.integers(4, 24))
def test_rows_are_those_of_the_librarys_own_truncation(
    texts: list[tuple[str, str]], pair: bool, max_tokens: int
) -> None:
    first, second = [text for text, _ in texts], [text for _, text in texts]
    cutting = tokenizer()
    cutting.enable_truncation(max_tokens, strategy="longest_first")
    expected = cutting.encode_batch(texts if pair else first)
    found = list(truncated(tokenizer(), first, second if pair else None, max_tokens=max_tokens))
    assert [row.ids.tolist() for row in found] == [row.ids for row in expected]
    assert [row.segments.tolist() for row in found] == [row.type_ids for row in expected]
    words = [[NO_WORD if word is None else word for word in row.word_ids] for row in expected]
    assert [row.words.tolist() for row in found] == words
    assert [row.second.tolist() for row in found] == [[side == 1 for side in row.sequence_ids] for row in expected]


def test_a_tokenizer_that_pads_and_truncates_is_left_doing_neither() -> None:
    padding = tokenizer()
    padding.enable_padding(length=32)
    padding.enable_truncation(4)
    [row] = truncated(padding, ["play songs now"], None, max_tokens=16)
    assert len(row.ids) == 5
    assert (padding.padding, padding.truncation) == (None, None)


def test_special_tokens_are_placed_as_the_tokenizer_places_them() -> None:
    from tokenizers.processors import TemplateProcessing

    other = tokenizer()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    other.post_processor = TemplateProcessing(
        single="$A [CLS]", pair="[SEP] $A:0 [CLS]:1 [CLS]:1 $B:0 [SEP]:0", special_tokens=ends
    )
    for pair in (False, True):
        [row] = truncated(other, ["play now"], ["songs"] if pair else None, max_tokens=16)
        expected = other.encode("play now", *(["songs"] if pair else []))
        assert (row.ids.tolist(), row.segments.tolist()) == (expected.ids, expected.type_ids)


def test_long_pairs_keep_no_overflow() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    texts = ["play songs now " * 300] * 20  # the library's own truncation takes 20 MB for each of these pairs
    rows = list(truncated(tokenizer(), texts, texts, max_tokens=64))
    assert {len(row.ids) for row in rows} == {64}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
