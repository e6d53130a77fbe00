"""Judges a challenger against the champion: the gates, and the figures behind them.

Answers and targets in, numbers and verdicts out; knows neither folders nor a registry.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import binom

from eibert.evaluate.bootstrap import Comparison, compare, comparison
from eibert.evaluate.conclusion import CHEAPER, MODELS
from eibert.paired import changed, interval, rows_needed
from eibert.params.judge import JudgeParams
from eibert.scores import predicted

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Gate:
    """One condition for going into service.

    Attributes:
        name: One word.
        value: Measured value; None: nothing to measure.
        bound: Its bound; None: a yes/no gate.
        passed: Whether the condition holds; None: not applicable, e.g. without a champion.
        note: Human-readable explanation.
        at_least: Whether the bound is a minimum rather than a maximum.
    """

    name: str
    value: float | None
    bound: float | None
    passed: bool | None
    note: str = ""
    at_least: bool = False


@dataclass(frozen=True)
class Verdict:
    """The outcome of all gates.

    Attributes:
        gates: All gates, in order.
        champion: Version number of the champion; None: there was none.
        override: A person's reason to pass the challenger although a gate failed; None: no override.
        figures: Further measurements: scores of both, their difference with its interval, McNemar's p, rows.
    """

    gates: tuple[Gate, ...]
    champion: int | None
    override: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether no gate failed, regardless of any override."""
        return all(gate.passed is not False for gate in self.gates)

    @property
    def judged(self) -> bool:
        """Whether any gate was applied; none is to a bundle already in service."""
        return any(gate.passed is not None for gate in self.gates)

    @property
    def reason(self) -> str:
        """The verdict in one line."""
        failed = [f"{gate.name}: {gate.note}" for gate in self.gates if gate.passed is False]
        if failed:
            return "; ".join(failed) + (f"; overridden: {self.override}" if self.override else "")
        return "every gate passed" if self.champion else "every gate that needs no champion passed; there is none yet"

    def as_object(self) -> dict[str, Any]:
        """Returns the verdict as JSON values."""
        return {
            "passed": self.passed,
            "champion": self.champion,
            "override": self.override,
            "reason": self.reason,
            "gates": [vars(gate) for gate in self.gates],
            "figures": dict(self.figures),
        }


def rows(compared: int, note: str, params: JudgeParams, *, metric: str | None) -> Gate:
    """Returns whether there are enough rows for a verdict, with a remedy if there are not.

    Choice: the bootstrap of a classification metric is trusted only on as many rows as put identical answers within the
    margin. The accuracy bound accounts for few rows by itself; regression outputs differ on every row (decision 0014).

    Args:
        compared: Test rows that count.
        note: Which rows those are.
        params: Section `judge`.
        metric: Metric by which challenger and champion are compared; None: nothing to compare with.
    """
    needed = rows_needed(0.0, 0.0, margin=params.margin, confidence=params.confidence) or 0
    least = max(params.min_rows, needed) if metric in ("macro_f1", "matthews") else params.min_rows
    if compared < params.min_rows:
        note += f"; fewer than judge.min_rows {params.min_rows:,}: add labelled test rows"
    elif compared < needed and metric not in (None, "spearman"):
        shown = math.ceil(-1e4 * interval(0, 0, compared, confidence=params.confidence)[0]) / 1e4
        note += (
            f"; identical answers bound the loss by judge.margin {params.margin:g} on {needed:,} rows, by "
            f"{shown:.4f} on {compared:,}: add labelled test rows or widen the margin"
        )
    return Gate("rows", compared, least, compared >= least, note, at_least=True)


