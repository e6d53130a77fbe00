"""Metrics, significance, rivals and conclusions against hand arithmetic, scikit-learn and constructed cases."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from eibert.batches import Batch
from eibert.corpus import Split, TaskSpec
from eibert.evaluate.bootstrap import Comparison, Verdict, _scorer, compare
from eibert.evaluate.conclusion import conclude, retention
from eibert.evaluate.cost import Cost, cost_of
from eibert.evaluate.features import Grams, TextFeatures, count, pair_features
from eibert.evaluate.judgement import judge
from eibert.evaluate.metrics import confusion, pearson, per_class, quality
from eibert.evaluate.rivals import LinearRival, fit_linear, majority, solve
from eibert.params.evaluate import EvaluateParams
from eibert.params.load import Params
from eibert.scores import agreement, score
from eibert.student import Student
from eibert.teacher import Teacher

SPEC = TaskSpec("toy", pair=False, labels=("a", "b", "c"), metric="accuracy")
TWO = TaskSpec("two", pair=False, labels=("no", "yes"), metric="accuracy")
NUMBER = TaskSpec("number", pair=False, labels=(), metric="spearman")
TARGETS = np.array([0, 0, 0, 1, 1, 2])
ANSWERS = np.array([0, 0, 1, 1, 1, 0])


def logits_of(answers: Any, classes: int = 3) -> Any:
    return np.eye(classes, dtype=np.float32)[answers]


def column(*values: float) -> Any:
    return np.array(values, np.float32)[:, None]


def test_metrics_are_those_of_hand_arithmetic() -> None:
    found = quality(SPEC, logits_of(ANSWERS), TARGETS)
    # F1: a 2·2/(3+3), b 2·2/(2+3), c 0. Matthews: 6 rows, 4 right, rows per class (3, 2, 1), answers (3, 3, 0).
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)
    assert found["matthews"] == pytest.approx((4 * 6 - 15) / np.sqrt((36 - 18) * (36 - 14)))


def test_class_that_is_only_answered_counts_unless_classes_are_the_targets() -> None:
    answers, targets = logits_of(np.array([0, 0, 1, 2])), np.array([0, 0, 1, 1])
    # F1: 1, 2·1/(1+2) and 0.
    assert score("macro_f1", answers, targets) == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert score("macro_f1", answers, targets, of_targets=True) == pytest.approx((1 + 2 / 3) / 2)


def test_correlations_are_those_of_hand_arithmetic() -> None:
    found = quality(NUMBER, column(1, 3, 2, 4), np.array([1, 2, 3, 4], np.float32))
    assert found["spearman"] == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert found["pearson"] == pytest.approx(4 / 5)


def test_determination_is_that_of_hand_arithmetic_and_sees_a_wrong_scale() -> None:
    targets = np.array([1, 2, 3, 6], np.float32)  # mean 3, squared distances 4 + 1 + 0 + 9
    assert quality(NUMBER, column(1, 2, 4, 4), targets)["r2"] == pytest.approx(1 - (1 + 4) / 14)
    shrunk = quality(NUMBER, column(2.8, 2.9, 3.0, 3.3), targets)
    assert shrunk["pearson"] == pytest.approx(1.0)
    assert shrunk["r2"] == pytest.approx(1 - 0.9**2)


def test_constant_numbers_are_worth_nothing() -> None:
    targets = np.array([1, 2, 3], np.float32)
    assert quality(NUMBER, column(2, 2, 2), targets) == {"spearman": 0.0, "pearson": 0.0, "r2": 0.0}
    assert quality(NUMBER, column(1, 2, 3), targets - targets)["r2"] == 0.0
    assert pearson(targets[:1], targets[:1]) == 0.0


def test_agreement_counts_equal_answers() -> None:
    assert agreement(logits_of(TARGETS), logits_of(ANSWERS), regression=False) == pytest.approx(4 / 6)


def test_numbers_agree_within_a_hundredth_of_the_range() -> None:
    reference = column(0, 5, 10)
    assert agreement(reference, reference + 0.09, regression=True) == 1.0
    assert agreement(reference, column(0.2, 5, 10), regression=True) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("offset", "size"), [(0.0, 1e-5), (1e6, 10.0), (0.0, 1e9)])
def test_numbers_agree_whatever_their_unit(offset: float, size: float) -> None:
    reference = offset + size * column(0, 5, 10)
    assert agreement(reference, np.full_like(reference, reference.mean()), regression=True) == pytest.approx(1 / 3)


def test_equal_numbers_agree_but_for_rounding() -> None:
    reference = np.full((3, 1), 12345.678, np.float32)
    assert agreement(reference, np.nextafter(reference, np.float32(np.inf)), regression=True) == 1.0


def test_weakest_class_comes_first_and_absent_ones_are_left_out() -> None:
    assert [row["label"] for row in per_class(SPEC, logits_of(ANSWERS), TARGETS)] == ["c", "a", "b"]
    absent = np.array([0, 0, 0, 1, 1, 1])
    assert {row["label"] for row in per_class(SPEC, logits_of(ANSWERS), absent)} == {"a", "b"}


def test_confusion_counts_targets_by_answers() -> None:
    assert confusion(SPEC, logits_of(ANSWERS), TARGETS).tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]


def verdict(bundle: Any, rival: Any, targets: Any, metric: str = "accuracy", seed: int = 0) -> Comparison:
    return compare(metric, bundle, {"x": rival}, targets, samples=300, confidence=0.95, seed=seed)["x"]


def test_clear_difference_is_a_verdict_either_way() -> None:
    targets = np.arange(200) % 3
    good, bad = logits_of(targets), logits_of((targets + (np.arange(200) % 4 == 0)) % 3)
    found = verdict(good, bad, targets)
    assert found.verdict is Verdict.BETTER
    assert found.difference == pytest.approx(0.25)
    assert found.low < 0.25 < found.high
    assert verdict(bad, good, targets).verdict is Verdict.WORSE


def test_equal_models_tie_exactly() -> None:
    found = verdict(logits_of(ANSWERS), logits_of(ANSWERS), TARGETS)
    assert (found.difference, found.low, found.high, found.verdict) == (0, 0, 0, Verdict.TIE)


def test_difference_of_one_row_is_a_tie() -> None:
    targets = np.arange(100) % 3
    answers = targets.copy()
    answers[0] = (answers[0] + 1) % 3
    assert verdict(logits_of(targets), logits_of(answers), targets).verdict is Verdict.TIE


def test_interval_of_accuracy_is_close_to_the_normal_one() -> None:
    generator = np.random.default_rng(1)
    targets = np.zeros(2000, np.int64)
    right = generator.random((2, 2000)) < np.array([[0.8], [0.7]])
    found = compare(
        "accuracy", logits_of(1 - right[0]), {"x": logits_of(1 - right[1])}, targets,
        samples=1000, confidence=0.95, seed=0,
    )["x"]  # fmt: skip
    paired = right[0].astype(float) - right[1]
    half = 1.96 * paired.std() / np.sqrt(2000)
    assert found.low == pytest.approx(paired.mean() - half, abs=0.006)
    assert found.high == pytest.approx(paired.mean() + half, abs=0.006)


def test_bootstrap_is_a_function_of_its_seed() -> None:
    generator = np.random.default_rng(0)
    targets, one, other = generator.integers(3, size=(3, 500))
    args = (logits_of(one), logits_of(other), targets)
    assert verdict(*args) == verdict(*args)
    assert verdict(*args) != verdict(*args, seed=1)


@pytest.mark.filterwarnings("ignore:A single label:UserWarning")
@pytest.mark.parametrize("of_targets", [False, True])
@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "matthews"])
def test_fast_scores_of_resamples_are_scikit_learns(metric: str, of_targets: bool) -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):  # five of seven classes, few rows: some classes are absent, some answers constant
        targets = generator.integers(generator.integers(1, 6), size=9)
        logits = logits_of(generator.integers(generator.integers(1, 6), size=9), 7)
        rows = generator.integers(9, size=9)
        expected = score(metric, logits[rows], targets[rows], of_targets=of_targets)
        assert _scorer(metric, logits, targets, of_targets)(rows) == pytest.approx(expected, abs=1e-12)


def test_bootstrap_of_few_numbers_survives_resamples_of_one_value() -> None:
    found = verdict(column(1, 2, 3), column(3, 2, 1), np.array([1, 2, 3], np.float32), "spearman")
    assert found.difference == pytest.approx(2)


def standing(**verdicts: str) -> dict[str, Comparison]:
    return {name: Comparison(0.01, -0.02, 0.04, Verdict(value)) for name, value in verdicts.items()}


@pytest.mark.parametrize(
    ("verdicts", "recommended"),
    [
        ({"majority": "better", "tfidf": "better", "control": "better"}, "bundle"),
        ({"majority": "better", "tfidf": "tie", "control": "better"}, "tfidf"),
        ({"majority": "better", "tfidf": "worse", "control": "worse"}, "tfidf"),
        ({"majority": "tie", "tfidf": "tie"}, "majority"),
        ({"majority": "better", "tfidf": "better", "control": "tie"}, "bundle"),
        ({"majority": "better", "tfidf": "better", "control": "worse"}, "control"),
        ({}, "bundle"),
    ],
)
def test_cheapest_model_that_does_as_well_is_recommended(verdicts: dict[str, str], recommended: str) -> None:
    scores, sizes = {"bundle": 0.9, "teacher": 0.95}, {"bundle": 1_700_000, "teacher": 90_000_000}
    found = conclude("accuracy", scores, standing(**verdicts), sizes)
    assert found.recommended == recommended
    assert ("worth shipping" in found.headline) == (recommended == "bundle")
    assert len(found.details) == len(verdicts)


def test_headline_tells_size_and_share_of_the_teacher() -> None:
    sizes = {"bundle": 1_500_000, "teacher": 90_000_000}
    found = conclude("macro_f1", {"bundle": 0.81, "teacher": 0.9}, {}, sizes)
    assert found.headline == (
        "The bundle is worth shipping: 1.50 MB, 60 times smaller than the teacher, with 90.0% of its test macro-F1."
    )
    sizes["teacher"] = 700_000
    found = conclude("macro_f1", {"bundle": 0.81, "teacher": 0.9}, {}, sizes)
    assert found.headline == "The bundle is worth shipping: 1.50 MB, with 90.0% of its test macro-F1."


def toy(rows: int = 120, seed: int = 0) -> Split:
    """Rows of three classes, each determined by one word among noise."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(3, size=rows)
    noise = ["of", "the", "for", "with", "at", "by"]
    words = np.array(["apple", "boat", "cloud"])[targets]
    texts = [f"{generator.choice(noise)} {word} {generator.choice(noise)}" for word in words]
    return Split(texts, None, targets)


