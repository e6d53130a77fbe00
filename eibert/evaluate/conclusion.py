"""The conclusion in plain words: is the bundle worth shipping, or does something cheaper do?"""

from collections.abc import Mapping
from dataclasses import dataclass

from eibert.evaluate.bootstrap import Comparison, Verdict

METRICS = {
    "accuracy": "accuracy", "macro_f1": "macro-F1", "matthews": "Matthews correlation",
    "spearman": "Spearman correlation", "pearson": "Pearson correlation", "r2": "R²",
}  # fmt: skip
MODELS = {
    "teacher": "Teacher",
    "student": "Student, fp32",
    "bundle": "Bundle",
    "tfidf": "TF-IDF + linear, INT8",
    "static": "Static table + linear, INT8",
    "control": "Plain distillation, fp32",
    "majority": "Constant answer",
}
BUNDLE, TEACHER = "bundle", "teacher"
CHEAPER = ("majority", "tfidf", "static")
"""Rivals that cost less than the bundle, the cheapest first."""

_NAMED = {
    "tfidf": "TF-IDF with a linear model of no more bytes",
    "static": "a static table of the teacher's tokens with a linear model of no more bytes",
    "control": "plain distillation of the same student",
    "majority": "one constant answer",
}


@dataclass(frozen=True)
class Conclusion:
    """Which model to ship, and why.

    Attributes:
        recommended: `bundle`, or the rival to use instead.
        headline: One or two sentences.
        details: One sentence per rival.
    """

    recommended: str
    headline: str
    details: tuple[str, ...]


def conclude(
    metric: str, scores: Mapping[str, float], comparisons: Mapping[str, Comparison], sizes: Mapping[str, int]
) -> Conclusion:
    """Returns the conclusion from the test split.

    Choice: a cheaper model is recommended unless the bundle is significantly better. Plain distillation costs the same
    once trained, so it is recommended only if it is significantly better.

    Args:
        metric: The metric by which models are compared.
        scores: Model → test score; includes `bundle` and `teacher`.
        comparisons: Rival → the bundle's comparison with it.
        sizes: Model → bytes; includes `bundle` and `teacher`.
    """
    recommended = next((name for name in CHEAPER if not _beaten(comparisons, name)), BUNDLE)
    if recommended == BUNDLE and "control" in comparisons and comparisons["control"].verdict is Verdict.WORSE:
        recommended = "control"
    details = tuple(_against(name, comparison) for name, comparison in comparisons.items())
    return Conclusion(recommended, _headline(metric, scores, sizes, recommended), details)


def _beaten(comparisons: Mapping[str, Comparison], name: str) -> bool:
    return name not in comparisons or comparisons[name].verdict is Verdict.BETTER


def _headline(metric: str, scores: Mapping[str, float], sizes: Mapping[str, int], recommended: str) -> str:
    if recommended == "majority":
        return "Do not ship this bundle: it is no better than one constant answer. Check the data and the teacher."
    if recommended != BUNDLE:
        return f"Ship something simpler: the bundle is not measurably better than {_NAMED[recommended]}."
    return (
        f"The bundle is worth shipping: {sizes[BUNDLE] / 1e6:.2f} MB{_smaller(sizes[TEACHER] / sizes[BUNDLE])}, "
        f"with {retention(scores):.1%} of its test {METRICS[metric]}."
    )


def _smaller(times: float) -> str:
    return f", {times:.0f} times smaller than the teacher" if round(times) > 1 else ""


def retention(scores: Mapping[str, float]) -> float:
    """Returns the bundle's share of the teacher's score; 0 where the teacher has none, or is worse than chance."""
    return scores[BUNDLE] / scores[TEACHER] if scores[TEACHER] > 0 else 0.0


def _against(name: str, comparison: Comparison) -> str:
    outcome = {
        Verdict.BETTER: "The bundle is better than",
        Verdict.TIE: "The bundle is not significantly different from",
        Verdict.WORSE: "The bundle is worse than",
    }[comparison.verdict]
    interval = f"{comparison.low:+.4f} to {comparison.high:+.4f}"
    return f"{outcome} {_NAMED[name]}: difference {comparison.difference:+.4f}, confidence interval {interval}."
