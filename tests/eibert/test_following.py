"""The second phase of cross-distillation keeps the pass that was best on dev; its weights may fall."""

import copy

import pytest
from torch import nn

from eibert.corpus import Split, TaskSpec
from eibert.distill import distill, with_head
from eibert.following import Weights, follow
from eibert.params.distill import RepresentationWeights
from eibert.params.load import Params
from eibert.room import Room
from eibert.student import Student
from eibert.teacher import Teacher
from tests.rooms import NOWHERE, room, same, weights


@pytest.mark.parametrize(("scores", "best"), [([0.9, 0.5, 0.1], 0), ([0.1, 0.9, 0.5], 1), ([0.1, 0.5, 0.9], 2)])
def test_the_student_is_kept_as_it_was_after_its_best_pass(
    scores: list[float], best: int, teacher: Teacher, student: Student, spec: TaskSpec, rows: Split, quick: Params,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    guide = teacher.with_head(nn.Linear(teacher.hidden, spec.outputs))
    here = room(student, guide, spec, rows, quick, epochs=3, variants=0, token_weight=0.0)
    passes: list[Student] = []

    def judged(self: Room, model: Student) -> float:
        passes.append(copy.deepcopy(model))
        return scores[len(passes) - 1]

    monkeypatch.setattr(Room, "dev_score", judged)
    found = follow(with_head(student, here, reuse=True), here.teacher_says(), here, Weights(1, 1, 1, 0), NOWHERE)
    for model in passes:
        model.cpu().fold()
    assert [same(weights(found.student), weights(model)) for model in passes] == [at == best for at in range(3)]
    assert found.dev_score == 0.9
    assert [entry["dev_score"] for entry in found.history] == scores


def test_weights_on_representations_fall_linearly_and_the_others_stay() -> None:
    falling = Weights(1.0, 2.0, 3.0, 4.0, falling=True)
    assert [tuple(falling.at(step, 4).values()) for step in range(4)] == [
        (1.0, 2.0, 3.0, 4.0), (1.0, 2.0, 2.25, 3.0), (1.0, 2.0, 1.5, 2.0), (1.0, 2.0, 0.75, 1.0)
    ]  # fmt: skip
    assert falling.at(0, 4) == Weights(1.0, 2.0, 3.0, 4.0).at(3, 4)


@pytest.mark.parametrize(("steps", "equal"), [(1, True), (3, False)])
def test_falling_weights_are_the_constant_ones_in_a_schedule_of_one_step_only(
    steps: int, equal: bool, teacher: Teacher, student: Student, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    guide = teacher.with_head(nn.Linear(teacher.hidden, spec.outputs))
    found = []
    for schedule in RepresentationWeights:
        changes = {"representation_weights": schedule, "rows_limit": steps * quick.distill.batch_size}
        here = room(student, guide, spec, rows, quick, variants=0, teacher_rows=0, **changes)
        found.append(weights(distill(student, here, checkpoints=lambda _: NOWHERE).student.student))
    assert same(*found) == equal
