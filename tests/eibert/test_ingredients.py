"""The ingredients of cross-distillation: each can be disabled entirely, and acts as its formula says."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch import nn

from eibert.batches import predict
from eibert.checkpoint import Checkpoint
from eibert.corpus import Pretraining, Split, TaskSpec
from eibert.distill import distill, distill_plainly, with_head
from eibert.following import Learnt, Weights, follow
from eibert.lessons import Answers
from eibert.matching import HeldOut
from eibert.mutual import Drift, feedback_share, learn_together
from eibert.outputs import Outputs
from eibert.params.distill import Feedback
from eibert.params.load import Params
from eibert.params.section import Precision
from eibert.pretrain import pretrain
from eibert.progress import silent
from eibert.room import Room
from eibert.schedule import Schedule
from eibert.student import Student
from eibert.teacher import Teacher
from eibert.teacher_files import load_base
from tests.rooms import NOWHERE, StopError, learnt, lone, room, same, weights

TERMS = ("task", "logits", "hidden", "token")


@pytest.fixture
def place(young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params) -> Room:
    return room(young, fine, spec, rows, quick, epochs=2, teacher_rows=0, unlabelled_confidence=0.0)


def spoilt(place: Room, said: Answers, term: str) -> tuple[Room, Answers]:
    """The student's training signals, with one ingredient corrupted or removed."""
    noise = torch.Generator().manual_seed(1)
    match term:
        case "task":
            targets = (place.lessons.targets + 1) % 3
            lessons = dataclasses.replace(place.lessons, targets=targets.where(place.lessons.targets >= 0, -1))
            return dataclasses.replace(place, lessons=lessons), said
        case "logits":
            return place, dataclasses.replace(said, logits=torch.randn(said.logits.shape, generator=noise))
        case "hidden":
            return place, dataclasses.replace(said, pooled=torch.randn(said.pooled.shape, generator=noise).half())
        case _:
            return place, dataclasses.replace(said, words=None)


def learnt_with(place: Room, said: Answers, student: Student, off: str | None) -> Learnt:
    chosen = Weights(**{term: 0.0 if term == off else 1.0 for term in TERMS})
    return follow(with_head(student, place, reuse=True), said, place, chosen, NOWHERE)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_of_weight_zero_has_no_influence_and_another_has(term: str, place: Room, young: Student) -> None:
    said = place.teacher_says()
    other_place, other_said = spoilt(place, said, term)
    without = [weights(learnt_with(*pair, young, term).student) for pair in ((place, said), (other_place, other_said))]
    having = [weights(learnt_with(*pair, young, None).student) for pair in ((place, said), (other_place, other_said))]
    assert same(*without)
    assert not same(*having)


@pytest.mark.parametrize("reuse", [True, False])
def test_the_head_is_the_teachers_own_where_it_is_reused(reuse: bool, place: Room, young: Student) -> None:
    head, own = with_head(young, place, reuse=reuse).head, place.teacher.head
    assert head is not None
    assert own is not None
    assert torch.equal(head.weight, own.weight) == reuse
    assert torch.equal(head.bias, own.bias) == reuse