def fitted(spec: TaskSpec, train: Split, budget_bytes: int = 20_000, **changed: Any) -> LinearRival:
    values: dict[str, Any] = {"regularizations": (1.0, 10.0), "selection_rows": 1000, "seed": 0} | changed
    return fit_linear(spec, train, train, budget_bytes=budget_bytes, **values)


def test_linear_rival_learns_what_the_majority_cannot() -> None:
    train, test = toy(), toy(seed=1)
    rival = fitted(SPEC, train)
    reached = quality(SPEC, rival.logits(test), test.targets)["accuracy"]
    assert reached > 0.95 > quality(SPEC, majority(SPEC, train, len(test)), test.targets)["accuracy"]


@pytest.mark.parametrize("budget_bytes", [1_000, 1_001, 20_000, 1_910_000])
@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("labels", [(), ("a", "b"), ("a", "b", "c")])
def test_rival_fills_its_budget_and_no_more(budget_bytes: int, pair: bool, labels: tuple[str, ...]) -> None:
    spec = TaskSpec("toy", pair, labels, "accuracy" if labels else "spearman")
    rows = toy(40)
    targets = rows.targets % len(labels) if labels else rows.targets.astype(np.float32)
    split = Split(rows.texts, rows.texts[::-1] if pair else None, targets)
    rival = fitted(spec, split, budget_bytes, regularizations=(1.0,))
    assert budget_bytes - 32 < rival.size_bytes <= budget_bytes
    assert rival.logits(split).shape == (40, len(labels) or 1)


