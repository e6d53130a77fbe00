"""Pre-training: the student learns language from the base teacher's representations of plain text."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eibert import optimize
from eibert.augment import Variants, draw, top_up
from eibert.batches import Encoded, encode
from eibert.checkpoint import Checkpoint
from eibert.corpus import Pretraining, Text
from eibert.errors import RunError
from eibert.inherit import inherit
from eibert.loop import Loop, Record
from eibert.losses import representation_distance
from eibert.matching import HeldOut
from eibert.outputs import Outputs
from eibert.params.pretrain import PretrainParams
from eibert.progress import Report, silent
from eibert.schedule import Schedule
from eibert.student import Student, StudentShape
from eibert.teacher import Teacher
from eibert.token_targets import TokenTargets

_REMEDY = "lower pretrain.learning_rate, or set pretrain.precision to fp32"


@dataclass(frozen=True)
class Pretrained:
    """The result of pre-training.

    Attributes:
        student: The student over the teacher's full vocabulary.
        texts: Number of texts used.
        variants: How many of them are variants.
        inherited: Token and sentence distances to the teacher before the first step; None: random initialisation.
        history: One record per interval of the schedule.
    """

    student: Student
    texts: int
    variants: int
    inherited: dict[str, float] | None
    history: list[Record]


def pretrain(
    teacher: Teacher,
    corpus: Pretraining,
    params: PretrainParams,
    *,
    seed: int,
    outputs: Outputs,
    checkpoint: Checkpoint,
    read: Report = silent,
    report: Report = silent,
) -> Pretrained:
    """Returns a student whose projected token and sentence representations match the base teacher's.

    Source: EI-BERT puts student pre-training first in its pipeline; its objective is not known.
    Choice: MSE on the last layer's tokens and on the pooled sentence, after one linear projection (decision 0005).

    Args:
        teacher: Base teacher.
        corpus: Plain texts, or pairs; fewer than `texts_min` are topped up with variants if held-out rows are known.
        params: Section `pretrain`.
        seed: Seed of sampling, initial weights, order and dropout.
        outputs: Disk cache of the teacher's outputs, which may not fit in memory.
        checkpoint: Saves the state after each interval.
        read: Called as the teacher reads the texts.
        report: Called after each student step.
    """
    if not corpus.texts:
        raise RunError("pretrain: all training texts are in dev or test; change the splits or add unlabelled text")
    device = optimize.prepare(params.threads)
    generator = np.random.default_rng([seed, 1])
    chosen = draw(corpus.texts, params.texts_limit, generator)
    filled = _filled(chosen, teacher, params.texts_min, generator, corpus)
    rows = encode(
        teacher.tokenizer,
        [text for text, _ in filled],
        [text_b or "" for _, text_b in filled] if corpus.pairs else None,
        max_tokens=min(params.max_tokens, teacher.max_tokens),
    )
    torch.manual_seed(seed)
    student = initial_student(teacher, rows, params)
    inherited = None
    if params.inherit_tokens:
        inherited = inherit(student, teacher, rows, tokens=params.inherit_tokens, seed=seed)
    student.to(device)
    plan = Schedule(rows.lengths, params.batch_size, params.epochs, params.rows_limit, seed)
    optimizer = optimize.adamw([(student.parameters(), params.learning_rate)], weight_decay=params.weight_decay)
    optimize.compile_student(student, params.compilation, device, plan.total)
    targets = TokenTargets.read(
        teacher.to(device), rows, precision=params.precision, outputs=outputs,
        fewer="pretrain.texts_limit", report=read,
    )  # fmt: skip

    def terms(batch_rows: np.ndarray[Any, Any]) -> dict[str, Tensor]:
        batch = rows.batch(batch_rows, device)
        guide_tokens, guide_pooled = targets.of(batch_rows, batch.mask)
        with optimize.autocast(params.precision, device):
            tokens, pooled = student(batch)
            tokens, pooled = student.project(tokens), student.project(pooled)
        return {
            "token": representation_distance(tokens, guide_tokens, scale=targets.token_scale, keep=batch.mask.bool()),
            "sentence": representation_distance(pooled, guide_pooled, scale=targets.sentence_scale),
        }

    loop = Loop(student, plan, [optimizer], params.warmup_share, seed, _REMEDY, checkpoint, report)
    history = loop.run(terms, lambda _: {"token": params.token_weight, "sentence": params.sentence_weight})
    return Pretrained(student.cpu().eval(), len(filled), len(filled) - len(chosen), inherited, history)


def _filled(
    chosen: list[Text], teacher: Teacher, count: int, generator: np.random.Generator, corpus: Pretraining
) -> list[Text]:
    """Returns the chosen texts, topped up to `count` with variants; in pair tasks lone texts get a partner."""
    sides = [side for text in chosen for side in text if side is not None]
    make = Variants(sides, teacher, generator, corpus.held_out or HeldOut())
    if corpus.pairs:
        chosen = [(text, text_b if text_b is not None else make.partner(text, sides)) for text, text_b in chosen]
        return top_up(chosen, count, lambda text: make.of_pair(text[0], text[1] or "", sides), generator)
    return (
        chosen if corpus.held_out is None else top_up(chosen, count, lambda text: (make.of(text[0]), None), generator)
    )


def initial_student(teacher: Teacher, rows: Encoded, params: PretrainParams) -> Student:
    """Returns an untrained student whose token embeddings are a weighted low-rank approximation of the teacher's.

    They minimise Σ_v w_v ‖t_v − e_v A‖² at rank E, where w_v is the square root of token v's count plus one.
    """
    casing = teacher.casing
    shape = StudentShape(
        **params.student.model_dump(),
        teacher_hidden=teacher.hidden,
        outputs=0,
        lowercase=casing.lowercase,
        strip_accents=casing.strip_accents,
        pooling=teacher.pooling,
    )
    student = Student(shape, teacher.tokens)
    counts = np.bincount(np.concatenate(rows.ids), minlength=len(student.tokens))[: len(student.tokens)]
    table, directions = weighted_svd(teacher.table, torch.from_numpy(np.sqrt(counts + 1.0)), shape.embedding)
    scale = float(table.std())
    with torch.no_grad():
        torch.nn.init.orthogonal_(student.embedding_projection.weight)
        student.table.weight.copy_(table / scale)
        for other in (student.positions, student.segments):
            torch.nn.init.normal_(other.weight, std=0.02)
        positions = teacher.position_table
        if positions is not None and positions.shape[1] == len(directions):  # else added in another space
            learnt = positions[: shape.positions].float().cpu() @ directions / scale  # (P, H_T) → (P, E)
            student.positions.weight[: len(learnt)] = learnt @ student.embedding_projection.weight.T
    return student


def weighted_svd(table: Tensor, weights: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Returns the best rank-`rank` approximation of a table under row weights, as coordinates and directions.

    Args:
        table: Float (V, H).
        weights: Positive weight of each row, (V,).
        rank: Number of directions kept, E ≤ H; a larger E is padded with zeros.

    Returns:
        Coordinates (V, E) and orthonormal directions (H, E), so that coordinates @ directions.T approximates table.
    """
    rows = table.double().cpu()
    gram = rows.T @ (rows * weights.double().unsqueeze(-1))  # (H, H): the right singular vectors of √w · table
    directions = torch.linalg.eigh(gram).eigenvectors.flip(-1)[:, :rank]
    signs = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True)).sign()
    directions = directions * signs  # fixes the sign, whatever the linear algebra library returns
    filled = torch.zeros(rows.shape[1], rank, dtype=torch.float64)
    filled[:, : directions.shape[1]] = directions
    return (rows @ filled).float(), filled.float()
