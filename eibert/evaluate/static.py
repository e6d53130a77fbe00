"""A static table of the teacher's token representations with a linear head: a rival without attention.

Source: Model2Vec (Tulkens and van Dongen, 2024): every token goes through the teacher alone, principal components,
weights against frequent tokens, the mean of a text's tokens. Choice: tokens, components and strength of the head are
chosen on dev so that all of it, rounded to INT8, takes no more bytes than the bundle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from eibert.batches import Encoded, encode
from eibert.corpus import Split, TaskSpec
from eibert.evaluate.rivals import HEADER_BYTES, solve
from eibert.progress import Report, silent
from eibert.runtime.tokenizer import SPECIALS
from eibert.scores import score
from eibert.teacher import Teacher

Array = np.ndarray[Any, Any]

_SIF = 1e-4
"""a of the weight a / (a + share of the token), shares by Zipf's law over the teacher's vocabulary in its own order.

Source: Model2Vec, which takes a vocabulary to stand in the order of frequency. The bundled teacher's does so only
roughly (characters come first); ranks by the counts in train were tried and damped the words by which classes differ.
"""
_MAX_TOKENS = 512
_BATCH_TOKENS = 512


@dataclass(frozen=True)
class StaticRival:
    """Token table and head in INT8.

    Attributes:
        teacher: Only its tokenizer is used.
        rows: Row of each token of the teacher in `codes`, -1 where it is left out, int64 (V_T,).
        codes: Token rows, int8 (V, D).
        scales: Size of one code in each component, float32 (D,).
        letters: Bytes of the kept tokens as a vocabulary file.
        head: Weights as codes, int8 (R, F); R = 1 for two classes and for regression.
        head_scales: Float32 (R,).
        biases: Float32 (R,).
        two_classes: One row decides between two classes.
    """

    teacher: Teacher
    rows: Array
    codes: Array
    scales: Array
    letters: int
    head: Array
    head_scales: Array
    biases: Array
    two_classes: bool

    def logits(self, split: Split) -> Array:
        """Returns logits float32 (N, C), computed with the INT8 weights."""
        table = self.codes.astype(np.float32) * self.scales
        found = _features(self.teacher, table, self.rows, split)
        answered = found @ (self.head.astype(np.float32) * self.head_scales[:, None]).T + self.biases
        return np.hstack([np.zeros_like(answered), answered]) if self.two_classes else answered

    @property
    def size_bytes(self) -> int:
        """Bytes of everything that would be stored."""
        arrays = (self.codes, self.scales, self.head, self.head_scales, self.biases)
        return HEADER_BYTES + self.letters + sum(array.nbytes for array in arrays)


def fit_static(
    spec: TaskSpec,
    teacher: Teacher,
    train: Split,
    dev: Split,
    *,
    budget_bytes: int,
    dimensions: Sequence[int],
    regularizations: Sequence[float],
    report: Report = silent,
) -> StaticRival:
    """Returns the best static rival on dev within the budget; of equal ones the earlier.

    Args:
        spec: The task.
        teacher: Gives the table.
        train: Rows to learn from; their tokens come first into the table.
        dev: Rows to choose by.
        budget_bytes: Most bytes of the rival.
        dimensions: Numbers D of components tried.
        regularizations: Strengths C of the head tried.
        report: Told after each fit.
    """
    counts = _counts(teacher, train)
    ranks = 1.0 / np.arange(2, len(counts) + 2)
    shares = ranks / ranks.sum()
    order = np.lexsort((np.arange(len(counts)), -counts))
    order = order[~np.isin(order, [teacher.tokens.index(token) for token in SPECIALS])]
    letters = np.array([len(token.encode()) + 1 for token in teacher.tokens])
    kept = {size: _fitting(spec, order, letters[order], size, budget_bytes) for size in sorted(set(dimensions))}
    most = max(kept.values(), key=len)
    whole = _alone(teacher, most)
    best: tuple[float, StaticRival] | None = None
    total, done = len(kept) * len(regularizations), 0
    for size, tokens in kept.items():
        rows = np.full(len(counts), -1)
        rows[tokens] = np.arange(len(tokens))
        table = _components(whole[: len(tokens)], shares[tokens], size)
        scales = np.maximum(np.abs(table).max(axis=0), 1e-12).astype(np.float32) / np.float32(127)
        codes = np.rint(table / scales).astype(np.int8)
        features = _features(teacher, codes.astype(np.float32) * scales, rows, train)
        for regularization in regularizations:
            weights, biases = solve(spec, features, train.targets, regularization)
            head_scales = np.maximum(np.abs(weights).max(axis=1), 1e-12).astype(np.float32) / np.float32(127)
            head = np.rint(weights / head_scales[:, None]).astype(np.int8)
            rival = StaticRival(
                teacher, rows, codes, scales, int(letters[tokens].sum()), head, head_scales,
                biases.astype(np.float32), len(spec.labels) == 2,
            )  # fmt: skip
            dev_score = score(spec.metric, rival.logits(dev), dev.targets)
            report(done := done + 1, total, dev=dev_score)
            if best is None or dev_score > best[0]:
                best = dev_score, rival
    assert best is not None
    return best[1]


def _counts(teacher: Teacher, split: Split) -> Array:
    """Returns how often each of the teacher's tokens stands in a split, int64 (V_T,)."""
    rows = _encoded(teacher, [*split.texts, *(split.texts_b or [])])
    return np.bincount(np.concatenate(rows.ids), minlength=len(teacher.tokens))


