"""Fine-tunes the teacher on the task: encoder and a linear head, early stopping on dev."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from eibert import optimize
from eibert.batches import encode, predict
from eibert.checkpoint import Checkpoint
from eibert.corpus import Split, TaskSpec
from eibert.errors import TeacherError
from eibert.losses import task_loss
from eibert.params.finetune import FinetuneParams
from eibert.progress import Report, silent
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
    history: list[dict[str, float]]


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
        TeacherError: the rows are pairs, but the teacher takes only single texts.
    """
    if spec.pair and getattr(teacher.encoder.config, "type_vocab_size", 2) == 1:
        raise TeacherError(
            "teacher.model: takes only single texts (type_vocab_size 1), but the rows are pairs; choose one that takes "
            "pairs"
        )
    device = optimize.prepare(params.threads)
    torch.manual_seed(seed)
    teacher.head = nn.Linear(teacher.hidden, spec.outputs)
    if spec.regression:
        teacher.head.bias.data.zero_()  # the mean, in standard units
    unit = Unit.of(spec, train.targets)
    teacher.max_tokens = min(teacher.max_tokens, params.max_tokens)
    teacher.encoder.get_input_embeddings().weight.requires_grad_(False)  # type: ignore[operator]
    teacher.to(device)
    best = copy.deepcopy(teacher)
    optimizer = optimize.adamw(
        [(teacher.encoder.parameters(), params.learning_rate), (teacher.head.parameters(), params.head_learning_rate)],
        weight_decay=params.weight_decay,
    )
    rows = encode(teacher.tokenizer, train.texts, train.texts_b, max_tokens=teacher.max_tokens)
    targets = torch.from_numpy(unit.standard(train.targets)).to(device)
    plan = Schedule(rows.lengths, params.batch_size, params.epochs, params.rows_limit, seed)
    modules: dict[str, nn.Module] = {"teacher": teacher, "best": best}
    done, memory = checkpoint.restore(modules, optimizer)
    history: list[dict[str, float]] = memory.get("history", [])
    while done < plan.intervals and not _out_of_patience(history, params.patience):
        torch.manual_seed(seed + done)
        teacher.train()
        losses: list[float] = []
        for position, batch_rows in enumerate(plan.interval(done)):
            step = plan.start(done) + position
            with optimize.autocast(params.precision, device):
                logits = teacher.logits(rows.batch(batch_rows, device))
            loss = task_loss(logits.float(), targets[batch_rows], regression=spec.regression)
            loss.backward()  # type: ignore[no-untyped-call]
            optimize.step(optimizer, optimize.rate_factor(step, plan.total, params.warmup_share), _REMEDY)
            losses.append(float(loss.detach()))
            report(step + 1, plan.total, loss=losses[-1])
        dev_score = score(spec.metric, predict(teacher, dev, batch_size=params.batch_size), dev.targets)
        if dev_score >= max((entry["dev_score"] for entry in history), default=-np.inf):
            best.load_state_dict(teacher.state_dict())
        done += 1
        history.append(
            {
                "step": plan.start(done),
                "loss": float(np.mean(losses)),
                "dev_score": dev_score,
            }
        )
        checkpoint.save(done, modules, optimizer, {"history": history})
    assert best.head is not None
    best.head = unit.restored(best.head)
    return Finetuned(best.cpu().eval(), max(entry["dev_score"] for entry in history), history)


def _out_of_patience(history: list[dict[str, float]], patience: int) -> bool:
    scores = [entry["dev_score"] for entry in reversed(history)]
    return bool(scores) and scores.index(max(scores)) >= patience
