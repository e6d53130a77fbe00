"""The WordPiece tokenizer of a bundle, built from its vocabulary alone."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

PAD, UNKNOWN, CLASSIFY, SEPARATE, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIALS = (PAD, UNKNOWN, CLASSIFY, SEPARATE, MASK)


def wordpiece(tokens: Sequence[str], *, lowercase: bool, strip_accents: bool | None, max_tokens: int) -> Tokenizer:
    """Returns BERT's tokenizer over a vocabulary, truncating inputs to max_tokens, the longer text of a pair first.

    Args:
        tokens: Vocabulary in id order; contains all of SPECIALS.
        lowercase: Whether to lowercase the text.
        strip_accents: Whether to strip accents; None: same as lowercase, as in BERT.
        max_tokens: Maximum input length, special tokens included.
    """
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLASSIFY}:0 $A:0 {SEPARATE}:0",
        pair=f"{CLASSIFY}:0 $A:0 {SEPARATE}:0 $B:1 {SEPARATE}:1",
        special_tokens=[(token, vocabulary[token]) for token in (CLASSIFY, SEPARATE)],
    )
    tokenizer.enable_truncation(max_tokens, strategy="longest_first")
    return tokenizer


class Encoder:
    """Encodes texts as token ids, truncated exactly as `wordpiece` does.

    The tokenizer's own truncation keeps all overflow, for pairs in every combination: two texts of 4,000 words take it
    a second. Here the ids are sliced instead.
    """

    def __init__(self, tokens: Sequence[str], *, lowercase: bool, strip_accents: bool | None, max_tokens: int) -> None:
        self._tokenizer = wordpiece(tokens, lowercase=lowercase, strip_accents=strip_accents, max_tokens=max_tokens)
        self._tokenizer.no_truncation()
        self._max_tokens = max_tokens
        self._first, self._end = tokens.index(CLASSIFY), tokens.index(SEPARATE)

    def __call__(self, text: str, text_b: str | None) -> tuple[list[int], int]:
        """Returns the ids of a text or pair with special tokens, and how many of them belong to the first text."""
        ids = self._ids(text)
        if text_b is None:
            row = [self._first, *ids[: self._max_tokens - 2], self._end]
            return row, len(row)
        ids_b = self._ids(text_b)
        cut, cut_b = kept(len(ids), len(ids_b), self._max_tokens - 3)
        row = [self._first, *ids[:cut], self._end]
        return [*row, *ids_b[:cut_b], self._end], len(row)

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return found


def kept(first: int, second: int, room: int) -> tuple[int, int]:
    """Returns how many tokens of each text of a pair are kept: the longer is cut first, then both to half."""
    if first + second <= room:
        return first, second
    shorter = min(first, second)
    if shorter <= room // 2:
        return (shorter, room - shorter) if first <= second else (room - shorter, shorter)
    return (room // 2, room - room // 2) if first <= second else (room - room // 2, room // 2)