def _encoded(teacher: Teacher, texts: Sequence[str]) -> Encoded:
    return encode(teacher.tokenizer, texts, None, max_tokens=_MAX_TOKENS)


def _fitting(spec: TaskSpec, order: Array, letters: Array, size: int, budget_bytes: int) -> Array:
    """Returns the first tokens in order, each of `letters` bytes, that fit the budget with D = size."""
    outputs = 1 if spec.outputs <= 2 else spec.outputs
    fixed = HEADER_BYTES + 4 * size + outputs * ((4 if spec.pair else 1) * size + 8)
    return order[: max(1, int(np.searchsorted(np.cumsum(letters + size), budget_bytes - fixed, side="right")))]


@torch.no_grad()
def _alone(teacher: Teacher, tokens: Array) -> Array:
    """Returns the teacher's representation of each token between the special ones, float32 (V, H_T)."""
    start, end = _encoded(teacher, [""]).ids[0]
    ids = np.stack([np.full(len(tokens), start), tokens, np.full(len(tokens), end)], axis=1).astype(np.int32)
    rows = Encoded(list(ids), list(np.zeros_like(ids)))
    device = next(teacher.parameters()).device
    parts = [
        teacher(rows.batch(range(first, min(first + _BATCH_TOKENS, len(tokens))), device))[1].float().cpu()
        for first in range(0, len(tokens), _BATCH_TOKENS)
    ]
    return torch.cat(parts).numpy()


def _components(table: Array, shares: Array, size: int) -> Array:
    """Returns principal components of token rows, float32 (V, D), frequent tokens scaled down."""
    centred = table.astype(np.float64) - table.mean(axis=0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :size]
    weighted: Array = (centred @ directions) * (_SIF / (_SIF + shares))[:, None]
    return weighted.astype(np.float32)


def _features(teacher: Teacher, table: Array, rows: Array, split: Split) -> Array:
    """Returns a vector of unit length per text, float32 (N, D); for pairs both, their product and distance (N, 4D)."""
    one = _pooled(teacher, table, rows, split.texts)
    if split.texts_b is None:
        return one
    other = _pooled(teacher, table, rows, split.texts_b)
    scale = np.sqrt(np.float32(table.shape[1]))  # products of unit vectors are small beside the vectors
    return np.hstack([one, other, one * other * scale, np.abs(one - other)])


def _pooled(teacher: Teacher, table: Array, rows: Array, texts: Sequence[str]) -> Array:
    found = np.zeros((len(texts), table.shape[1]), np.float32)
    for position, ids in enumerate(_encoded(teacher, texts).ids):
        places = rows[ids]
        known = places[places >= 0]
        if len(known):
            found[position] = table[known].mean(axis=0)
    unit: Array = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return unit
