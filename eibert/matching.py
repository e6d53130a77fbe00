"""When two texts count as equal, and which rows must never be trained on."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from eibert.characters import stands_alone

_DIGEST_BYTES = 8
_ASCII_PUNCTUATION = re.compile(r"([^\w\s]|_)")


def text_key(text: str) -> str:
    """Returns a key that equal texts share.

    Ignored are case, Unicode compatibility forms (NFKC), and white space except between two words; as for BERT,
    punctuation and ideographs are words of their own.
    """
    if text.isascii():
        spaced = " ".join(_ASCII_PUNCTUATION.split(text))
    else:
        spaced = "".join(f" {c} " if stands_alone(c) else c for c in unicodedata.normalize("NFKC", text))
    return " ".join(spaced.casefold().split())


def pair_key(text: str, text_b: str | None) -> tuple[str, str]:
    """Returns a key that equal rows share; the order of a pair's texts is ignored."""
    first, second = sorted((text_key(text), text_key(text_b or "")))
    return first, second


@dataclass(frozen=True)
class HeldOut:
    """Rows of dev and test by digest, so that generated texts can be checked against them.

    Attributes:
        digests: Digest of each row's key, 16 hexadecimal digits.
    """

    digests: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str | None]]) -> "HeldOut":
        """Returns a HeldOut of these rows."""
        return cls(frozenset(_digest(*row) for row in rows))

    def has(self, text: str, text_b: str | None = None) -> bool:
        """Returns whether a text, or a pair, is one of the rows."""
        return bool(self.digests) and _digest(text, text_b) in self.digests


def _digest(text: str, text_b: str | None) -> str:
    key = "\t".join(pair_key(text, text_b))  # keys hold no tab: white space is folded
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
