"""How far rows are from those a version learnt from, and whether that is further than their bounds.

Every distance is given less what chance alone makes of samples of these sizes, so that a bound means the same for fifty
rows as for fifty thousand. Knows no files; docs/decisions/0015 says why these distances.
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
        value: The distance; None: it could not be taken.
        bound: Largest value that is no drift.
        reaction: What a larger value does.
        note: What was found, in a few words.
    """

    name: str
    value: float | None
    bound: float
    reaction: Reaction
    note: str

    @property
    def beyond(self) -> bool:
        """Whether the value is over its bound and somebody wants to know."""
        return self.reaction is not Reaction.OFF and self.value is not None and self.value > self.bound

    @property
    def stops(self) -> bool:
        """Whether nothing may learn from these rows."""
        return self.beyond and self.reaction is Reaction.FAIL

    def __str__(self) -> str:
        """The shift in one line."""
        value = "–" if self.value is None else f"{self.value:.3f}"
        return f"{self.name} {value} (at most {self.bound:g}): {self.note}"


def compare(reference: Reference, profile: Profile, fresh: Judged | None, params: DriftParams) -> list[Shift]:
    """Returns every shift between the data of a version and a profile.

    Args:
        reference: What is kept of the version's data.
        profile: Of the rows to compare, made with the reference's edges and the same teacher.
        fresh: The version's answers on labelled rows that are new to it; None: there are too few.
        params: Bounds and reactions.
    """
    then, p = reference.profile, params
    classes = sorted(then.labels.keys() | profile.labels.keys())
    labels = [np.array([one.labels.get(name, 0) for name in classes]) for one in (then, profile)]
    fall = None if fresh is None else agreement_fall(reference.judged, fresh, confidence=p.confidence)
    same = then.teacher == profile.teacher
    another = "not compared: another teacher since that version"
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
    """Returns the Jensen-Shannon divergence of two histograms less its expectation by chance, bits, 0 to 1.

    Source: Lin 1991, equation 4.1 with equal weights; JSD ≈ 1/(8 ln 2) Σ (p - q)² / mean, whose expectation for equal
    distributions is (B - 1)/(8 ln 2) · (1/n + 1/m) for B bins that are not empty.

    Args:
        one: Counts (B,), n in all.
        other: Counts (B,), m in all.
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
    """Returns the share of piece occurrences that were unseen before, less the share expected of equal text.

    Source: Good 1953: the share of unseen pieces in further text is about that of pieces seen once.

    Args:
        then: Occurrences of each piece, (V,).
        now: The same of the rows to compare.
    """
    if not now.sum() or not then.sum():
        return 0.0
    return max(0.0, float(now[then == 0].sum() / now.sum() - (then == 1).sum() / then.sum()))


def frechet(then: Profile, now: Profile) -> float:
    """Returns the squared Fréchet distance of the embeddings as a share of their variance, less what chance makes.

    Source: Dowson & Landau 1982, for normal distributions: |μ - ν|² + Σ (σ - τ)² where dimensions are independent.
    Choice: diagonal and over the total variance, so that the bound is free of the teacher's scale and a few hundred
    rows are enough. By chance: 1/n + 1/m from the means, half of it from the spreads.
    """
    variance = float((then.spread**2).sum())
    if variance == 0.0:
        return 0.0 if np.allclose(then.mean, now.mean) else math.inf
    found = ((then.mean - now.mean) ** 2).sum() + ((then.spread - now.spread) ** 2).sum()
    return max(0.0, float(found / variance) - 1.5 * (1 / then.embedded + 1 / now.embedded))


def agreement_fall(judged: Judged, fresh: Judged, *, confidence: float) -> float:
    """Returns by how much agreement has fallen at least, with the given confidence; 0 where it may not have fallen.

    Source: Agresti & Caffo 2000: Wald's interval of a difference of two shares after one success and one failure were
    added to each; here its lower end, one-sided.
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
    return f"{share:.1%} of the pieces were never seen, expected {expected:.1%}"


def _agreement_note(judged: Judged, fresh: Judged | None) -> str:
    if fresh is None:
        return "too few new rows"
    before, after = judged.agreed / max(1, judged.rows), fresh.agreed / max(1, fresh.rows)
    return f"answers equal labels on {before:.1%} of {judged.rows} judged and {after:.1%} of {fresh.rows} new rows"