def test_every_stored_number_of_the_rival_is_an_integer_or_counted() -> None:
    rival = fitted(SPEC, toy())
    assert rival.codes.dtype == np.int8
    assert rival.text.idf_codes.dtype == np.uint8
    assert np.abs(rival.codes).max(axis=1).tolist() == [127, 127, 127]
    counted = rival.codes.size + rival.text.idf_codes.size + 4 + 4 * 3 + 4 * 3 + 64
    assert rival.size_bytes == counted


def test_rival_is_the_same_every_time() -> None:
    one, other = (fitted(SPEC, toy(), selection_rows=50) for _ in range(2))
    np.testing.assert_array_equal(one.codes, other.codes)
    assert one.regularization == other.regularization


def test_rival_answers_as_scikit_learn_does_without_collisions() -> None:
    train, test = toy(), toy(seed=1)
    features, counts = TextFeatures.fit(train.texts, Grams.WORD, 1 << 18)
    plain = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True)
    expected = plain.fit_transform(train.texts)
    weighed = features.weigh(counts)
    np.testing.assert_allclose((weighed @ weighed.T).toarray(), (expected @ expected.T).toarray(), atol=0.01)
    reference = LogisticRegression(C=10.0).fit(expected, train.targets).predict(plain.transform(test.texts))
    rival = fitted(SPEC, train, 1 << 20, regularizations=(10.0,))
    np.testing.assert_array_equal(rival.logits(test).argmax(axis=1), reference)


