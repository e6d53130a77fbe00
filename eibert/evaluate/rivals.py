"""Cheap rivals for the same task, which the bundle has to beat to be worth training."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from eibert.corpus import Split, TaskSpec
from eibert.evaluate.features import Grams, TextFeatures, count, pair_features
from eibert.progress import Report, silent
from eibert.scores import score

Array = np.ndarray[Any, Any]
Matrix = Any  # scipy.sparse.csr_matrix

HEADER_BYTES = 64
"""Bytes for format, sizes, kind of n-grams and idf scale of a stored rival."""

_OVERLAPS = 3
_MOST_STEPS = 1000
"""Maximum solver iterations; scikit-learn's tolerance stops it first (ten times that cost a rival three points)."""


def majority(spec: TaskSpec, train: Split, rows: int) -> Array:
    """Returns logits that always predict the most frequent class (for regression the mean), float32 (rows, C)."""
    if spec.regression:
        return np.full((rows, 1), train.targets.mean(), np.float32)
    logits = np.zeros((rows, spec.outputs), np.float32)
    logits[:, np.bincount(train.targets, minlength=spec.outputs).argmax()] = 1
    return logits


@dataclass(frozen=True)
class LinearRival:
    """TF-IDF with logistic regression (ridge regression for numbers) as it would be shipped, with INT8 weights.

    Attributes:
        text: Features of one text.
        pair: Whether inputs are pairs.
        codes: Quantized weights of hashed features, int8 (R, F), for pairs (R, 4F); R = 1 for two classes and for
            regression.
        scales: Weight per code unit in each row, float32 (R,).
        overlaps: Weights of a pair's overlaps, float32 (R, 3); (R, 0) for single texts.
        biases: Float32 (R,).
        two_classes: Whether one row decides between two classes.
        regularization: C of the logistic regression, 1/(2α) of the ridge regression.
    """

    text: TextFeatures
    pair: bool
    codes: Array
    scales: Array
    overlaps: Array
    biases: Array
    two_classes: bool
    regularization: float

    def logits(self, split: Split) -> Array:
        """Returns logits float32 (N, C), computed with the INT8 weights."""
        return self._answer(*_inputs(self.text, split))

    def _answer(self, hashed: Matrix, overlaps: Array) -> Array:
        weights = self.codes.astype(np.float32) * self.scales[:, None]
        rows = hashed @ weights.T + overlaps @ self.overlaps.T + self.biases
        return np.hstack([np.zeros_like(rows), rows]) if self.two_classes else rows

    @property
    def size_bytes(self) -> int:
        """Total bytes if stored."""
        arrays = (self.codes, self.scales, self.overlaps, self.biases)
        return HEADER_BYTES + self.text.size_bytes + sum(array.nbytes for array in arrays)


