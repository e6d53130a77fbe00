"""Paired inference: what the rows that only one of two models gets right say about their accuracies on future rows.

Counts in, numbers out; knows neither models nor bounds.
"""

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

Array = np.ndarray[Any, Any]

HALF_A_ROW = 0.5
"""Continuity correction of the interval, in rows: counts move in steps of one."""


def changed(challenger: Array, champion: Array, targets: Array) -> tuple[int, int]:
    """Returns how many rows only the challenger gets right, and how many only the champion."""
    new, old = challenger == targets, champion == targets
    return int((new & ~old).sum()), int((old & ~new).sum())


def mcnemar(gained: int, lost: int) -> float:
    """Returns the exact two-sided p-value of McNemar's test.

    Source: McNemar 1947; exact form: a binomial test, as gains and losses are equally likely under the null hypothesis.

    Args:
        gained: Rows that only one model gets right.
        lost: Rows that only the other gets right.
    """
    return min(1.0, 2 * float(binom.cdf(min(gained, lost), gained + lost, 0.5)))


def interval(
    gained: int, lost: int, rows: int, *, confidence: float, correction: float = HALF_A_ROW
) -> tuple[float, float]:
    """Returns the confidence interval of the difference of two paired accuracies.

    Source: Tango 1998, score interval for a difference of paired proportions: δ lies inside while
    |gained - lost - N·δ| - correction ≤ z·√(N·(2q + δ(1 - δ))), q the maximum-likelihood share of lost rows given δ.
    Choice: corrected by half a row, without which the bound is too optimistic if few rows changed (decision 0014).

    Args:
        gained: Rows that only the first model gets right.
        lost: Rows that only the second gets right.
        rows: Total rows N > 0.
        confidence: One-sided confidence level of each end.
        correction: Continuity correction, in rows.
    """
    low = _least(gained, lost, rows, confidence, correction)
    return low, -_least(lost, gained, rows, confidence, correction)


def rows_needed(gained: float, lost: float, *, margin: float, confidence: float) -> int | None:
    """Returns the smallest sample size at which the interval excludes a loss beyond the margin; None: no size does.

    Source: the interval's equation at δ = -margin, which for given shares is quadratic in √N.

    Args:
        gained: Share of rows that only the first model gets right.
        lost: Share of rows that only the second gets right.
        margin: Tolerated loss of accuracy, at least 0.
        confidence: One-sided confidence level of the bound.
    """
    ahead = gained - lost + margin
    if ahead <= 0:
        return None
    spread = NormalDist().inv_cdf(confidence) * math.sqrt(_variance(gained, lost, -margin))
    return math.ceil(((spread + math.sqrt(spread**2 + 4 * ahead * HALF_A_ROW)) / (2 * ahead)) ** 2)


def _least(gained: int, lost: int, rows: int, confidence: float, correction: float) -> float:
    z = NormalDist().inv_cdf(confidence)

    def beyond(difference: float) -> float:
        """By how many rows the counts exceed what chance allows under a true difference."""
        spread = math.sqrt(rows * _variance(gained / rows, lost / rows, difference))
        return gained - lost - rows * difference - correction - z * spread

    return float(brentq(beyond, -1.0, (gained - lost) / rows)) if beyond(-1.0) > 0 else -1.0


def _variance(gained: float, lost: float, difference: float) -> float:
    """Returns the maximum-likelihood variance of one row's gain or loss, given these shares and the true difference."""
    linear = (2 - gained + lost) * difference - gained - lost
    root = math.sqrt(max(0.0, linear**2 + 8 * lost * difference * (1 - difference)))
    likeliest = (root - linear) / 4
    return max(0.0, 2 * likeliest + difference * (1 - difference))
