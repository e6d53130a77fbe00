"""All quality metrics of a model, overall and per class."""

from typing import Any

import numpy as np
from scipy.stats import pearsonr
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from eibert.corpus import TaskSpec
from eibert.scores import predicted, score

Array = np.ndarray[Any, Any]


def quality(spec: TaskSpec, logits: Array, targets: Array) -> dict[str, float]:
    """Returns all metrics for the kind of task, by name.

    Args:
        spec: The task.
        logits: Float (N, C).
        targets: Class indices int64 (N,), or numbers.

    Returns:
        `accuracy`, `macro_f1`, `matthews`; for regression `spearman`, `pearson`, `r2`.
    """
    if spec.regression:
        answers = logits[:, 0]
        correlations = {"spearman": score("spearman", logits, targets), "pearson": pearson(answers, targets)}
        return correlations | {"r2": determination(answers, targets)}
    return {name: score(name, logits, targets) for name in ("accuracy", "macro_f1", "matthews")}


def pearson(one: Array, other: Array) -> float:
    """Returns Pearson's r of two vectors (N,); 0 if one of them is constant or N < 2."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(pearsonr(one.astype(np.float64), other.astype(np.float64)).statistic)


def determination(answers: Array, targets: Array) -> float:
    """Returns R², 1 − squared error / squared deviation of the targets from their mean; 0 if the targets are constant.

    Correlations are blind to a wrong scale or mean; R² is not. Both arguments are (N,).
    """
    if len(targets) < 2 or np.ptp(targets) == 0:
        return 0.0
    wanted = targets.astype(np.float64)
    return 1.0 - float(np.square(answers - wanted).sum() / np.square(wanted - wanted.mean()).sum())


def per_class(spec: TaskSpec, logits: Array, targets: Array) -> list[dict[str, Any]]:
    """Returns `label`, `precision`, `recall`, `f1`, `rows` of each class that has rows, worst F1 first."""
    labels = range(len(spec.labels))
    answers = predicted(logits, regression=False)
    columns = precision_recall_fscore_support(targets, answers, labels=labels, zero_division=0)
    found = [
        {"label": spec.labels[index], "precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
        for index, (p, r, f, n) in enumerate(zip(*columns, strict=True))
        if n
    ]
    return sorted(found, key=lambda row: (row["f1"], row["label"]))


def confusion(spec: TaskSpec, logits: Array, targets: Array) -> Array:
    """Returns the confusion matrix, int64 (C, C): rows are targets, columns answers."""
    found: Array = confusion_matrix(targets, predicted(logits, regression=False), labels=range(len(spec.labels)))
    return found