def fit_linear(
    spec: TaskSpec,
    train: Split,
    dev: Split,
    *,
    budget_bytes: int,
    regularizations: Sequence[float],
    selection_rows: int,
    seed: int,
    report: Report = silent,
) -> LinearRival:
    """Returns the rival with the kind of n-grams and regularization that score best on dev, within the budget.

    Choice: the n-grams are selected first, at the middle regularization, then the regularization; ties go to the first.

    Args:
        spec: The task.
        train: Training rows.
        dev: Rows for model selection.
        budget_bytes: Maximum bytes of the rival.
        regularizations: Values of C tried, ascending.
        selection_rows: Maximum training rows used for selection; the selected rival is trained on all rows.
        seed: Seed for sampling these rows.
        report: Called after each fit.
    """
    chosen_rows = np.random.default_rng(seed).permutation(len(train))[:selection_rows]
    sample = train.take(np.sort(chosen_rows))
    buckets = _buckets(spec, budget_bytes)
    middle = regularizations[len(regularizations) // 2]
    total, done = len(Grams) + len(regularizations), 0

    def tried(features: "_Prepared", regularization: float) -> tuple[float, LinearRival]:
        nonlocal done
        rival = features.fit(regularization)
        dev_score = score(spec.metric, rival.logits(dev), dev.targets)
        report(done := done + 1, total, dev=dev_score)
        return dev_score, rival

    prepared = {grams: _Prepared.of(spec, sample, grams, buckets) for grams in Grams}
    first = [tried(features, middle) for features in prepared.values()]
    best = max(first, key=lambda result: result[0])
    features = prepared[best[1].text.grams]
    results = [best if value == middle else tried(features, value) for value in regularizations]
    regularization = max(results, key=lambda result: result[0])[1].regularization
    if len(sample) < len(train):
        features = _Prepared.of(spec, train, features.text.grams, buckets)
    rival = features.fit(regularization)
    report(total, total)
    return rival


def fit_chosen(spec: TaskSpec, train: Split, *, grams: Grams, buckets: int, regularization: float) -> LinearRival:
    """Refits the rival that `fit_linear` selected, from its settings."""
    return _Prepared.of(spec, train, grams, buckets).fit(regularization)


@dataclass(frozen=True)
class _Prepared:
    """Features of the training rows, computed once for several regularizations."""

    spec: TaskSpec
    text: TextFeatures
    hashed: Matrix
    overlaps: Array
    targets: Array

    @classmethod
    def of(cls, spec: TaskSpec, train: Split, grams: Grams, buckets: int) -> "_Prepared":
        text, counts = TextFeatures.fit([*train.texts, *(train.texts_b or [])], grams, buckets)
        sides = text.weigh(counts)
        if not spec.pair:
            return cls(spec, text, sides, np.zeros((len(train), 0), np.float32), train.targets)
        hashed, overlaps = pair_features(sides[: len(train)], sides[len(train) :], train)
        return cls(spec, text, hashed, overlaps, train.targets)

    def fit(self, regularization: float) -> LinearRival:
        """Returns the rival with these features, its weights rounded to INT8."""
        filled = np.unique(self.hashed.indices)  # weights of empty buckets stay zero: solving without them is faster
        inputs = sp.hstack([self.hashed[:, filled], self.overlaps], format="csr", dtype=np.float32)
        weights, biases = solve(self.spec, inputs, self.targets, regularization)
        hashed, overlaps = weights[:, : len(filled)], weights[:, len(filled) :].astype(np.float32)
        scales = np.maximum(np.abs(hashed).max(axis=1, initial=0), 1e-12).astype(np.float32) / np.float32(127)
        codes = np.zeros((len(weights), self.hashed.shape[1]), np.int8)
        codes[:, filled] = np.rint(hashed / scales[:, None])
        return LinearRival(
            self.text, self.spec.pair, codes, scales, overlaps,
            biases.astype(np.float32), len(self.spec.labels) == 2, regularization,
        )  # fmt: skip


def solve(spec: TaskSpec, inputs: Matrix, targets: Array, regularization: float) -> tuple[Array, Array]:
    """Returns weights (R, F) and biases (R,) of the linear model."""
    if spec.regression:
        ridge = Ridge(alpha=0.5 / regularization, solver="lsqr", tol=1e-4).fit(inputs, targets)
        return ridge.coef_.reshape(1, -1), np.atleast_1d(ridge.intercept_)
    classes = np.unique(targets)
    if len(classes) == 1:  # the sample has a single class: always predict it
        biases = np.full(spec.outputs, -10.0)
        biases[classes[0]] = 10.0
        biases = biases[1:] if spec.outputs == 2 else biases  # one row decides between two
        return np.zeros((len(biases), inputs.shape[1])), biases
    model = LogisticRegression(C=regularization, max_iter=_MOST_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # dev judges the rival, not its convergence
        model.fit(inputs, targets)
    weights, biases = model.coef_, model.intercept_
    if len(model.classes_) == spec.outputs:
        return weights, biases
    if len(model.classes_) == 2:  # the sample has only two of several classes
        weights, biases = np.vstack([-weights, weights]), np.hstack([-biases, biases])
    full, shifts = np.zeros((spec.outputs, weights.shape[1])), np.full(spec.outputs, biases.min() - 10)
    full[model.classes_], shifts[model.classes_] = weights, biases
    return full, shifts


def _inputs(text: TextFeatures, split: Split) -> tuple[Matrix, Array]:
    one = text.weigh(count(split.texts, text.grams, text.buckets))
    if split.texts_b is None:
        return one, np.zeros((len(split), 0), np.float32)
    return pair_features(one, text.weigh(count(split.texts_b, text.grams, text.buckets)), split)


def _buckets(spec: TaskSpec, budget_bytes: int) -> int:
    """Returns the most buckets within the budget; each has one INT8 weight per row (four for pairs) and an idf code."""
    rows = 1 if spec.outputs <= 2 else spec.outputs
    fixed = HEADER_BYTES + 4 + rows * (4 + 4 + 4 * _OVERLAPS * spec.pair)
    return max(2, (budget_bytes - fixed) // (rows * (4 if spec.pair else 1) + 1))
