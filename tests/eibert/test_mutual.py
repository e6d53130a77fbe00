"""The first phase of cross-distillation, step by step: which model each term moves, and at which rate."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from eibert.corpus import Split, TaskSpec
from eibert.distill import with_head
from eibert.mutual import learn_together
from eibert.params.load import Params
from eibert.room import Room
from eibert.student import Student
from eibert.teacher import Teacher
from tests.rooms import NOWHERE, room, weights

TERMS = {
    "task": {"student", "student's head"},
    "logits": {"student", "student's head"},
    "hidden": {"student"},
    "teacher_task": {"teacher", "teacher's head"},
    "teacher_logits": {"teacher", "teacher's head"},
    "teacher_hidden": {"teacher"},
}
"""What each term moves; representations are compared before the heads."""

OneStep = Callable[..., tuple[Student, Room]]


@pytest.fixture
def one_step(teacher: Teacher, student: Student, spec: TaskSpec, rows: Split, quick: Params) -> OneStep:
    """Returns an untrained student and its room, where the first phase is one step on all rows, without decay."""
    student.shape = dataclasses.replace(student.shape, dropout=0.0)
    guide = teacher.with_head(nn.Linear(teacher.hidden, spec.outputs))
    phase = {"batch_size": len(rows), "teacher_rows": len(rows), "teacher_drift": 1.0, "weight_decay": 0.0}

    def prepare(**changes: float) -> tuple[Student, Room]:
        here = room(student, guide, spec, rows, quick, **phase, variants=0, token_weight=0.0, **changes)
        return with_head(student, here, reuse=False), here

    return prepare


def largest_changes(student: Student, here: Room) -> dict[str, float]:
    """Lets both learn; returns the largest change of a weight in each part."""
    models = {"student": student, "teacher": here.teacher}
    before = {name: weights(model) for name, model in models.items()}
    learn_together(student, here, NOWHERE)
    found: dict[str, float] = {}
    for name, model in models.items():
        for key, value in weights(model).items():
            part = f"{name}'s head" if key.startswith("head.") else name
            found[part] = max(found.get(part, 0.0), float((value - before[name][key]).abs().max()))
    return found


@pytest.mark.parametrize("term", TERMS)
def test_a_term_moves_the_model_that_learns_by_it_and_not_its_guide(term: str, one_step: OneStep) -> None:
    """Without decay, a step of AdamW changes a weight only where its gradient is not zero."""
    alone = {f"{name}_weight": float(name == term) for name in TERMS}
    changes = largest_changes(*one_step(**alone))
    assert {part for part, change in changes.items() if change} == TERMS[term]


def test_each_model_learns_at_its_own_rate(one_step: OneStep) -> None:
    """The first step of AdamW is rate · g / (|g| + 1e-8): the rate itself unless the gradient g is tiny."""
    changes = largest_changes(*one_step(learning_rate=1e-2, teacher_learning_rate=1e-3))
    assert max(changes["student"], changes["student's head"]) == pytest.approx(1e-2, rel=1e-2)
    assert max(changes["teacher"], changes["teacher's head"]) == pytest.approx(1e-3, rel=1e-2)


def test_representations_differ_in_units_of_the_teachers_variance(one_step: OneStep, rows: Split) -> None:
    student, here = one_step()
    every = np.arange(len(rows))
    with torch.no_grad():
        own = student.project(student(here.rows.batch(every, here.device))[1]).cpu().numpy()
        guide = here.teacher(here.rows_teacher.batch(every, here.device))[1].cpu().numpy()
    said: list[dict[str, float]] = []

    def listen(step: int, total: int, **values: float) -> None:
        said.append(values)

    learn_together(student, here, NOWHERE, listen)
    distance = np.square(own - guide).mean() / guide.var(axis=0).mean()
    assert len(said) == 1
    assert [said[0]["hidden"], said[0]["teacher_hidden"]] == pytest.approx([distance] * 2, rel=1e-4)
