"""Hashed TF-IDF features of texts, with inverse document frequencies stored in one byte each."""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from eibert.corpus import Split

Array = np.ndarray[Any, Any]
Matrix = Any  # scipy.sparse.csr_matrix

_LEVELS = 255


class Grams(StrEnum):
    """Which n-grams of a text are counted."""

    WORD = "word"  # word unigrams and bigrams
    CHAR = "char"  # character 2- to 4-grams within words
    BOTH = "both"  # half of the buckets for each


@dataclass(frozen=True)
class TextFeatures:
    """Sublinear TF-IDF of one text, each block normalised to unit length.

    Attributes:
        grams: N-grams counted.
        buckets: Number of features F per text.
        idf_codes: Quantized inverse document frequencies, uint8 (F,).
        idf_scale: Inverse document frequency per code unit.
    """

    grams: Grams
    buckets: int
    idf_codes: Array
    idf_scale: float

    @classmethod
    def fit(cls, texts: list[str], grams: Grams, buckets: int) -> tuple["TextFeatures", Matrix]:
        """Returns features with inverse document frequencies fitted on texts, and the texts' counts for `weigh`."""
        counts = count(texts, grams, buckets)
        found = np.bincount(counts.indices, minlength=buckets)
        idf = np.log((1 + len(texts)) / (1 + found)) + 1  # smoothed as in scikit-learn
        scale = float(idf.max()) / _LEVELS
        return cls(grams, buckets, np.rint(idf / scale).astype(np.uint8), scale), counts

    def weigh(self, counts: Matrix) -> Matrix:
        """Returns the TF-IDF features float32 (N, F) of counts (N, F)."""
        weighted = counts.copy()
        weighted.data = 1 + np.log(weighted.data)
        weighted = weighted.multiply(self.idf_codes.astype(np.float32) * np.float32(self.idf_scale)).tocsr()
        sizes = block_sizes(self.grams, self.buckets)
        starts = np.cumsum([0, *sizes])
        blocks = [normalize(weighted[:, start:end]) for start, end in pairwise(starts)]
        return sp.hstack(blocks, format="csr", dtype=np.float32)

    @property
    def size_bytes(self) -> int:
        """Bytes of codes and scale."""
        return self.idf_codes.nbytes + 4


def block_sizes(grams: Grams, buckets: int) -> list[int]:
    """Returns the number of buckets per kind of n-gram."""
    return [buckets // 2, buckets - buckets // 2] if grams is Grams.BOTH else [buckets]


def count(texts: list[str], grams: Grams, buckets: int) -> Matrix:
    """Returns how often each bucket's n-grams occur in each text, float32 (N, F)."""
    kinds = {Grams.WORD: ["word"], Grams.CHAR: ["char_wb"], Grams.BOTH: ["word", "char_wb"]}[grams]
    blocks = [
        HashingVectorizer(
            analyzer=kind,
            ngram_range=(1, 2) if kind == "word" else (2, 4),
            token_pattern=r"\w+|[^\w\s]" if kind == "word" else None,
            n_features=size,
            alternate_sign=False,
            norm=None,
            dtype=np.float32,
        ).transform(texts)
        for kind, size in zip(kinds, block_sizes(grams, buckets), strict=True)
    ]
    return sp.hstack(blocks, format="csr", dtype=np.float32)


def pair_features(one: Matrix, other: Matrix, split: Split) -> tuple[Matrix, Array]:
    """Returns pair features: both sides, product and absolute difference, float32 (N, 4F), and overlaps float32 (N, 3).

    The overlaps are the cosine similarity of the two texts, the share of shared buckets, and the length ratio.
    """
    product = one.multiply(other).tocsr()
    distance = abs(one - other)
    shared = product.getnnz(axis=1)
    union = one.getnnz(axis=1) + other.getnnz(axis=1) - shared
    norms = sp.linalg.norm(one, axis=1) * sp.linalg.norm(other, axis=1)
    cosine = np.asarray(product.sum(axis=1)).ravel() / np.maximum(norms, 1e-12)
    lengths = np.array([[len(text) for text in side] for side in (split.texts, split.texts_b or [])])
    ratio = (1 + lengths.min(axis=0)) / (1 + lengths.max(axis=0))
    overlaps = np.stack([cosine, shared / np.maximum(union, 1), ratio], axis=1).astype(np.float32)
    return sp.hstack([one, other, product, distance], format="csr", dtype=np.float32), overlaps
