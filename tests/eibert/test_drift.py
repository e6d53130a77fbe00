"""Distances between two sets of rows: hand-computed values, other libraries, and properties."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from eibert import drift, profile
from eibert.corpus import Split, TaskSpec
from eibert.errors import CorruptArtifactError
from eibert.params.drift import Reaction
from eibert.params.load import Params
from eibert.profile import Judged, Profile, Reference
from eibert.teacher import Teacher

OPTIONS = {"sample_rows": 30, "batch_size": 8, "max_tokens": 16, "seed": 3, "identity": "tiny"}


def test_divergence_is_scipys_squared_distance_less_chance() -> None:
    one, other = np.array([30, 50, 20]), np.array([10, 60, 130])
    chance = 2 / (8 * math.log(2)) * (1 / 100 + 1 / 200)
    expected = jensenshannon(one / 100, other / 200, base=2) ** 2 - chance
    assert drift.divergence(one, other) == pytest.approx(expected)


def test_divergence_of_opposites_is_a_bit() -> None:
    assert drift.divergence(np.array([10**6, 0]), np.array([0, 10**6])) == pytest.approx(1.0, abs=1e-5)


def test_divergence_of_equal_samples_averages_to_nothing() -> None:
    """The correction subtracts what is due to chance: before clipping at zero, the mean over many draws is zero."""
    generator = np.random.default_rng(0)
    shares = np.array([0.5, 0.3, 0.1, 0.1])
    draws = [(generator.multinomial(200, shares), generator.multinomial(300, shares)) for _ in range(2000)]
    raw = np.mean([jensenshannon(one / 200, other / 300, base=2) ** 2 for one, other in draws])
    assert raw == pytest.approx(3 / (8 * math.log(2)) * (1 / 200 + 1 / 300), rel=0.1)
    assert np.mean([drift.divergence(*pair) for pair in draws]) < raw / 2


def test_unseen_rise_is_what_good_turing_did_not_expect() -> None:
    then = np.array([7, 1, 1, 1, 0, 0])  # 3 of 10 occurrences are of pieces seen once
    now = np.array([10, 0, 0, 0, 6, 4])  # 10 of 20 were never seen
    assert drift.unseen_rise(then, now) == pytest.approx(0.5 - 0.3)
    assert drift.unseen_rise(then, then) == 0.0


def _profile(mean: list[float], spread: list[float], rows: int) -> Profile:
    nothing = np.zeros(0, np.int64)
    return Profile(rows, {}, (), nothing, nothing, rows, np.array(mean), np.array(spread), "t")


def test_frechet_by_hand() -> None:
    then, now = _profile([0.0, 0.0], [1.0, 2.0], 100), _profile([1.0, 2.0], [1.0, 3.0], 50)
    # |μ - ν|² = 5, Σ (σ - τ)² = 1, variance 5
    assert drift.frechet(then, now) == pytest.approx(6 / 5 - 1.5 * (1 / 100 + 1 / 50))


def test_frechet_of_equal_samples_averages_to_nothing() -> None:
    generator = np.random.default_rng(0)
    found = []
    for _ in range(200):
        one, other = generator.normal(size=(60, 20)), generator.normal(size=(40, 20))
        pair = [_profile(list(x.mean(axis=0)), list(x.std(axis=0)), len(x)) for x in (one, other)]
        found.append(drift.frechet(*pair) + 1.5 * (1 / 60 + 1 / 40))
    assert np.mean(found) == pytest.approx(1.5 * (1 / 60 + 1 / 40), rel=0.1)


def test_agreement_fall_by_hand() -> None:
    before, after = 91 / 102, 31 / 52  # one success and one failure added to 90 of 100 and 30 of 50
    deviation = math.sqrt(before * (1 - before) / 102 + after * (1 - after) / 52)
    found = drift.agreement_fall(Judged(100, 90), Judged(50, 30), confidence=0.95)
    assert found == pytest.approx(before - after - 1.6448536 * deviation)


def test_few_rows_are_no_evidence_of_a_fall() -> None:
    assert drift.agreement_fall(Judged(100, 90), Judged(3, 2), confidence=0.95) == 0.0
    assert drift.agreement_fall(Judged(100, 60), Judged(100, 90), confidence=0.95) == 0.0


@pytest.fixture
def spec() -> TaskSpec:
    return TaskSpec("toy", pair=False, labels=("call", "play", "stop"), metric="accuracy")


def test_profile_counts_rows_labels_lengths_and_pieces(spec: TaskSpec, teacher: Teacher) -> None:
    rows = Split(["play the song", "the", "stop"], None, np.array([1, 1, 2]))
    made = profile.measure(rows, spec, teacher, **OPTIONS)  # type: ignore[arg-type]
    assert made.labels == {"call": 0, "play": 2, "stop": 1}
    pieces = {token: int(n) for token, n in zip(teacher.tokens, made.pieces, strict=True) if n}
    assert pieces == {"play": 1, "the": 2, "song": 1, "stop": 1}
    # 13 characters lie in (11.3, 16], 3 in (2.83, 4], 4 as well
    upper = [0.0, *profile.LENGTH_EDGES]
    bins = {upper[index + 1]: int(n) for index, n in enumerate(made.lengths) if n}
    assert {round(edge, 3): n for edge, n in bins.items()} == {4.0: 2, 16.0: 1}


def test_profile_embeds_as_the_teacher_does(spec: TaskSpec, teacher: Teacher, rows: Split) -> None:
    import torch

    from eibert.batches import encode

    made = profile.measure(rows, spec, teacher, **OPTIONS | {"sample_rows": 1000})  # type: ignore[arg-type]
    encoded = encode(teacher.tokenizer, rows.texts, None, max_tokens=16)
    with torch.no_grad():
        vectors = np.stack([teacher(encoded.batch([row]))[1][0].numpy() for row in range(len(rows))])
    assert made.embedded == len(rows)
    np.testing.assert_allclose(made.mean, vectors.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(made.spread, vectors.std(axis=0), atol=1e-5)


def test_numbers_are_counted_in_the_bins_of_the_reference(teacher: Teacher) -> None:
    numbers = TaskSpec("n", pair=False, labels=(), metric="spearman")
    then = profile.measure(
        Split(["a"] * 100, None, np.arange(100, dtype=np.float32)), numbers, teacher, **OPTIONS  # type: ignore[arg-type]
    )  # fmt: skip
    assert list(then.labels.values()) == [10] * 10
    now = profile.measure(
        Split(["a"] * 4, None, np.array([-5.0, 0.0, 95.0, 500.0], np.float32)), numbers, teacher, edges=then.edges,
        **OPTIONS,  # type: ignore[arg-type]
    )  # fmt: skip
    assert (now.labels["0"], now.labels["9"], sum(now.labels.values())) == (2, 2, 4)


def test_digest_tells_fields_apart() -> None:
    pairs = Split(["a b", "a", "a"], ["c", "b c", "b c"], np.zeros(3))
    one, two, three = profile.digests(pairs, ["x", "x", "y"])
    assert len({int(one), int(two), int(three)}) == 3
    assert profile.digests(pairs.take([1]), ["x"])[0] == two


@pytest.fixture
def reference(spec: TaskSpec, teacher: Teacher, rows: Split) -> Reference:
    made = profile.measure(rows, spec, teacher, **OPTIONS)  # type: ignore[arg-type]
    labels = [spec.labels[target] for target in rows.targets]
    return Reference(made, np.unique(profile.digests(rows, labels)), Judged(90, 80))


def test_saved_reference_comes_back_and_holds_no_text(reference: Reference, rows: Split, tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "profile.safetensors"
    profile.save(reference, path)
    back = profile.load(path)
    assert (back.judged, back.profile.labels, back.profile.edges) == (reference.judged, reference.profile.labels, ())
    for name in ("lengths", "pieces", "mean", "spread"):
        np.testing.assert_array_equal(getattr(back.profile, name), getattr(reference.profile, name))
    np.testing.assert_array_equal(back.digests, reference.digests)
    content = path.read_bytes()
    assert not any(text.encode() in content for text in rows.texts)
    path.write_bytes(content[:-9])
    with pytest.raises(CorruptArtifactError, match="unreadable profile"):
        profile.load(path)


def test_compare_gives_each_shift_its_bound_and_reaction(reference: Reference, params: Params) -> None:
    bounds = params.drift.model_copy(update={"max_agreement_fall": 0.2, "labels": Reaction.OFF})
    swapped = dataclasses.replace(reference.profile, labels={"call": 90, "play": 0, "stop": 0})
    found = {shift.name: shift for shift in drift.compare(reference, swapped, Judged(90, 20), bounds)}
    assert found["labels"].value is not None
    assert found["labels"].value > found["labels"].bound
    assert not found["labels"].beyond  # its reaction is off
    assert found["lengths"].value == 0.0
    assert found["agreement"].stops
    assert "88.9% of 90 judged and 22.2% of 90 new rows" in str(found["agreement"])


def test_another_teacher_is_not_compared_with(reference: Reference, params: Params) -> None:
    other = dataclasses.replace(reference.profile, teacher="other", pieces=np.ones(3, np.int64), mean=np.ones(2))
    found = {shift.name: shift for shift in drift.compare(reference, other, None, params.drift)}
    assert found["vocabulary"].value is found["embedding"].value is found["agreement"].value is None
    assert not any(shift.beyond for shift in found.values())
