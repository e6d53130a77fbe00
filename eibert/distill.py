"""Cross-distillation: the teacher's head moves into the student, and both learn from each other.

Source: EI-BERT as reported: parameter integration of the teacher's task layers, mutual updates with MSE and KL, the
teacher with the smaller rate. Choice: two phases; in the first both learn on labelled rows, in the second the teacher
is fixed, its answers are computed once, and the student learns from all rows (decision 0004).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from eibert import optimize
from eibert.batches import moved
from eibert.checkpoint import Checkpoint
from eibert.lessons import Answers
from eibert.losses import logits_divergence, representation_distance, task_loss, variance
from eibert.params.distill import Feedback
from eibert.progress import Report, silent
from eibert.room import Room
from eibert.schedule import Schedule
from eibert.student import Student

_FEEDBACK = ("teacher_logits", "teacher_hidden")
"""What the student tells the teacher."""
_SCALE_ROWS = 512
"""Rows from which the variance of the teacher's representations is taken."""
_REMEDY = "lower distill.learning_rate, or set distill.precision to fp32"
_BOTH = "lower distill.learning_rate or distill.teacher_learning_rate, or set distill.precision to fp32"


@dataclass(frozen=True)
class Weights:
    """Weights of the student's loss terms."""

    task: float
    logits: float
    hidden: float
    token: float


@dataclass(frozen=True)
class Learnt:
    """A student, its best dev score, and one record per epoch."""

    student: Student
    dev_score: float
    history: list[dict[str, float]]


@dataclass(frozen=True)
class Drift:
    """A teacher's dev score before the first phase and after; `put_back`: it fell too far, so the phase was undone."""

    before: float
    after: float
    put_back: bool


@dataclass(frozen=True)
class Distilled:
    """What cross-distillation leaves.

    Attributes:
        student: The student with its head folded in.
        drift: What became of the teacher in the first phase.
        rows: Rows learnt from: labelled, and confident ones that the teacher answered.
    """

    student: Learnt
    drift: Drift
    rows: dict[str, int]


def distill(
    student: Student,
    room: Room,
    *,
    checkpoint: Checkpoint,
    reports: Callable[[str], Report] = lambda what: silent,  # noqa: ARG005
) -> Distilled:
    """Returns the student after cross-distillation.

    Args:
        student: Pre-trained and pruned; not changed.
        room: Teacher, rows and parameters; its teacher is changed in place where it learns.
        checkpoint: Where whole epochs of the second phase are kept.
        reports: Gives the report of a named part.
    """
    params = room.params
    learner = with_head(student, room, reuse=params.head_reuse)
    drift = learn_together(learner, room, reports("together"))
    said = room.teacher_says(reports("teacher reads"))
    weights = Weights(params.task_weight, params.logits_weight, params.hidden_weight, params.token_weight)
    learnt = learn(learner, said, room, weights, checkpoint, reports("student"))
    confident = said.confident(room.lessons, params.unlabelled_confidence, regression=room.spec.regression)
    labelled, answered = room.lessons.labelled, len(confident) - room.lessons.labelled
    left_out = len(room.lessons.texts) - len(confident)
    return Distilled(learnt, drift, {"labelled": labelled, "answered": answered, "left_out": left_out})


def distill_plainly(
    student: Student,
    room: Room,
    *,
    checkpoint: Checkpoint,
    reports: Callable[[str], Report] = lambda what: silent,  # noqa: ARG005
) -> Learnt:
    """Returns the same student after plain distillation: a new head, a teacher that stays as it is, no MSE.

    Source: Hinton et al. 2015. The arguments are those of `distill`.
    """
    learner = with_head(student, room, reuse=False)
    said = room.teacher_says(reports("teacher reads"))
    weights = Weights(room.params.task_weight, room.params.logits_weight, 0.0, 0.0)
    return learn(learner, said, room, weights, checkpoint, reports("student"))


def with_head(student: Student, room: Room, *, reuse: bool) -> Student:
    """Returns a copy of the student with a task head, the teacher's own or a new one, and max_tokens positions."""
    torch.manual_seed(room.seed)
    positions = room.params.max_tokens
    learner = Student(replace(student.shape, outputs=room.spec.outputs, positions=positions), student.tokens)
    state = student.state_dict()
    state["positions.weight"] = state["positions.weight"][:positions]
    learner.load_state_dict(state, strict=False)
    head = room.teacher.head
    assert learner.head is not None
    assert head is not None
    if room.spec.regression:
        learner.head.bias.data.copy_(head.bias.data)
    if reuse:
        learner.head.load_state_dict({key: value.cpu() for key, value in head.state_dict().items()})
    return learner.to(room.device)


