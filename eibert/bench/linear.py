"""TF-IDF with a linear model as it would be shipped: one file of numpy arrays, and only numpy for inference."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

from eibert.errors import BundleError

FILE = "linear.npz"
Array = np.ndarray[Any, Any]
Vector = tuple[Array, Array]
"""Bucket indices, ascending, and their weights."""

_WORDS = re.compile(r"\w+|[^\w\s]")
_SPACES = re.compile(r"\s\s+")
_U32 = 0xFFFFFFFF


@dataclass(frozen=True)
class Linear:
    """The rival that `evaluate` fits, answering one text at a time.

    Attributes:
        blocks: Kind of n-grams, `word` or `char`, and number of buckets of each block.
        idf: Inverse document frequencies, float32 (F,).
        codes: Quantized weights, int8 (F or 4F, R).
        scales: Weight per code unit, float32 (R,).
        overlaps: Weights of a pair's overlaps, float32 (R, 3), or (R, 0).
        biases: Float32 (R,).
        pair: Whether inputs are pairs.
        two_classes: Whether one column decides between two classes.
    """

    blocks: tuple[tuple[str, int], ...]
    idf: Array
    codes: Array
    scales: Array
    overlaps: Array
    biases: Array
    pair: bool
    two_classes: bool

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Loads the model in a folder.

        Raises:
            BundleError: the folder has no readable model.
        """
        try:
            with np.load(folder / FILE, allow_pickle=False) as found:
                blocks = tuple(zip(found["kinds"].tolist(), found["sizes"].tolist(), strict=True))
                arrays = {name: found[name] for name in ("scales", "overlaps", "biases")}
                idf = found["idf_codes"].astype(np.float32) * np.float32(found["idf_scale"])
                pair, two_classes = bool(found["pair"]), bool(found["two_classes"])
                codes = np.ascontiguousarray(found["codes"].T)
                return cls(blocks, idf, codes, **arrays, pair=pair, two_classes=two_classes)
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(f"{folder / FILE}: not a linear model ({error}); measure it again") from error

    def encode(self, texts: Sequence[Any]) -> list[tuple[Vector, Array]]:
        """Returns the features of each input: weighted buckets, and a pair's overlaps (3,) or (0,)."""
        if not self.pair:
            return [(self._vector(text), np.zeros(0, np.float32)) for text in texts]
        return [self._pair(*text) for text in texts]

    def forward(self, rows: Sequence[tuple[Vector, Array]]) -> Array:
        """Returns logits, float32 (N, C)."""
        found = np.empty((len(rows), len(self.biases)), np.float32)
        for at, ((buckets, weights), overlaps) in enumerate(rows):
            hashed = (weights @ self.codes[buckets].astype(np.float32)) * self.scales
            found[at] = hashed + self.overlaps @ overlaps + self.biases
        return np.hstack([np.zeros_like(found), found]) if self.two_classes else found

    def _vector(self, text: str) -> Vector:
        buckets, weights, start = [], [], 0
        for kind, size in self.blocks:
            counts = Counter(_pieces(text.lower(), kind))
            hashed = _signed(murmur([piece.encode() for piece in counts])) % size
            places, where = np.unique(hashed, return_inverse=True)
            found = np.bincount(where, weights=list(counts.values())) if counts else np.zeros(0)
            weighed = (1 + np.log(found)) * self.idf[start + places]
            buckets.append(start + places)
            weights.append(weighed / max(float(np.sqrt(weighed @ weighed)), 1e-12))
            start += size
        return np.concatenate(buckets), np.concatenate(weights).astype(np.float32)

    def _pair(self, text: str, text_b: str) -> tuple[Vector, Array]:
        (at, one), (at_b, other) = self._vector(text), self._vector(text_b)
        union = np.union1d(at, at_b)
        both = np.zeros((2, len(union)), np.float32)
        both[0, np.searchsorted(union, at)], both[1, np.searchsorted(union, at_b)] = one, other
        width = len(self.idf)
        product, distance = both[0] * both[1], np.abs(both[0] - both[1])
        shared = int((product != 0).sum())
        cosine = product.sum() / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12)
        lengths = sorted((len(text), len(text_b)))
        overlaps = [cosine, shared / max(len(union), 1), (1 + lengths[0]) / (1 + lengths[1])]
        buckets = np.concatenate([union + part * width for part in range(4)])
        return (buckets, np.concatenate([*both, product, distance])), np.array(overlaps, np.float32)


def murmur(pieces: Sequence[bytes]) -> Array:
    """Returns MurmurHash3 (32 bits, seed 0) of each piece, uint32 (N,), vectorised."""
    if not pieces:
        return np.zeros(0, np.uint32)
    lengths = np.array([len(piece) for piece in pieces])
    width = int(lengths.max()) // 4 * 4 + 4
    words = np.frombuffer(b"".join(piece.ljust(width, b"\0") for piece in pieces), "<u4").reshape(len(pieces), -1)
    state = np.zeros(len(pieces), np.uint32)
    for column in range(words.shape[1]):
        block = words[:, column] * np.uint32(0xCC9E2D51)
        block = (block << np.uint32(15) | block >> np.uint32(17)) * np.uint32(0x1B873593)
        mixed = state ^ block
        whole = (mixed << np.uint32(13) | mixed >> np.uint32(19)) * np.uint32(5) + np.uint32(0xE6546B64)
        state = np.where(lengths >= 4 * column + 4, whole, np.where(lengths > 4 * column, mixed, state))
    state = state ^ lengths.astype(np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        state = (state ^ state >> np.uint32(shift)) * np.uint32(factor)
    return state ^ state >> np.uint32(16)


def _signed(hashes: Array) -> Array:
    """Returns the absolute values of the hashes read as signed integers, int64, as scikit-learn assigns buckets."""
    return np.abs(hashes.astype(np.int64) - (hashes > _U32 // 2) * (_U32 + 1))


def _pieces(text: str, kind: str) -> Iterator[str]:
    """Yields word unigrams and bigrams, or character 2- to 4-grams of words padded with a space at either end."""
    if kind == "word":
        words = _WORDS.findall(text)
        yield from words
        yield from (f"{one} {other}" for one, other in pairwise(words))
        return
    for word in _SPACES.sub(" ", text).split():
        padded = f" {word} "
        for size in range(2, 5):
            yield padded[:size]
            if len(padded) <= size:
                break  # a short word counts once
            yield from (padded[at : at + size] for at in range(1, len(padded) - size + 1))