def test_linear_rival_is_at_its_optimum() -> None:
    generator = np.random.default_rng(0)
    inputs = sp.random(4000, 3000, density=0.004, random_state=0, format="csr", dtype=np.float32)
    targets = (inputs @ generator.normal(size=3000) + generator.normal(size=4000) * 0.3 > 0).astype(np.int64)
    signs = 2 * targets - 1

    def objective(parameters: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        weights, bias = parameters[:-1], parameters[-1]
        margins = signs * (inputs @ weights + bias)
        slopes = -3.0 * signs * expit(-margins)
        gradient = np.append(inputs.T @ slopes + weights, slopes.sum())
        return float(3.0 * np.logaddexp(0, -margins).sum() + 0.5 * weights @ weights), gradient

    best = minimize(objective, np.zeros(3001), jac=True, method="L-BFGS-B").fun
    found, biases = solve(TaskSpec("two", pair=False, labels=("no", "yes"), metric="accuracy"), inputs, targets, 3.0)
    assert objective(np.append(found.ravel(), biases))[0] == pytest.approx(best, rel=0.01)


@pytest.mark.parametrize("best", [Grams.WORD, Grams.CHAR])
def test_ngrams_are_those_that_score_best_on_dev(best: Grams) -> None:
    """In train, word order and the ending of a new word tell the same; on dev, one of them is wrong."""
    orders, endings = ("red blue", "blue red"), ("ing", "ed")
    targets = np.arange(80) % 2
    stems = ["".join(letters) for letters in np.random.default_rng(0).choice([*"bcfgkmpt"], (160, 5))]

    def split(order: Any, ending: Any, stems: list[str]) -> Split:
        parts = zip(order, stems, ending, strict=True)
        return Split([f"{orders[at]} {stem}{endings[end]}" for at, stem, end in parts], None, targets)

    train = split(targets, targets, stems[:80])
    dev = split(*((targets, 1 - targets) if best is Grams.WORD else (1 - targets, targets)), stems[80:])
    rival = fit_linear(TWO, train, dev, budget_bytes=50_000, regularizations=(3.0,), selection_rows=80, seed=0)
    assert rival.text.grams is best
    assert score("accuracy", rival.logits(dev), targets) == 1.0


@pytest.mark.parametrize("best", [0.01, 1000.0])
def test_regularization_is_the_one_that_scores_best_on_dev(best: float) -> None:
    """Ten mislabelled rows have a word of their own; on dev, their labels are right (0.01) or still wrong (1000)."""
    texts = [*(["apple", "boat"] * 40), *(f"{('apple', 'boat')[row % 2]} odd{row}" for row in range(10))]
    right = np.arange(90) % 2
    train = Split(texts, None, np.where(np.arange(90) < 80, right, 1 - right))
    dev = Split(texts[80:], None, right[80:] if best < 1 else 1 - right[80:])
    values: dict[str, Any] = {"regularizations": (0.01, 1000.0), "selection_rows": 90, "seed": 0}
    rival = fit_linear(TWO, train, dev, budget_bytes=50_000, **values)
    assert rival.regularization == best
    assert score("accuracy", rival.logits(dev), dev.targets) == 1.0


def test_two_classes_have_logits_of_both_signs() -> None:
    spec = TaskSpec("two", pair=False, labels=("no", "yes"), metric="accuracy")
    rows = toy()
    split = Split(rows.texts, None, (rows.targets == 1).astype(np.int64))
    logits = fitted(spec, split).logits(split)
    assert logits.shape == (120, 2)
    assert quality(spec, logits, split.targets)["accuracy"] == 1.0


@pytest.mark.parametrize("present", [(0, 1), (1, 2), (0, 2)])
def test_class_missing_among_the_drawn_rows_is_never_answered(present: tuple[int, int]) -> None:
    rows = toy(150)
    kept = np.isin(rows.targets, present)
    texts = [text for text, keep in zip(rows.texts, kept, strict=True) if keep]
    split = Split(texts, None, rows.targets[kept])
    found = fitted(SPEC, split).logits(split).argmax(axis=1)
    np.testing.assert_array_equal(found, split.targets)


def test_overlap_of_pairs_is_learnt() -> None:
    generator = np.random.default_rng(0)
    words = np.array([f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"])
    first = [" ".join(generator.choice(words, 5, replace=False)) for _ in range(300)]
    same = generator.integers(2, size=300)
    second = [text if keep else " ".join(generator.choice(words, 5)) for text, keep in zip(first, same, strict=True)]
    spec = TaskSpec("pairs", pair=True, labels=("other", "same"), metric="accuracy")
    train = Split(first[:200], second[:200], same[:200])
    test = Split(first[200:], second[200:], same[200:])
    assert quality(spec, fitted(spec, train).logits(test), test.targets)["accuracy"] > 0.95


def test_ridge_finds_a_number() -> None:
    rows = toy()
    split = Split(rows.texts, None, rows.targets.astype(np.float32))
    test = toy(seed=1)
    found = fitted(NUMBER, split).logits(Split(test.texts, None, test.targets.astype(np.float32)))
    assert pearson(found[:, 0], test.targets.astype(np.float32)) > 0.95


def test_overlaps_of_a_pair_are_those_of_hand_arithmetic() -> None:
    split = Split(["x y"], ["x z ."], np.array([0]))
    one = sp.csr_matrix(np.array([[0.6, 0.8, 0, 0]], np.float32))
    other = sp.csr_matrix(np.array([[1.0, 0, 0.5, 0]], np.float32))
    hashed, overlaps = pair_features(one, other, split)
    expected = [[0.6, 0.8, 0, 0, 1, 0, 0.5, 0, 0.6, 0, 0, 0, 0.4, 0.8, 0.5, 0]]
    np.testing.assert_allclose(hashed.toarray(), expected, rtol=1e-6)
    np.testing.assert_allclose(overlaps, [[0.6 / np.sqrt(1.25), 1 / 3, 4 / 6]], rtol=1e-6)


@pytest.mark.parametrize("grams", Grams)
def test_empty_text_has_no_features(grams: Grams) -> None:
    assert count(["", "  "], grams, 64).getnnz() == 0
    features, counts = TextFeatures.fit(["", "one"], grams, 64)
    assert np.isfinite(features.weigh(counts).toarray()).all()


def test_majority_is_scikit_learns() -> None:
    rows = toy()
    expected = DummyClassifier(strategy="most_frequent").fit(rows.texts, rows.targets).predict(rows.texts)
    np.testing.assert_array_equal(majority(SPEC, rows, 120).argmax(axis=1), expected)


def test_majority_of_numbers_is_their_mean() -> None:
    split = Split(["a", "b"], None, np.array([1.0, 4.0], np.float32))
    np.testing.assert_array_equal(majority(NUMBER, split, 3), np.full((3, 1), 2.5))


def test_judge_compares_the_bundle_with_every_rival_there_is(params: Params) -> None:
    section: EvaluateParams = params.evaluate.model_copy(update={"bootstrap_samples": 100})
    models = {name: logits_of(ANSWERS) for name in ("teacher", "student", "bundle", "tfidf")}
    targets = {"test": TARGETS, "dev": TARGETS}
    sizes = {"teacher": 90, "bundle": 10}
    found = judge(SPEC, {"test": models, "dev": models}, targets, sizes, {"bundle": Cost(5, 6)}, section, 0)
    assert found["verdicts"] == {"tfidf": "tie"}
    assert found["retention"] == 1.0
    assert (found["parameters"], found["multiply_adds"]) == ({"bundle": 5}, {"bundle": 6})
    assert found["agreement"] == {"student": 1.0, "teacher": 1.0}
    assert found["test"]["bundle"] == pytest.approx(4 / 6)
    assert found["recommended"] == "tfidf"


@pytest.mark.parametrize(
    ("teacher", "bundle", "kept"), [(0.8, 0.6, 0.75), (0.5, -0.2, -0.4), (-0.3, -1.0, 0.0), (0.0, 0.5, 0.0)]
)
def test_nothing_is_retained_of_a_teacher_worse_than_chance(teacher: float, bundle: float, kept: float) -> None:
    assert retention({"teacher": teacher, "bundle": bundle}) == pytest.approx(kept)


def test_cost_of_a_student_is_that_of_hand_arithmetic(student: Student) -> None:
    student.fold()
    found = cost_of(student)
    # 2 layers of width 12, 24 inside, table of V × 6, 32 positions, 3 classes; folded, so one map from 12 to 3.
    layer = 3 * 12 * 12 + 12 * 12 + 2 * 12 * 24
    assert found.multiply_adds == 32 * (6 * 12 + 2 * layer) + 2 * 2 * 32 * 32 * 12 + 12 * 3
    vectors = 3 * 12 + 12 + 24 + 12 + 4 * 12
    tables = len(student.tokens) * 6 + 6 * 12 + 32 * 12 + 2 * 12 + 2 * 12
    assert found.parameters == tables + 2 * (layer + vectors) + 12 * 3 + 3


def test_cost_of_a_teacher_is_what_torch_counts(teacher: Teacher) -> None:
    teacher.head = nn.Linear(teacher.hidden, 3)
    ids = torch.full((1, 32), 7)
    batch = Batch(ids, torch.ones_like(ids), torch.zeros_like(ids))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        teacher.logits(batch)
    assert cost_of(teacher).multiply_adds == counter.get_total_flops() / 2
    # 2 layers of width 16, 32 inside: 4·16² + 2·16·32 a token, 2·32²·16 for the attention.
    assert cost_of(teacher).multiply_adds == 2 * (32 * (4 * 16 * 16 + 2 * 16 * 32) + 2 * 32 * 32 * 16) + 16 * 3
