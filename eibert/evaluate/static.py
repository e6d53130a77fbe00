"""Static embeddings of the teacher's tokens with a linear head: a rival without attention.

Source: Model2Vec (Tulkens and van Dongen, 2024): each token is embedded by the teacher on its own, reduced by PCA and
weighted down if frequent; a text is the mean of its tokens. Choice: components, with as many tokens as fit, and the
head's regularization are selected on dev; all of it, in INT8, takes no more bytes than the bundle.
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
"""The a in the weight a / (a + token frequency), frequencies by Zipf's law over the teacher's vocabulary order.

Source: Model2Vec, which assumes a vocabulary sorted by frequency. The bundled teacher's is only roughly so (characters
come first); ranks by counts in train were tried and damped the words that distinguish classes.
"""
_MAX_TOKENS = 512
_BATCH_TOKENS = 512


@dataclass(frozen=True)
class StaticRival:
    """Token embeddings and head in INT8.

    Attributes:
        teacher: Only its tokenizer is used.
        rows: Row in `codes` of each teacher token, -1 if left out, int64 (V_T,).
        codes: Quantized token embeddings, int8 (V, D).
        scales: Value of a code unit in each component, float32 (D,).
        letters: Bytes of the kept tokens as a vocabulary file.
        head: Quantized weights, int8 (R, F); R = 1 for two classes and for regression.
        head_scales: Float32 (R,).
        biases: Float32 (R,).
        two_classes: Whether one row decides between two classes.
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
        """Total bytes if stored."""
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
    """Returns the static rival that scores best on dev within the budget; ties go to the first.

    Args:
        spec: The task.
        teacher: Embeds the tokens.
        train: Training rows; their most frequent tokens enter the table first.
        dev: Rows for model selection.
        budget_bytes: Maximum bytes of the rival.
        dimensions: Numbers of components D tried.
        regularizations: Values of C tried for the head.
        report: Called after each fit.
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
    """Returns how often each of the teacher's tokens occurs in a split, int64 (V_T,)."""
    rows = _encoded(teacher, [*split.texts, *(split.texts_b or [])])
    return np.bincount(np.concatenate(rows.ids), minlength=len(teacher.tokens))


def _encoded(teacher: Teacher, texts: Sequence[str]) -> Encoded:
    return encode(teacher.tokenizer, texts, None, max_tokens=_MAX_TOKENS)


def _fitting(spec: TaskSpec, order: Array, letters: Array, size: int, budget_bytes: int) -> Array:
    """Returns the longest prefix of `order`, of `letters` bytes per token, that fits the budget with D = size."""
    outputs = 1 if spec.outputs <= 2 else spec.outputs
    fixed = HEADER_BYTES + 4 * size + outputs * ((4 if spec.pair else 1) * size + 8)
    return order[: max(1, int(np.searchsorted(np.cumsum(letters + size), budget_bytes - fixed, side="right")))]


@torch.no_grad()
def _alone(teacher: Teacher, tokens: Array) -> Array:
    """Returns the teacher's sentence representation of each token on its own, float32 (V, H_T)."""
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
    """Returns the principal components of token embeddings, float32 (V, D), frequent tokens scaled down."""
    centred = table.astype(np.float64) - table.mean(axis=0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :size]
    weighted: Array = (centred @ directions) * (_SIF / (_SIF + shares))[:, None]
    return weighted.astype(np.float32)


def _features(teacher: Teacher, table: Array, rows: Array, split: Split) -> Array:
    """Returns a unit vector per text, float32 (N, D); for pairs both, their product and absolute difference (N, 4D)."""
    one = _pooled(teacher, table, rows, split.texts)
    if split.texts_b is None:
        return one
    other = _pooled(teacher, table, rows, split.texts_b)
    scale = np.sqrt(np.float32(table.shape[1]))  # products of unit vectors are relatively small
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
