"""Paired counts against published intervals, scipy, enumeration of all outcomes, and hand-computed values."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, multinomial, norm

from eibert import paired


def test_mcnemar_is_the_binomial_test_by_hand() -> None:
    assert paired.mcnemar(6, 0) == pytest.approx(2 / 2**6)
    assert paired.mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)
    assert paired.mcnemar(9, 1) == paired.mcnemar(1, 9)
    assert paired.mcnemar(5, 5) == paired.mcnemar(0, 0) == 1.0


@pytest.mark.parametrize(("gained", "lost"), [(3, 14), (20, 8), (1, 0), (40, 41)])
def test_mcnemar_is_scipys_binomial_test(gained: int, lost: int) -> None:
    assert paired.mcnemar(gained, lost) == pytest.approx(binomtest(gained, gained + lost).pvalue)


def test_changes_count_rows_that_one_model_alone_answers_rightly() -> None:
    new, old, targets = np.array([0, 1, 1, 0, 1]), np.array([0, 0, 1, 1, 0]), np.array([0, 1, 0, 1, 1])
    assert paired.changed(new, old, targets) == (2, 1)


def test_uncorrected_interval_is_the_published_one() -> None:
    # Fagerland, Lydersen & Laake 2014, airway reactivity of 21 children (1 and 7 changed): Tango's 95 % interval.
    found = paired.interval(1, 7, 21, confidence=0.975, correction=0.0)
    assert found == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize(("gained", "lost", "rows"), [(3, 9, 400), (0, 4, 200), (20, 8, 400), (5, 5, 50)])
def test_bound_is_where_the_likeliest_counts_make_the_loss_a_chance_in_twenty(
    gained: int, lost: int, rows: int
) -> None:
    low, _ = paired.interval(gained, lost, rows, confidence=0.95)
    same = rows - gained - lost

    def unlikely(share: float) -> float:
        """Negative log-likelihood of the counts for a share of lost rows, if the bound is the true difference."""
        shares = (share + low, share, 1 - 2 * share - low)
        return -sum(count * math.log(one) for count, one in zip((gained, lost, same), shares, strict=True) if count)

    found = minimize_scalar(unlikely, bounds=(-low + 1e-12, (1 - low) / 2 - 1e-9), options={"xatol": 1e-10})
    spread = math.sqrt(rows * (2 * found.x + low - low**2))
    assert norm.sf((gained - lost - 0.5 - rows * low) / spread) == pytest.approx(0.05, abs=1e-4)


def test_interval_turns_round_with_the_models() -> None:
    low, high = paired.interval(7, 2, 90, confidence=0.9)
    assert paired.interval(2, 7, 90, confidence=0.9) == pytest.approx((-high, -low))
    assert low < 5 / 90 < high


def test_interval_ends_where_differences_do() -> None:
    assert paired.interval(0, 5, 5, confidence=0.95)[0] == -1.0
    assert paired.interval(5, 0, 5, confidence=0.95)[1] == 1.0


def test_equal_answers_are_evidence_only_as_far_as_there_are_rows() -> None:
    # No row changed: N·m - 0.5 = 1.6449 · √(N·m·(1 - m)) gives √(N·m) = 1.8925 for m = 0.02, so N = 179.1.
    assert paired.rows_needed(0.0, 0.0, margin=0.02, confidence=0.95) == 180
    assert paired.interval(0, 0, 180, confidence=0.95)[0] >= -0.02 > paired.interval(0, 0, 179, confidence=0.95)[0]


@pytest.mark.parametrize(("gained", "lost", "rows"), [(0, 1, 240), (3, 5, 500), (12, 12, 500), (2, 2, 247), (0, 0, 90)])
def test_rows_needed_are_those_at_which_the_bound_meets_the_margin(gained: int, lost: int, rows: int) -> None:
    needed = paired.rows_needed(gained / rows, lost / rows, margin=0.02, confidence=0.95)
    assert needed is not None
    # Integer multiples of the counts keep the shares exactly the same.
    for times in range(1, 9):
        within = paired.interval(times * gained, times * lost, times * rows, confidence=0.95)[0] >= -0.02
        assert within is (times * rows >= needed)


def test_no_number_of_rows_shows_that_a_loss_beyond_the_margin_is_within_it() -> None:
    assert paired.rows_needed(0.0, 0.02, margin=0.02, confidence=0.95) is None
    assert paired.rows_needed(0.0, 0.0, margin=0.0, confidence=0.95) is None
    assert paired.rows_needed(0.01, 0.0, margin=0.0, confidence=0.95) is not None


def pass_rate(rows: int, gained: float, margin: float, confidence: float) -> float:
    """Probability that a challenger whose true loss equals the margin passes, summed over all passing outcomes."""
    lost = gained + margin
    most = [math.ceil(rows * share + 6 * math.sqrt(rows * share) + 2) for share in (gained, lost)]
    passing = [
        (won, gone, rows - won - gone)
        for won in range(most[0] if gained else 1)
        for gone in range(min(most[1], rows - won + 1))
        if paired.interval(won, gone, rows, confidence=confidence)[0] >= -margin
    ]
    return float(multinomial.pmf(passing, rows, [gained, lost, 1 - gained - lost]).sum()) if passing else 0.0


@pytest.mark.parametrize("gained", [0.0, 0.001, 0.005, 0.03])
def test_loss_of_the_margin_passes_no_oftener_than_stated_whatever_the_number_of_rows(gained: float) -> None:
    for rows in (20, 50, 134, 149, 180, 191, 222, 240, 261, 336, 500):
        assert pass_rate(rows, gained, margin=0.02, confidence=0.95) <= 0.05
        assert pass_rate(rows, gained, margin=0.05, confidence=0.9) <= 0.1