@pytest.mark.parametrize("part", ["head", "hidden", "token"])
def test_plain_distillation_takes_nothing_from_the_teacher_but_its_answers(
    part: str, place: Room, young: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = place.teacher_says()
    monkeypatch.setattr(Room, "teacher_says", lambda _room, _report: said)  # as it is by then
    first = weights(distill_plainly(young, place, checkpoint=NOWHERE).student)
    if part == "head":
        assert place.teacher.head is not None
        nn.init.ones_(place.teacher.head.weight)
    else:
        said = spoilt(place, said, part)[1]
    assert same(first, weights(distill_plainly(young, place, checkpoint=NOWHERE).student))


def test_both_divergences_are_those_of_their_direction(
    young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    """KL(teacher ‖ student) for the student, KL(student ‖ teacher) for the teacher, per scipy, on the first batch."""
    here = room(young, fine, spec, rows, quick, temperature=3.0, teacher_temperature=1.5, teacher_rows=32)
    student = with_head(young, here, reuse=True)
    labelled = here.rows.lengths[: len(rows)]
    first = Schedule(labelled, here.params.batch_size, here.params.epochs, 32, here.seed + 1).interval(0)[0]
    with torch.no_grad():
        guide = here.teacher.answer(here.teacher(here.rows_teacher.batch(first, here.device))[1])
        own = student.head(student.project(student(here.rows.batch(first, here.device))[1]))  # type: ignore[misc]
    soft, softer = (
        [torch.softmax(logits.double() / temperature, dim=-1).numpy() for logits in (guide, own)]
        for temperature in (1.5, 3.0)
    )
    said: list[dict[str, float]] = []
    learn_together(student, here, NOWHERE, lambda _step, _total, **values: said.append(values))
    assert said[0]["logits"] == pytest.approx(9.0 * entropy(softer[0], softer[1], axis=1).mean(), rel=1e-4)
    assert said[0]["teacher_logits"] == pytest.approx(2.25 * entropy(soft[1], soft[0], axis=1).mean(), rel=1e-4)
    assert said[0]["logits"] != pytest.approx(said[0]["teacher_logits"], rel=1e-2)


def test_feedback_rises_to_its_whole_weight_or_has_it_from_the_start() -> None:
    assert [feedback_share(Feedback.RISING, step, 4) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert {feedback_share(Feedback.CONSTANT, step, 4) for step in range(4)} == {1.0}


@pytest.mark.parametrize(("steps", "equal"), [(1, True), (3, False)])
def test_rising_feedback_is_the_constant_one_in_a_phase_of_one_step_only(
    steps: int, equal: bool, young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    state = {name: value.clone() for name, value in fine.state_dict().items()}
    left = []
    for feedback in Feedback:
        here = room(young, fine, spec, rows, quick, teacher_feedback=feedback, teacher_rows=16 * steps, teacher_drift=1)
        learn_together(with_head(young, here, reuse=True), here, NOWHERE)
        left.append(weights(here.teacher))
        fine.load_state_dict(state)
    assert same(*left) == equal


def test_a_teacher_that_drifts_too_far_is_put_back_and_the_student_with_it(
    young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    ruinous = {"teacher_learning_rate": 0.1, "teacher_task_weight": 0.0, "teacher_logits_weight": 100.0}
    found = {}
    for drift in (0.0, 1.0):
        here = room(young, fine, spec, rows, quick, **ruinous, teacher_drift=drift)
        student = with_head(young, here, reuse=True)
        before = [weights(here.teacher), weights(student)]
        state = {name: value.clone() for name, value in fine.state_dict().items()}
        found[drift] = learn_together(student, here, NOWHERE)
        unchanged = [same(*pair) for pair in zip(before, (weights(here.teacher), weights(student)), strict=True)]
        assert unchanged == [drift == 0.0] * 2
        fine.load_state_dict(state)
    assert found[0.0].after < found[0.0].before
    assert found[0.0] == Drift(found[1.0].before, found[1.0].after, put_back=True)
    assert not found[1.0].put_back


def test_half_precision_learns_as_well(
    young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    """Both phases in bf16: no step diverges, the teacher barely drifts, the task is learnt."""
    found = learnt(young, fine, spec, rows, quick, precision=Precision.BF16)
    history = found.student.history
    assert all(np.isfinite(value) for entry in history for value in entry.values())
    assert history[-1]["logits"] < history[0]["logits"]
    assert np.mean(predict(found.student.student, rows, batch_size=16).argmax(1) == rows.targets) > 0.8
    assert found.drift.after >= found.drift.before - quick.distill.teacher_drift
    assert all(value.dtype == torch.float32 for value in found.student.student.state_dict().values())


@pytest.mark.parametrize("part", ["pretraining", "together", "student"])
def test_learning_goes_on_from_its_last_epoch_to_the_same_weights(
    part: str, teacher_folder: Path, young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params,
    tmp_path: Path,
) -> None:  # fmt: skip
    """A complete phase is not repeated when a later one resumes."""
    state = weights(fine)

    def run(folder: Path | None, reports: Any) -> tuple[dict[str, torch.Tensor], Any]:
        def kept(phase: str) -> Checkpoint:
            return Checkpoint(folder / f"{phase}.safetensors" if folder else None, "key")

        if part == "pretraining":
            corpus = Pretraining(lone(rows.texts), False, HeldOut())
            base = load_base(teacher_folder, fine.pooling)
            found = pretrain(
                base, corpus, quick.pretrain, seed=3, outputs=Outputs(tmp_path), checkpoint=kept(part),
                report=reports(part),
            )  # fmt: skip
            return weights(found.student), found.history
        fine.load_state_dict(state)
        here = room(young, fine, spec, rows, quick, epochs=3, teacher_rows=3 * len(rows), teacher_drift=1.0)
        learning = distill(young, here, checkpoints=kept, reports=reports)
        return weights(learning.student.student), [learning.drift, learning.student.history]

    seen: list[tuple[str, int]] = []

    def reports(what: str) -> Any:
        return lambda step, _total, **_: seen.append((what, step))

    def stopping(what: str) -> Any:
        def stop_in_the_last_epoch(step: int, total: int, **_: float) -> None:
            if step == total - 1 and what == part:
                raise StopError

        return stop_in_the_last_epoch

    straight = run(None, lambda _: silent)
    with pytest.raises(StopError):
        run(tmp_path, stopping)
    resumed = run(tmp_path, reports)
    seen = [(what, step) for what, step in seen if what in {"pretraining", "together", "student"}]
    assert seen[0][0] == part
    assert seen[0][1] > 1  # complete epochs
    assert resumed[1] == straight[1]
    assert same(resumed[0], straight[0])
