"""The second phase of cross-distillation keeps the pass that was best on dev, and measures in the teacher's units."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from eibert.corpus import Split, TaskSpec
from eibert.distill import with_head
from eibert.following import Weights, follow
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


def test_representations_differ_in_units_of_the_variance_on_labelled_rows(
    teacher: Teacher, student: Student, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    """One step on all rows, the unlabelled one too, whose representation is far from the others."""
    student.shape = dataclasses.replace(student.shape, dropout=0.0)
    guide = teacher.with_head(nn.Linear(teacher.hidden, spec.outputs))
    every = {"epochs": 1, "batch_size": len(rows) + 1, "unlabelled_confidence": 0.0}
    here = room(student, guide, spec, rows, quick, variants=0, token_weight=0.0, **every)
    said = here.teacher_says()
    said.pooled[-1] = 9.0
    taught = said.pooled.double().numpy()
    learner = with_head(student, here, reuse=True)
    with torch.no_grad():
        own = learner.project(learner(here.rows.batch(range(len(rows) + 1), here.device))[1]).cpu().numpy()
    found = follow(learner, said, here, Weights(1, 1, 1, 0), NOWHERE)
    expected = np.square(own - taught).mean() / taught[: len(rows)].var(axis=0).mean()
    assert found.history[0]["hidden"] == pytest.approx(expected, rel=1e-4)
