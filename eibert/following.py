"""Second phase of cross-distillation: the student learns from a frozen teacher on all rows."""

import copy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from eibert import optimize
from eibert.batches import moved
from eibert.checkpoint import Checkpoint
from eibert.lessons import Answers
from eibert.loop import Loop, Record, Selection
from eibert.losses import logits_divergence, representation_distance, task_loss, variance
from eibert.progress import Report, silent
from eibert.room import Room
from eibert.schedule import Schedule
from eibert.student import Student

_REMEDY = "lower distill.learning_rate, or set distill.precision to fp32"


@dataclass(frozen=True)
class Weights:
    """Weights of the student's loss terms."""

    task: float
    logits: float
    hidden: float
    token: float


@dataclass(frozen=True)
class Learnt:
    """A student, its best dev score, and one record per interval of the schedule."""

    student: Student
    dev_score: float
    history: list[Record]


def follow(
    student: Student, said: Answers, room: Room, weights: Weights, checkpoint: Checkpoint, report: Report = silent
) -> Learnt:
    """Returns the student of the best interval on dev (the last of ties), its head folded.

    Args:
        student: With its head; trained in place.
        said: The teacher's answers to all rows.
        room: Rows and parameters.
        weights: Weights of the loss terms.
        checkpoint: Saves the state after each interval.
        report: Called after each batch.
    """
    params = room.params
    rows = said.confident(room.lessons, params.unlabelled_confidence, regression=room.spec.regression)
    plan = Schedule(room.rows.lengths[rows], params.batch_size, params.epochs, params.rows_limit, room.seed)
    scale = variance(said.pooled[: room.lessons.labelled])
    best = copy.deepcopy(student)
    optimizer = optimize.adamw([(student.parameters(), params.learning_rate)], weight_decay=params.weight_decay)
    optimize.compile_student(student, params.compilation, room.device, plan.total)

    def terms(places: np.ndarray[Any, Any]) -> dict[str, Tensor]:
        return _terms(student, said, room, rows[places], weights, scale)

    loop = Loop(student, plan, [optimizer], params.warmup_share, room.seed, _REMEDY, checkpoint, report)
    history = loop.run(terms, lambda _: asdict(weights), Selection(best, lambda: room.dev_score(student)))
    assert best.head is not None
    best.head = room.unit.restored(best.head)
    best.cpu().eval().fold()
    return Learnt(best, max(entry["dev_score"] for entry in history), history)


def _terms(
    student: Student, said: Answers, room: Room, rows: np.ndarray[Any, Any], weights: Weights, scale: float
) -> dict[str, Tensor]:
    """Returns the unweighted losses of a batch; the word loss only if it has a weight."""
    device, regression = room.device, room.spec.regression
    with optimize.autocast(room.params.precision, device):
        tokens, pooled = student(room.rows.batch(rows, device))
        pooled = student.project(pooled).float()
    logits = student.head(pooled)  # type: ignore[misc]
    targets, guide = moved(room.lessons.targets[rows], device), moved(said.logits[rows], device)
    terms = {
        "task": task_loss(logits, targets, regression=regression),
        "logits": logits_divergence(logits, guide, temperature=room.params.temperature, regression=regression),
        "hidden": representation_distance(pooled, moved(said.pooled[rows], device).float(), scale=scale),
    }
    if weights.token and said.words is not None:
        terms["token"] = said.words.distance(student, tokens.float(), rows)
    return terms
