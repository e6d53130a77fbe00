"""First phase of cross-distillation: teacher and student learn from each other on labelled rows.

Source: EI-BERT as reported: mutual updates with MSE and KL, the teacher with the smaller learning rate. Choice: the
student's feedback has its own weights and temperature, and is undone if it degrades the teacher (decision 0004).
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eibert import optimize
from eibert.checkpoint import Checkpoint
from eibert.loop import Loop
from eibert.losses import Spread, logits_divergence, representation_distance, task_loss
from eibert.params.distill import Feedback
from eibert.passes import ROWS
from eibert.progress import Report, silent
from eibert.room import Room
from eibert.schedule import Schedule
from eibert.student import Student

_TERMS = ("task", "logits", "hidden", "teacher_task", "teacher_logits", "teacher_hidden")
_FEEDBACK = ("teacher_logits", "teacher_hidden")
"""Loss terms that carry the student's feedback to the teacher."""
_SCALE_ROWS = 512
"""Rows used to estimate the variance of the teacher's representations."""
_REMEDY = "lower distill.learning_rate or distill.teacher_learning_rate, or set distill.precision to fp32"


@dataclass(frozen=True)
class Drift:
    """A teacher's dev score before and after the first phase; `put_back`: it fell too far and was rolled back."""

    before: float
    after: float
    put_back: bool


def learn_together(student: Student, room: Room, checkpoint: Checkpoint, report: Report = silent) -> Drift:
    """Trains both, in place, at learning rates that warm up and stay constant; returns the teacher's drift.

    If the teacher's dev score falls by more than `teacher_drift`, both are rolled back, because the student has learnt
    from a degraded teacher.

    Args:
        student: With its head.
        room: Teacher, rows and parameters.
        checkpoint: Saves the state of both after each interval.
        report: Called after each batch.
    """
    params, teacher = room.params, room.teacher
    first = room.dev_score(teacher)
    if not params.teacher_rows:
        return Drift(first, first, put_back=False)
    before = [copy.deepcopy(model.state_dict()) for model in (teacher, student)]
    _learn(student, room, checkpoint, report)
    last = room.dev_score(teacher)
    put_back = last < first - params.teacher_drift
    if put_back:
        for model, state in zip((teacher, student), before, strict=True):
            model.load_state_dict(state)
    return Drift(first, last, put_back)


def feedback_share(feedback: Feedback, step: int, total: int) -> float:
    """Returns the factor on the weights of the student's feedback at a step (0-based)."""
    return 1.0 if feedback is Feedback.CONSTANT else (step + 1) / total


def _learn(student: Student, room: Room, checkpoint: Checkpoint, report: Report) -> None:
    params, teacher = room.params, room.teacher
    learning = teacher.train_upper(params.teacher_layers)
    optimizers = (  # one per model, so that neither's gradient norm clips the other
        optimize.adamw([(student.parameters(), params.learning_rate)], weight_decay=params.weight_decay),
        optimize.adamw([(learning, params.teacher_learning_rate)], weight_decay=params.weight_decay),
    )
    labelled = room.rows.lengths[: room.lessons.labelled]
    plan = Schedule(labelled, params.batch_size, params.epochs, params.teacher_rows, room.seed + 1)
    scale = _scale(room)

    def terms(rows: np.ndarray[Any, Any]) -> dict[str, Tensor]:
        return _terms(student, room, rows, scale)

    def weights(step: int) -> dict[str, float]:
        share = feedback_share(params.teacher_feedback, step, plan.total)
        return {name: getattr(params, f"{name}_weight") * (share if name in _FEEDBACK else 1.0) for name in _TERMS}

    Loop(
        student, plan, optimizers, params.warmup_share, room.seed, _REMEDY, checkpoint, report,
        decay=False, others={"teacher": teacher},
    ).run(terms, weights)  # fmt: skip
    for parameter in teacher.parameters():
        parameter.requires_grad_(False)


@torch.no_grad()
def _scale(room: Room) -> float:
    """Returns the variance of the teacher's representations, estimated from labelled rows."""
    sample, spread = np.random.default_rng(room.seed).permutation(room.lessons.labelled)[:_SCALE_ROWS], Spread()
    for start in range(0, len(sample), ROWS):
        spread.add(room.teacher(room.rows_teacher.batch(sample[start : start + ROWS], room.device))[1])
    return spread.variance


def _terms(student: Student, room: Room, rows: np.ndarray[Any, Any], scale: float) -> dict[str, Tensor]:
    """Returns the unweighted losses of a batch; in each distillation term the guide is detached."""
    params, teacher, regression = room.params, room.teacher, room.spec.regression
    with optimize.autocast(params.precision, room.device):
        guide_pooled = teacher(room.rows_teacher.batch(rows, room.device))[1].float()
        pooled = student.project(student(room.rows.batch(rows, room.device))[1]).float()
    guide, learner = teacher.answer(guide_pooled), student.head(pooled)  # type: ignore[misc]
    targets = room.lessons.targets.to(room.device)[rows]

    def divergence(one: Tensor, other: Tensor, temperature: float) -> Tensor:
        return logits_divergence(one, other.detach(), temperature=temperature, regression=regression)

    return {
        "task": task_loss(learner, targets, regression=regression),
        "logits": divergence(learner, guide, params.temperature),
        "hidden": representation_distance(pooled, guide_pooled.detach(), scale=scale),
        "teacher_task": task_loss(guide, targets, regression=regression),
        "teacher_logits": divergence(guide, learner, params.teacher_temperature),
        "teacher_hidden": representation_distance(guide_pooled, pooled.detach(), scale=scale),
    }
