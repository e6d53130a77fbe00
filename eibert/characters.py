"""Characters that BERT's tokenizers split off every word, determined by the tokenizers library itself."""

from functools import cache
from itertools import groupby

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

_NORMALIZER = BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
_PRE_TOKENIZER = BertPreTokenizer()


@cache
def is_ideograph(character: str) -> bool:
    """Whether a character is a CJK ideograph to BERT, hence a word of its own; kana and Hangul are not."""
    return str(_NORMALIZER.normalize_str(character)) == f" {character} "


@cache
def stands_alone(character: str) -> bool:
    """Whether a character is split off even inside a word, as punctuation and ideographs are."""
    return len(_PRE_TOKENIZER.pre_tokenize_str(_NORMALIZER.normalize_str(f"a{character}b"))) == 3


def words(text: str) -> list[tuple[str, bool]]:
    """Returns the words of a text, and whether each follows the one before without a space.

    Words are separated by whitespace, and each ideograph is its own word; `joined` is the inverse up to whitespace.
    """
    if text.isascii():
        return [(word, False) for word in text.split()]
    found = []
    for chunk in text.split():
        follows = False
        for ideographs, group in groupby(chunk, is_ideograph):
            for word in group if ideographs else ("".join(group),):
                found.append((word, follows))
                follows = True
    return found


def joined(found: list[tuple[str, bool]]) -> str:
    """Returns the text of words, with single spaces where they do not follow directly."""
    return "".join(word if follows else f" {word}" for word, follows in found).removeprefix(" ")
