"""The judge's arithmetic, against hand-computed values and scipy."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import bootstrap

from eibert import judge
from eibert.evaluate.bootstrap import Comparison
from eibert.judge import Gate, Verdict
from eibert.params.judge import JudgeParams
from eibert.params.load import Params

LABELS = ("a", "b")


@pytest.fixture
def section(params: Params) -> JudgeParams:
    return params.judge.model_copy(update={"margin": 0.02, "confidence": 0.95, "bootstrap_samples": 4000})


def logits(answers: np.ndarray, classes: int = 2) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[answers]


def verdict(gained: int, lost: int, rows: int, section: JudgeParams) -> tuple[Gate, Comparison]:
    """The verdict on models that answer all other rows correctly."""
    targets = np.zeros(rows, np.int64)
    new, old = targets.copy(), targets.copy()
    old[:gained] = new[gained : gained + lost] = 1
    return judge.non_inferiority("accuracy", logits(new), logits(old), targets, section, seed=1)


def test_bound_of_accuracy_is_near_scipys_paired_bootstrap_where_many_rows_changed(section: JudgeParams) -> None:
    gate, found = verdict(200, 80, 4000, section)
    difference = (np.repeat([1.0, -1.0, 0.0], [200, 80, 3720]),)
    expected = bootstrap(difference, np.mean, confidence_level=0.9, method="percentile", n_resamples=2000, rng=0)
    assert found.difference == pytest.approx(120 / 4000)
    # By hand: 0.03 ± 1.645 · sqrt((280/4000 - 0.03²) / 4000) = 0.0232 and 0.0368
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval, abs=5e-4)
    assert gate.value == pytest.approx(0.0232, abs=5e-4)
    assert gate.passed is True


@pytest.mark.parametrize(
    ("rows", "lost", "gained"),
    [(50, 0.02, 0.0), (50, 0.03, 0.01), (50, 0.05, 0.03), (180, 0.02, 0.0), (180, 0.03, 0.01), (191, 0.02, 0.0)],
)
def test_challenger_that_is_worse_by_the_margin_passes_in_at_most_one_case_of_twenty(
    rows: int, lost: float, gained: float, section: JudgeParams
) -> None:
    drawn = np.random.default_rng(7).multinomial(rows, [gained, lost, 1 - gained - lost], size=1000)
    passed = np.mean([verdict(won, gone, rows, section)[0].passed for won, gone, _ in drawn])
    assert passed <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 1000)


@pytest.mark.parametrize(
    ("lost", "margin", "passed"),
    [
        (0, 0.0, False),  # equal answers on 400 rows cannot rule out that it is slightly worse
        (0, 0.01, True),  # 4 - 0.5 ≥ 1.645 · sqrt(4 · 0.99)
        (4, 0.02, False),  # -0.01; 8 - 4 - 0.5 < 1.645 · sqrt(8 · 0.98)
        (4, 0.025, True),  # 10 - 4 - 0.5 ≥ 1.645 · sqrt(10 · 0.975)
        (20, 0.02, False),  # -0.05
        (20, 0.08, True),  # 32 - 20.5 ≥ 1.645 · sqrt(32 · 0.92)
        (20, 0.07, False),  # 28 - 20.5 < 1.645 · sqrt(28 · 0.93)
    ],
)
def test_loss_beyond_the_margin_is_not_let_pass(lost: int, margin: float, passed: bool, section: JudgeParams) -> None:
    gate, _ = verdict(0, lost, 400, section.model_copy(update={"margin": margin}))
    assert gate.passed is passed
    assert gate.bound == -margin


def test_where_rows_are_too_few_it_says_how_many_would_do(section: JudgeParams) -> None:
    gate, _ = verdict(0, 0, 90, section)
    assert gate.note.endswith("at least -0.0392; 180 rows with these results would suffice")
    assert "would suffice" not in verdict(0, 2, 90, section)[0].note  # a loss of 0.022 exceeds the margin on any number
    assert "would suffice" not in verdict(0, 0, 180, section)[0].note


def test_too_few_rows_are_no_ground_for_a_version(section: JudgeParams) -> None:
    few = judge.rows(49, "49 of 60 test rows", section.model_copy(update={"min_rows": 50}), metric="accuracy")
    assert few.passed is False
    assert few.note == "49 of 60 test rows; fewer than judge.min_rows 50: add labelled test rows"


@pytest.mark.parametrize(
    ("metric", "bound", "told"),
    [
        (None, 50, False),
        ("spearman", 50, False),
        ("accuracy", 50, True),
        ("macro_f1", 180, True),
        ("matthews", 180, True),
    ],
)
def test_metric_of_a_bootstrap_over_classes_takes_rows_enough_to_show_equality(
    metric: str | None, bound: int, told: bool, section: JudgeParams
) -> None:
    given = section.model_copy(update={"min_rows": 50})
    gate = judge.rows(90, "90 of 90 test rows", given, metric=metric)
    assert (gate.bound, gate.passed) == (bound, bound <= 90)
    # N·m - 0.5 = 1.6449 · √(N·m·(1 - m)) holds at m = 0.03921 for 90 rows, and at 180 rows for the margin.
    hint = "; identical answers bound the loss by judge.margin 0.02 on 180 rows, by 0.0393 on 90: add labelled"
    assert (hint in gate.note) is told
    assert judge.rows(180, "", given, metric=metric).note == ""


@pytest.mark.parametrize("metric", ["macro_f1", "matthews"])
def test_other_metrics_are_compared_too(metric: str, section: JudgeParams) -> None:
    targets = np.array([0, 1] * 100)
    worse = targets.copy()
    worse[:60] = 1 - worse[:60]
    gate, found = judge.non_inferiority(metric, logits(worse), logits(targets), targets, section, seed=3)
    assert gate.passed is False
    # Both classes lose 30 of 100 rows to each other: F1 0.7 each; correlation 1 - 2 · 0.3.
    assert found.difference == pytest.approx({"macro_f1": -0.3, "matthews": -0.6}[metric])


@pytest.mark.parametrize(("rows", "passed"), [([499], True), ([0], True), (range(30), False)])
def test_answer_of_a_new_label_costs_its_row_and_no_class(
    rows: Sequence[int], passed: bool, section: JudgeParams
) -> None:
    # 500 rows of six classes; the champion takes the last 50 for the class after theirs.
    targets = np.arange(500) % 6
    old = targets.copy()
    old[450:] = (old[450:] + 1) % 6
    new = old.copy()
    new[rows] = 6
    gate, found = judge.non_inferiority("macro_f1", logits(new, 7), logits(old, 7), targets, section, seed=3)
    by_hand = [np.mean([f1(answers, targets, label) for label in range(6)]) for answers in (new, old)]
    assert found.difference == pytest.approx(by_hand[0] - by_hand[1])
    assert gate.passed is passed


def f1(answers: np.ndarray, targets: np.ndarray, label: int) -> float:
    right = np.sum((answers == label) & (targets == label))
    return float(2 * right / (np.sum(answers == label) + np.sum(targets == label)))


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
    # Four rows lost and none gained: 1/2⁴ = 0.0625 is not significant at 95 %; five: 1/2⁵ is.
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
