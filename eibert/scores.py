"""The task metrics: logits and targets → one number, higher is better."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def predicted(logits: Array, *, regression: bool) -> Array:
    """Returns class indices int64 (N,) of logits (N, C), or the numbers float32 (N,) for regression."""
    return logits[:, 0] if regression else logits.argmax(axis=1)


def score(metric: str, logits: Array, targets: Array, *, of_targets: bool = False) -> float:
    """Returns a metric of logits float (N, C) against targets (N,).

    Args:
        metric: `accuracy`, `macro_f1`, `matthews` or `spearman`.
        logits: Float (N, C).
        targets: Class indices, or numbers for `spearman`.
        of_targets: Whether macro F1 averages over the classes in the targets only, not also those only predicted.

    Raises:
        ValueError: the metric is unknown.
    """
    answers = predicted(logits, regression=metric == "spearman")
    match metric:
        case "accuracy":
            return float(np.mean(answers == targets))
        case "macro_f1":
            from sklearn.metrics import f1_score  # takes a second to import; most stages do not need it

            labels = np.unique(targets) if of_targets else None
            return float(f1_score(targets, answers, labels=labels, average="macro", zero_division=0))
        case "matthews":
            from sklearn.metrics import matthews_corrcoef

            return float(matthews_corrcoef(targets, answers))
        case "spearman":
            from scipy.stats import spearmanr

            # The rank correlation of a constant is undefined; it scores 0.
            constant = np.ptp(answers) == 0 or np.ptp(targets) == 0
            return 0.0 if constant else float(spearmanr(answers, targets).statistic)
        case _:
            raise ValueError(f"metric {metric!r}; expected accuracy, macro_f1, matthews or spearman")


def agreement(reference: Array, logits: Array, *, regression: bool) -> float:
    """Returns the share of rows on which two models agree.

    Choice: numbers agree if they differ by at most a hundredth of the reference's range, and always if they differ only
    by the rounding of float32 (a millionth of the largest magnitude).

    Args:
        reference: Logits, float (N, C).
        logits: Logits, float (N, C).
        regression: Whether the single logit is a number.
    """
    expected, found = (predicted(each, regression=regression) for each in (reference, logits))
    if regression:
        tolerance = max(0.01 * float(np.ptp(expected)), 1e-6 * float(np.abs(expected).max()))
        return float(np.mean(np.abs(found - expected) <= tolerance))
    return float(np.mean(found == expected))
