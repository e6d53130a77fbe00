"""Cross-distillation: the student takes over the teacher's head, and both learn from each other.

Source: EI-BERT as reported: parameter integration of the teacher's task layers, mutual updates with MSE and KL, the
teacher with the smaller learning rate. Choice: two phases; in the first both learn on labelled rows, in the second the
teacher is frozen, its answers are computed once, and the student learns from all rows (decision 0004).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from eibert.checkpoint import Checkpoint
from eibert.following import Learnt, Weights, follow
from eibert.mutual import Drift, learn_together
from eibert.progress import Report, silent
from eibert.room import Room
from eibert.student import Student


@dataclass(frozen=True)
class Distilled:
    """The result of cross-distillation.

    Attributes:
        student: The trained student, its head folded.
        drift: The teacher's drift in the first phase.
        rows: Numbers of `labelled` rows, other rows trained on (`answered`), and those too uncertain (`left_out`).
    """

    student: Learnt
    drift: Drift
    rows: dict[str, int]


def distill(
    student: Student,
    room: Room,
    *,
    checkpoints: Callable[[str], Checkpoint],
    reports: Callable[[str], Report] = lambda what: silent,  # noqa: ARG005
) -> Distilled:
    """Returns the student after cross-distillation.

    Args:
        student: Pre-trained and pruned; not changed.
        room: Teacher, rows and parameters; the teacher is trained in place.
        checkpoints: Returns the checkpoint of a phase, `together` or `student`.
        reports: Returns the report callback of a named part.
    """
    params = room.params
    learner = with_head(student, room, reuse=params.head_reuse)
    drift = learn_together(learner, room, checkpoints("together"), reports("together"))
    said = room.teacher_says(reports("teacher reads"))
    weights = Weights(params.task_weight, params.logits_weight, params.hidden_weight, params.token_weight)
    learnt = follow(learner, said, room, weights, checkpoints("student"), reports("student"))
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
    """Returns the same student after plain distillation: a new head, a frozen teacher, no MSE on representations.

    Source: Hinton et al. 2015. The arguments are those of `distill`, with a single checkpoint.
    """
    learner = with_head(student, room, reuse=False)
    said = room.teacher_says(reports("teacher reads"))
    weights = Weights(room.params.task_weight, room.params.logits_weight, 0.0, 0.0)
    return follow(learner, said, room, weights, checkpoint, reports("student"))


def with_head(student: Student, room: Room, *, reuse: bool) -> Student:
    """Returns a copy of the student with a task head, the teacher's or a new one, and `max_tokens` positions."""
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