def non_inferiority(
    metric: str, challenger: Array, champion: Array, targets: Array, params: JudgeParams, seed: int
) -> tuple[Gate, Comparison]:
    """Returns whether the challenger is non-inferior to the champion, and their difference with its interval.

    Source: non-inferiority by a one-sided confidence bound: it holds if the whole interval is at least -margin. For
    accuracy the bound is the score interval's (`paired.interval`), for other metrics the paired percentile bootstrap's
    (`evaluate.bootstrap`).
    Choice: no bootstrap for accuracy, because resamples do not vary if hardly any row changed; macro F1 over the
    classes in the targets only, because predicting a class without rows would add one with F1 0 (decision 0014).

    Args:
        metric: As in `scores.score`.
        challenger: Logits, float (N, C), N > 0.
        champion: Logits, float (N, C).
        targets: Targets (N,).
        params: Section `judge`.
        seed: Seed of the bootstrap.
    """
    hint = ""
    if metric == "accuracy":
        found, hint = _of_accuracy(challenger, champion, targets, params)
    else:
        found = compare(
            metric, challenger, {"champion": champion}, targets,
            samples=params.bootstrap_samples, confidence=2 * params.confidence - 1, seed=seed, of_targets=True,
        )["champion"]  # fmt: skip
    note = (
        f"{metric} {found.difference:+.4f} against the champion, with {params.confidence:.0%} confidence at least "
        f"{found.low:+.4f}{hint}"
    )
    return Gate("metric", found.low, -params.margin, found.low >= -params.margin, note, at_least=True), found


def _of_accuracy(challenger: Array, champion: Array, targets: Array, params: JudgeParams) -> tuple[Comparison, str]:
    """Returns the comparison, and a hint how many such rows would suffice if these are too few."""
    said, before = (predicted(logits, regression=False) for logits in (challenger, champion))
    (gained, lost), count = changed(said, before, targets), len(targets)
    low, high = interval(gained, lost, count, confidence=params.confidence)
    needed = rows_needed(gained / count, lost / count, margin=params.margin, confidence=params.confidence)
    hint = "" if needed is None or low >= -params.margin else f"; {needed:,} rows with these results would suffice"
    return comparison((gained - lost) / count, low, high), hint


def class_floor(labels: Sequence[str], challenger: Array, champion: Array, targets: Array, params: JudgeParams) -> Gate:
    """Returns whether no class's recall dropped too far.

    Choice: a drop counts only if McNemar's exact one-sided test on the class's rows is significant, because among many
    small classes one always drops by chance (decision 0014).

    Args:
        labels: Class names, C of them.
        challenger: The challenger's answers, class indices (N,).
        champion: The champion's answers, class indices (N,).
        targets: Class indices (N,).
        params: Section `judge`.
    """
    worst, name, held = 0.0, "", 0
    for index, label in enumerate(labels):
        rows = targets == index
        if rows.sum() < params.class_rows:
            continue
        held += 1
        gained, lost = changed(challenger[rows], champion[rows], targets[rows])
        fall = (lost - gained) / int(rows.sum())
        if fall > worst and binom.cdf(gained, gained + lost, 0.5) < 1 - params.confidence:
            worst, name = fall, label
    note = f"{held} of {len(labels)} classes have {params.class_rows} or more rows"
    if name:
        note = f"recall of {name} fell by {worst:.4f}; {note}"
    return Gate("classes", worst, params.class_floor, worst <= params.class_floor, note)


def latency(ratios: Sequence[float], params: JudgeParams) -> Gate:
    """Returns whether the challenger is fast enough relative to the champion.

    Args:
        ratios: Challenger's time over champion's time, per row.
        params: Section `judge`.
    """
    ratio = float(np.median(ratios))
    note = f"{ratio:.2f} times the champion's time, median of {len(ratios)} rows timed in turn, one thread"
    return Gate("latency", ratio, params.max_latency_ratio, ratio <= params.max_latency_ratio, note)


def rivals(differences: Mapping[str, Mapping[str, float]], params: JudgeParams) -> Gate:
    """Returns whether no cheaper model's statistically significant lead exceeds the tolerance.

    Args:
        differences: Rival → `difference`, `low`, `high` of the bundle's metric minus its own, from `evaluate`.
        params: Section `judge`.
    """
    leads = {name: -differences[name]["high"] for name in CHEAPER if name in differences}
    if not leads:
        return Gate("rivals", None, params.rival_tolerance, passed=False, note="`evaluate` has no cheaper rival")
    name = max(leads, key=lambda rival: leads[rival])
    lead, observed = max(0.0, leads[name]), differences[name]["difference"]
    note = f"closest is {MODELS[name]}: the bundle differs by {observed:+.4f}"
    return Gate("rivals", lead, params.rival_tolerance, lead <= params.rival_tolerance, note)
