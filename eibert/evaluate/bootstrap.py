"""Whether a difference between two models on one test split is more than chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from eibert.scores import score

Array = np.ndarray[Any, Any]


class Verdict(StrEnum):
    """How the bundle stands against a rival."""

    BETTER = "better"
    TIE = "tie"
    WORSE = "worse"


@dataclass(frozen=True)
class Comparison:
    """Score of the bundle less score of a rival, the interval of that difference, and what follows from it."""

    difference: float
    low: float
    high: float
    verdict: Verdict


def compare(
    metric: str,
    bundle: Array,
    rivals: Mapping[str, Array],
    targets: Array,
    *,
    samples: int,
    confidence: float,
    seed: int,
) -> dict[str, Comparison]:
    """Returns the bundle's standing against each rival by the paired bootstrap.

    Source: Efron & Tibshirani 1993, section 13.3, percentile interval; rows are drawn with replacement, the same rows
    for all models.
    Choice: the verdict is a tie unless the interval leaves out zero.

    Args:
        metric: As in `scores.score`.
        bundle: Logits of the bundle, float (N, C).
        rivals: Logits of each rival, float (N, C).
        targets: Targets (N,).
        samples: Number of resamples.
        confidence: Share of resamples inside the interval.
        seed: Seed of the draws.
    """
    generator = np.random.default_rng(seed)
    differences: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(samples):
        rows = generator.integers(len(targets), size=len(targets))
        own = _score(metric, bundle[rows], targets[rows])
        for name, logits in rivals.items():
            differences[name].append(own - _score(metric, logits[rows], targets[rows]))
    tails = (0.5 - confidence / 2, 0.5 + confidence / 2)
    observed = {
        name: score(metric, bundle, targets) - score(metric, logits, targets) for name, logits in rivals.items()
    }
    return {name: _comparison(observed[name], np.quantile(differences[name], tails)) for name in rivals}


def _score(metric: str, logits: Array, targets: Array) -> float:
    if metric == "spearman" and np.ptp(targets) == 0:
        return 0.0  # a resample of one repeated target has no order to find
    return score(metric, logits, targets)


def _comparison(difference: float, interval: Array) -> Comparison:
    low, high = (float(end) for end in interval)
    verdict = Verdict.BETTER if low > 0 else Verdict.WORSE if high < 0 else Verdict.TIE
    return Comparison(difference, low, high, verdict)