def learn_together(student: Student, room: Room, report: Report = silent) -> Drift:
    """First phase: both learn on labelled rows, at rates that rise and stay; returns what became of the teacher.

    Where the teacher's dev score falls by more than `teacher_drift`, both are put back as they were, for the student
    has learnt from a teacher that was spoilt. Both are changed in place.
    """
    params, spec, teacher, rows_teacher = room.params, room.spec, room.teacher, room.rows_teacher
    first = room.dev_score(teacher)
    if not params.teacher_rows:
        return Drift(first, first, put_back=False)
    before = [copy.deepcopy(model.state_dict()) for model in (teacher, student)]
    learning = teacher.train_upper(params.teacher_layers)
    optimizer = optimize.adamw(
        [(student.parameters(), params.learning_rate), (learning, params.teacher_learning_rate)],
        weight_decay=params.weight_decay,
    )
    labelled = room.rows.lengths[: room.lessons.labelled]
    plan = Schedule(labelled, params.batch_size, params.epochs, params.teacher_rows, room.seed + 1)
    sample = np.random.default_rng(room.seed).permutation(len(labelled))[:_SCALE_ROWS]
    with torch.no_grad():
        scale = variance(teacher(rows_teacher.batch(sample, room.device))[1])
    targets = room.lessons.targets.to(room.device)
    student.train()
    torch.manual_seed(room.seed)
    for step, batch_rows in enumerate(batch for epoch in range(plan.passes) for batch in plan.epoch(epoch)):
        with optimize.autocast(params.precision, room.device):
            guide_pooled = teacher(rows_teacher.batch(batch_rows, room.device))[1].float()
            pooled = student.project(student(room.rows.batch(batch_rows, room.device))[1]).float()
        guide, learner = teacher.answer(guide_pooled), student.head(pooled)  # type: ignore[misc]
        chosen = targets[batch_rows]
        terms = {
            "task": task_loss(learner, chosen, regression=spec.regression),
            "logits": _divergence(learner, guide.detach(), room, params.temperature),
            "hidden": representation_distance(pooled, guide_pooled.detach(), scale=scale),
            "teacher_task": task_loss(guide, chosen, regression=spec.regression),
            "teacher_logits": _divergence(guide, learner.detach(), room, params.teacher_temperature),
            "teacher_hidden": representation_distance(guide_pooled, pooled.detach(), scale=scale),
        }
        share = feedback_share(params.teacher_feedback, step, plan.total)
        loss = sum(
            getattr(params, f"{name}_weight") * term * (share if name in _FEEDBACK else 1.0)
            for name, term in terms.items()
        )
        assert isinstance(loss, Tensor)
        loss.backward()  # type: ignore[no-untyped-call]
        optimize.step(optimizer, min(1.0, (step + 1) / max(1.0, params.warmup_share * plan.total)), _BOTH)
        report(step + 1, plan.total, **{name: float(term.detach()) for name, term in terms.items()})
    for parameter in teacher.parameters():
        parameter.requires_grad_(False)
    last = room.dev_score(teacher)
    put_back = last < first - params.teacher_drift
    if put_back:
        for model, state in zip((teacher, student), before, strict=True):
            model.load_state_dict(state)
    return Drift(first, last, put_back)


def learn(
    student: Student, said: Answers, room: Room, weights: Weights, checkpoint: Checkpoint, report: Report = silent
) -> Learnt:
    """Second phase: the student learns from a fixed teacher's answers; returns it folded, as it was best on dev."""
    params, spec, device = room.params, room.spec, room.device
    rows = said.confident(room.lessons, params.unlabelled_confidence, regression=spec.regression)
    plan = Schedule(room.rows.lengths[rows], params.batch_size, params.epochs, params.rows_limit, room.seed)
    scale = variance(said.pooled[: room.lessons.labelled])
    best = copy.deepcopy(student)
    optimizer = optimize.adamw([(student.parameters(), params.learning_rate)], weight_decay=params.weight_decay)
    modules: dict[str, nn.Module] = {"student": student, "best": best}
    done, memory = checkpoint.restore(modules, optimizer)
    optimize.compile_student(student, params.compilation, device, plan.total)
    history: list[dict[str, float]] = memory.get("history", [])
    while done < plan.passes:
        torch.manual_seed(room.seed + done)
        student.train()
        sums: dict[str, float] = {}
        batches = plan.epoch(done)
        for position, places in enumerate(batches):
            batch_rows = rows[places]
            step = done * plan.steps_per_epoch + position
            with optimize.autocast(params.precision, device):
                tokens, pooled = student(room.rows.batch(batch_rows, device))
                pooled = student.project(pooled).float()
            logits = student.head(pooled)  # type: ignore[misc]
            terms = {
                "task": task_loss(logits, moved(room.lessons.targets[batch_rows], device), regression=spec.regression),
                "logits": _divergence(logits, moved(said.logits[batch_rows], device), room, params.temperature),
                "hidden": representation_distance(pooled, moved(said.pooled[batch_rows], device).float(), scale=scale),
            }
            if weights.token and said.words is not None:
                terms["token"] = said.words.distance(student, tokens.float(), batch_rows)
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
        history.append({"step": min(done * plan.steps_per_epoch, plan.total), **means, "dev_score": dev_score})
        checkpoint.save(done, modules, optimizer, {"history": history})
    assert best.head is not None
    best.head = room.unit.restored(best.head)
    best.cpu().eval().fold()
    return Learnt(best, max(entry["dev_score"] for entry in history), history)


def feedback_share(feedback: Feedback, step: int, total: int) -> float:
    """Returns the share of the weights of the student's feedback at a step (0-based) of the first phase."""
    return 1.0 if feedback is Feedback.CONSTANT else (step + 1) / total


def _divergence(learner: Tensor, guide: Tensor, room: Room, temperature: float) -> Tensor:
    return logits_divergence(learner, guide, temperature=temperature, regression=room.spec.regression)
