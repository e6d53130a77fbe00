"""Fine-tunes the teacher on the task: encoder and a linear head, early stopping on dev."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eibert import optimize
from eibert.batches import Encoded, encode, predict
from eibert.checkpoint import Checkpoint
from eibert.corpus import Split, TaskSpec
from eibert.errors import TeacherError
from eibert.loop import Loop, Record, Selection
from eibert.losses import task_loss
from eibert.params.finetune import FinetuneParams
from eibert.progress import Report, silent
from eibert.runtime.tokenizer import CLASSIFY, SEPARATE, UNKNOWN
from eibert.schedule import Schedule
from eibert.scores import score
from eibert.teacher import Teacher
from eibert.unit import Unit

_REMEDY = "lower finetune.learning_rate or finetune.head_learning_rate, or set finetune.precision to fp32"


@dataclass(frozen=True)
class Finetuned:
    """The teacher of the best interval, its dev score, and one record per interval of the schedule."""

    teacher: Teacher
    dev_score: float
    history: list[Record]


def finetune(
    teacher: Teacher,
    spec: TaskSpec,
    train: Split,
    dev: Split,
    params: FinetuneParams,
    *,
    seed: int,
    checkpoint: Checkpoint,
    report: Report = silent,
) -> Finetuned:
    """Returns the teacher fine-tuned on train, from its best interval on dev (the last of ties).

    Choice: a linear head on the pooled sentence, so that it can be folded into the student; the token embeddings are
    frozen, which keeps the student's initial table valid and saves half of the optimiser's work (decision 0003).

    Args:
        teacher: Base teacher; changed in place.
        spec: The task.
        train: Training rows.
        dev: Rows for early stopping.
        params: Section `finetune`.
        seed: Seed of head, order and dropout.
        checkpoint: Saves the state after each interval; a run with the same key resumes from it.
        report: Called after each step.

    Raises:
        TeacherError: the rows are pairs, but the teacher takes only single texts; or it cannot read their language.
    """
    if spec.pair and getattr(teacher.encoder.config, "type_vocab_size", 2) == 1:
        raise TeacherError(
            "teacher.model: takes only single texts (type_vocab_size 1), but the rows are pairs; choose one that takes "
            "pairs"
        )
    device = optimize.prepare(params.threads)
    unit = Unit.of(spec, train.targets)
    head = _set_up(teacher, spec, params, seed)
    teacher.to(device)
    best = copy.deepcopy(teacher)
    optimizer = optimize.adamw(
        [(teacher.encoder.parameters(), params.learning_rate), (head.parameters(), params.head_learning_rate)],
        weight_decay=params.weight_decay,
    )
    rows = encode(teacher.tokenizer, train.texts, train.texts_b, max_tokens=teacher.max_tokens)
    _check_language(teacher, rows, params.max_unknown_share)
    targets = torch.from_numpy(unit.standard(train.targets)).to(device)
    plan = Schedule(rows.lengths, params.batch_size, params.epochs, params.rows_limit, seed)

    def terms(batch_rows: np.ndarray[Any, Any]) -> dict[str, Tensor]:
        with optimize.autocast(params.precision, device):
            logits = teacher.logits(rows.batch(batch_rows, device))
        return {"loss": task_loss(logits.float(), targets[batch_rows], regression=spec.regression)}

    def dev_score() -> float:
        return score(spec.metric, predict(teacher, dev, batch_size=params.batch_size), dev.targets)

    loop = Loop(teacher, plan, [optimizer], params.warmup_share, seed, _REMEDY, checkpoint, report)
    history = loop.run(terms, lambda _: {"loss": 1.0}, Selection(best, dev_score, params.patience))
    assert best.head is not None
    best.head = unit.restored(best.head)
    return Finetuned(best.cpu().eval(), max(entry["dev_score"] for entry in history), history)


def _check_language(teacher: Teacher, rows: Encoded, limit: float) -> None:
    """Raises TeacherError if more of the rows' tokens, special ones aside, are [UNK] than the limit."""
    counts = np.bincount(np.concatenate(rows.ids), minlength=len(teacher.tokens))
    unknown, *frame = (int(counts[teacher.tokenizer.token_to_id(token)]) for token in (UNKNOWN, CLASSIFY, SEPARATE))
    share = unknown / max(1, int(counts.sum()) - sum(frame))
    if share > limit:
        raise TeacherError(
            f"teacher.model: {share:.1%} of the tokens of train are {UNKNOWN} to it, expected at most {limit:.1%} "
            "(finetune.max_unknown_share); it was probably trained on another language: name one of the texts' language"
        )


def _set_up(teacher: Teacher, spec: TaskSpec, params: FinetuneParams, seed: int) -> nn.Linear:
    """Gives the teacher the token limit of the task, freezes its token embeddings, and returns its new head."""
    torch.manual_seed(seed)
    teacher.head = nn.Linear(teacher.hidden, spec.outputs)
    if spec.regression:
        teacher.head.bias.data.zero_()  # the mean, in standard units
    teacher.max_tokens = min(teacher.max_tokens, params.max_tokens)
    teacher.encoder.get_input_embeddings().weight.requires_grad_(False)  # type: ignore[operator]
    return teacher.head
