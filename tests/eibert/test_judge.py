"""The arithmetic of the judge, against hand numbers and scipy."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from eibert import judge
from eibert.judge import Gate, Verdict
from eibert.params.judge import JudgeParams
from eibert.params.load import Params

LABELS = ("a", "b")


@pytest.fixture
def section(params: Params) -> JudgeParams:
    return params.judge.model_copy(update={"margin": 0.02, "confidence": 0.95, "bootstrap_samples": 4000})


def logits(answers: np.ndarray, classes: int = 2) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[answers]


def answers(right: int, wrong: int) -> np.ndarray:
    """Answers to targets of class 0."""
    return np.array([0] * right + [1] * wrong)


def test_mcnemar_is_the_binomial_test_by_hand() -> None:
    assert judge.mcnemar(6, 0) == pytest.approx(2 / 2**6)
    assert judge.mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)
    assert judge.mcnemar(9, 1) == judge.mcnemar(1, 9)
    assert judge.mcnemar(5, 5) == judge.mcnemar(0, 0) == 1.0


@pytest.mark.parametrize(("gained", "lost"), [(3, 14), (20, 8), (1, 0), (40, 41)])
def test_mcnemar_is_scipys_binomial_test(gained: int, lost: int) -> None:
    assert judge.mcnemar(gained, lost) == pytest.approx(binomtest(gained, gained + lost).pvalue)


def test_changes_count_rows_that_one_model_alone_answers_rightly() -> None:
    new, old, targets = np.array([0, 1, 1, 0, 1]), np.array([0, 0, 1, 1, 0]), np.array([0, 1, 0, 1, 1])
    assert judge.changed(new, old, targets) == (2, 1)


def test_bound_is_that_of_scipys_paired_bootstrap(section: JudgeParams) -> None:
    # 400 rows: 20 gained, 8 lost, of the others 350 right by both.
    new = np.array([0] * 20 + [1] * 8 + [0] * 350 + [1] * 22)
    old = np.array([1] * 20 + [0] * 8 + [0] * 350 + [1] * 22)
    targets = np.zeros(400, np.int64)
    gate, found = judge.non_inferiority("accuracy", logits(new), logits(old), targets, section, seed=1)
    difference = ((new == targets).astype(float) - (old == targets),)
    expected = bootstrap(difference, np.mean, confidence_level=0.9, method="percentile", n_resamples=9999, rng=0)
    assert found.difference == pytest.approx(12 / 400)
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.003)
    # By hand: 0.03 - 1.645 · sqrt((28/400 - 0.03²) / 400)
    assert gate.value == pytest.approx(0.0084, abs=0.003)
    assert gate.passed is True


@pytest.mark.parametrize(
    ("lost", "margin", "passed"),
    [
        (0, 0.0, True),  # the same answers: no difference in any resample
        (4, 0.015, False),  # -0.01, and with 95 % at least -0.01 - 1.645 · sqrt(0.01 · 0.99 / 400) = -0.018
        (4, 0.025, True),
        (20, 0.02, False),  # -0.05
        (20, 0.08, True),  # -0.05 - 1.645 · 0.0109 = -0.068
        (20, 0.06, False),
    ],
)
def test_loss_beyond_the_margin_is_not_let_pass(lost: int, margin: float, passed: bool, section: JudgeParams) -> None:
    given = section.model_copy(update={"margin": margin})
    new, old = answers(380 - lost, 20 + lost), answers(380, 20)
    gate, _ = judge.non_inferiority("accuracy", logits(new), logits(old), np.zeros(400, np.int64), given, seed=3)
    assert gate.passed is passed
    assert gate.bound == -margin


@pytest.mark.parametrize("metric", ["macro_f1", "matthews"])
def test_other_metrics_are_compared_too(metric: str, section: JudgeParams) -> None:
    targets = np.array([0, 1] * 100)
    worse = targets.copy()
    worse[:60] = 1 - worse[:60]
    gate, found = judge.non_inferiority(metric, logits(worse), logits(targets), targets, section, seed=3)
    assert gate.passed is False
    # Both classes lose 30 of 100 rows to each other: F1 0.7 each; correlation 1 - 2 · 0.3.
    assert found.difference == pytest.approx({"macro_f1": -0.3, "matthews": -0.6}[metric])


def test_numbers_are_compared_by_their_ranks(section: JudgeParams) -> None:
    targets = np.arange(100, dtype=np.float32)
    gate, found = judge.non_inferiority(
        "spearman",
        -targets[:, None],
        targets[:, None],
        targets,
        section.model_copy(update={"bootstrap_samples": 100}),
        3,
    )
    assert found.difference == pytest.approx(-2.0)
    assert gate.passed is False


def floor(section: JudgeParams, lost: int, rows: int, **changed: object) -> Gate:
    targets = np.array([0] * rows + [1] * 200)
    new = targets.copy()
    new[:lost] = 1
    return judge.class_floor(LABELS, new, targets.copy(), targets, section.model_copy(update=changed))


def test_class_that_fell_too_far_is_named(section: JudgeParams) -> None:
    gate = floor(section, lost=12, rows=80)
    assert (gate.value, gate.passed) == (0.15, False)
    assert "recall of a fell by 0.1500" in gate.note


def test_fall_within_the_floor_passes(section: JudgeParams) -> None:
    gate = floor(section, lost=8, rows=80)
    assert (gate.value, gate.passed) == (0.1, True)


def test_fall_by_chance_is_no_fall(section: JudgeParams) -> None:
    # Four rows lost and none gained: 1/2⁴ = 0.0625 is within chance at 95 %; five: 1/2⁵ is not.
    assert floor(section, lost=4, rows=30).value == 0.0
    assert floor(section, lost=5, rows=30).value == pytest.approx(5 / 30)


def test_class_of_few_rows_is_not_held_against_the_floor(section: JudgeParams) -> None:
    gate = floor(section, lost=20, rows=29)
    assert gate.passed is True
    assert gate.note == "1 of 2 classes have 30 or more rows"


def test_latency_is_the_median_ratio(section: JudgeParams) -> None:
    assert judge.latency([1.0, 1.2, 9.0], section).value == 1.2
    assert judge.latency([1.0, 1.2, 9.0], section).passed is True
    assert judge.latency([1.3, 1.3, 0.1], section).passed is False


def test_rival_that_leads_beyond_chance_keeps_the_bundle_out(section: JudgeParams) -> None:
    behind = {"difference": 0.1, "low": 0.05, "high": 0.15}
    tie = {"difference": -0.01, "low": -0.04, "high": 0.02}
    ahead = {"difference": -0.05, "low": -0.08, "high": -0.02}
    assert judge.rivals({"tfidf": behind, "majority": tie}, section).passed is True
    found = judge.rivals({"tfidf": ahead, "majority": behind}, section)
    assert (found.passed, found.value) == (False, 0.02)
    assert "TF-IDF" in found.note
    assert judge.rivals({"tfidf": ahead}, section.model_copy(update={"rival_tolerance": 0.03})).passed is True
    assert judge.rivals({"control": ahead, "majority": behind}, section).passed is True  # it costs no less
    assert judge.rivals({}, section).passed is False


def test_verdict_says_in_one_line_what_keeps_a_challenger_out() -> None:
    gates = (Gate("bytes", 5, 9, passed=True), Gate("metric", -0.5, -0.1, passed=False, note="worse"))
    assert Verdict(gates, 3).reason == "metric: worse"
    assert Verdict(gates, 3).passed is False
    assert Verdict(gates, 3, override="agreed").reason == "metric: worse; overridden: agreed"
    assert Verdict(gates, 3, override="agreed").passed is False


def test_gate_that_is_not_applicable_keeps_nothing_out() -> None:
    verdict = Verdict((Gate("task", None, None, passed=None),), None, figures={"rows": 3.0})
    assert verdict.passed is True
    assert "there is none yet" in verdict.reason
    assert json.loads(json.dumps(verdict.as_object()))["gates"][0] == {
        "name": "task", "value": None, "bound": None, "passed": None, "note": "", "at_least": False,
    }  # fmt: skip
