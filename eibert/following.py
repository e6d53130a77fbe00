"""Second phase of cross-distillation: the student learns from a frozen teacher on all rows."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eibert import optimize
from eibert.batches import moved
from eibert.checkpoint import Checkpoint
from eibert.lessons import Answers
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
    history: list[dict[str, float]]


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
    modules: dict[str, nn.Module] = {"student": student, "best": best}
    done, memory = checkpoint.restore(modules, optimizer)
    optimize.compile_student(student, params.compilation, room.device, plan.total)
    history: list[dict[str, float]] = memory.get("history", [])
    while done < plan.intervals:
        torch.manual_seed(room.seed + done)
        student.train()
        sums: dict[str, float] = {}
        batches = plan.interval(done)
        for position, places in enumerate(batches):
            step = plan.start(done) + position
            terms = _terms(student, said, room, rows[places], weights, scale)
            loss = sum(getattr(weights, name) * term for name, term in terms.items())
            assert isinstance(loss, Tensor)
            loss.backward()  # type: ignore[no-untyped-call]
            optimize.step(optimizer, optimize.rate_factor(step, plan.total, params.warmup_share), _REMEDY)
            values = {name: float(term.detach()) for name, term in terms.items()}
            sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
            report(step + 1, plan.total, **values)
        dev_score = room.dev_score(student)
        if dev_score >= max((entry["dev_score"] for entry in history), default=-np.inf):
            best.load_state_dict(student.state_dict())
        done += 1
        means = {name: value / len(batches) for name, value in sums.items()}
        history.append({"step": plan.start(done), **means, "dev_score": dev_score})
        checkpoint.save(done, modules, optimizer, {"history": history})
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
