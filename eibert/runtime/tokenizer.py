"""The WordPiece tokenizer of a bundle, from its vocabulary alone."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

PAD, UNKNOWN, CLASSIFY, SEPARATE, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIALS = (PAD, UNKNOWN, CLASSIFY, SEPARATE, MASK)


def wordpiece(tokens: Sequence[str], *, lowercase: bool, strip_accents: bool | None, max_tokens: int) -> Tokenizer:
    """Returns BERT's tokenizer over a vocabulary, cutting inputs to max_tokens, the longer text of a pair first.

    Args:
        tokens: Vocabulary in the order of ids; holds all of SPECIALS.
        lowercase: Lower-case the text.
        strip_accents: Remove accents; None: exactly when lowercasing, as BERT does.
        max_tokens: Longest input, special tokens included.
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
