"""Data drift: how far rows have shifted from those a version was trained on, and whether that exceeds the bounds.

Every distance is reduced by what chance alone yields for samples of these sizes, so a bound means the same for fifty
rows as for fifty thousand. Knows no files; docs/decisions/0015 explains the choice of distances.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from eibert.params.drift import DriftParams, Reaction
from eibert.profile import Judged, Profile, Reference

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Shift:
    """One distance and its verdict.

    Attributes:
        name: `labels`, `lengths`, `vocabulary`, `embedding` or `agreement`.
        value: The distance; None: it could not be computed.
        bound: Largest value that does not count as drift.
        reaction: What a larger value triggers.
        note: Short description of the finding.
    """

    name: str
    value: float | None
    bound: float
    reaction: Reaction
    note: str

    @property
    def beyond(self) -> bool:
        """Whether the value exceeds its bound and the check is on."""
        return self.reaction is not Reaction.OFF and self.value is not None and self.value > self.bound

    @property
    def stops(self) -> bool:
        """Whether training on these rows is blocked."""
        return self.beyond and self.reaction is Reaction.FAIL

    def __str__(self) -> str:
        """The shift in one line."""
        value = "–" if self.value is None else f"{self.value:.3f}"
        return f"{self.name} {value} (at most {self.bound:g}): {self.note}"


def compare(reference: Reference, profile: Profile, fresh: Judged | None, params: DriftParams) -> list[Shift]:
    """Returns every shift between the data of a version and a profile.

    Args:
        reference: Reference of the version's data.
        profile: Profile of the rows to compare, binned by the reference's edges; under another teacher, vocabulary and
            embedding are not compared.
        fresh: The version's answers on new labelled rows; None: too few.
        params: Bounds and reactions.
    """
    then, p = reference.profile, params
    classes = sorted(then.labels.keys() | profile.labels.keys())
    labels = [np.array([one.labels.get(name, 0) for name in classes]) for one in (then, profile)]
    fall = None if fresh is None else agreement_fall(reference.judged, fresh, confidence=p.confidence)
    same = then.teacher == profile.teacher
    another = "not compared: the teacher has since changed"
    return [
        Shift("labels", divergence(*labels), p.max_label_divergence, p.labels, _most_moved(classes, *labels)),
        Shift(
            "lengths", divergence(then.lengths, profile.lengths), p.max_length_divergence, p.lengths,
            f"median bin {_median(then.lengths)} → {_median(profile.lengths)}",
        ),
        Shift(
            "vocabulary", unseen_rise(then.pieces, profile.pieces) if same else None, p.max_unseen_rise, p.vocabulary,
            _unseen_note(then.pieces, profile.pieces) if same else another,
        ),
        Shift(
            "embedding", frechet(then, profile) if same else None, p.max_embedding_shift, p.embedding,
            f"{then.embedded} and {profile.embedded} rows embedded" if same else another,
        ),
        Shift("agreement", fall, p.max_agreement_fall, p.agreement, _agreement_note(reference.judged, fresh)),
    ]  # fmt: skip


def divergence(one: Array, other: Array) -> float:
    """Returns the Jensen-Shannon divergence of two histograms minus its expectation by chance, bits, 0 to 1.

    Source: Lin 1991, equation 4.1 with equal weights; JSD ≈ 1/(8 ln 2) Σ (p - q)² / mean, whose expectation for equal
    distributions is (B - 1)/(8 ln 2) · (1/n + 1/m) for B non-empty bins.

    Args:
        one: Counts (B,), n in total.
        other: Counts (B,), m in total.
    """
    n, m = int(one.sum()), int(other.sum())
    if not n or not m:
        return 0.0
    p, q = one / n, other / m
    mean = (p + q) / 2
    found = (_relative_entropy(p, mean) + _relative_entropy(q, mean)) / 2
    chance = (int((mean > 0).sum()) - 1) / (8 * math.log(2)) * (1 / n + 1 / m)
    return max(0.0, found - chance)


def unseen_rise(then: Array, now: Array) -> float:
    """Returns the share of occurrences of previously unseen pieces, minus the share expected in similar text.

    Source: Good 1953: the share of unseen pieces in further text is about that of pieces seen once.

    Args:
        then: Occurrences of each piece in the reference, (V,).
        now: Occurrences in the rows to compare, (V,).
    """
    if not now.sum() or not then.sum():
        return 0.0
    return max(0.0, float(now[then == 0].sum() / now.sum() - (then == 1).sum() / then.sum()))


def frechet(then: Profile, now: Profile) -> float:
    """Returns the squared Fréchet distance of the embeddings as a share of their variance, minus the chance level.

    Source: Dowson & Landau 1982, for normal distributions: |μ - ν|² + Σ (σ - τ)² if dimensions are independent.
    Choice: diagonal and relative to the total variance, so that the bound does not depend on the teacher's scale and a
    few hundred rows are enough. Chance level: 1/n + 1/m from the means, half as much from the spreads.
    """
    variance = float((then.spread**2).sum())
    if variance == 0.0:
        return 0.0 if np.allclose(then.mean, now.mean) else math.inf
    found = ((then.mean - now.mean) ** 2).sum() + ((then.spread - now.spread) ** 2).sum()
    return max(0.0, float(found / variance) - 1.5 * (1 / then.embedded + 1 / now.embedded))


def agreement_fall(judged: Judged, fresh: Judged, *, confidence: float) -> float:
    """Returns the lower confidence bound of the drop in agreement; 0 if it may not have dropped.

    Source: Agresti & Caffo 2000: Wald interval for a difference of two proportions after adding one success and one
    failure to each; here its lower end, one-sided.
    """
    before, after = [((one.agreed + 1) / (one.rows + 2), one.rows + 2) for one in (judged, fresh)]
    deviation = math.sqrt(sum(share * (1 - share) / rows for share, rows in (before, after)))
    return max(0.0, before[0] - after[0] - NormalDist().inv_cdf(confidence) * deviation)


def _relative_entropy(p: Array, q: Array) -> float:
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())


def _most_moved(classes: Sequence[str], then: Array, now: Array) -> str:
    before, after = then / max(1, then.sum()), now / max(1, now.sum())
    most = int(np.abs(after - before).argmax())
    return f"{classes[most]} {before[most]:.1%} → {after[most]:.1%} of the rows"


def _median(counts: Array) -> int:
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))


def _unseen_note(then: Array, now: Array) -> str:
    share, expected = now[then == 0].sum() / max(1, now.sum()), (then == 1).sum() / max(1, then.sum())
    return f"{share:.1%} of the pieces are unseen, expected {expected:.1%}"


def _agreement_note(judged: Judged, fresh: Judged | None) -> str:
    if fresh is None:
        return "too few new rows"
    before, after = judged.agreed / max(1, judged.rows), fresh.agreed / max(1, fresh.rows)
    return f"answers match labels on {before:.1%} of {judged.rows} judged and {after:.1%} of {fresh.rows} new rows"
