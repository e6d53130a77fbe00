"""Adapter of `prune`: student with the full vocabulary → student with only the entries worth keeping."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from eibert import artifact, optimize
from eibert.batches import encode
from eibert.corpus import read_spec, read_split, read_texts, write_parquet
from eibert.params.prune import PruneParams
from eibert.params.section import Shared
from eibert.prune import choose, costs_of, coverage, coverage_curve, needed, slice_student, token_importance
from eibert.runtime.tokenizer import wordpiece
from eibert.student import Student, load_student, save_student
from eibert.teacher_files import load_teacher
from tasks.adapter import recorded
from tasks.progress import reporting, say

STAGE = "prune"
SIZES = (500, 1000, 2000, 3000, 4000, 6000, 8000, 12000, 16000, 20000, 30000, 50000, 100000)
"""Vocabulary sizes at which coverage is reported, between the smallest possible and the full vocabulary."""
_CURVE_TEXTS = 1000
"""Texts re-tokenized for each point of the curve."""
_SCALE_BYTES = 4


def run(workspace: Path, params: PruneParams, shared: Shared) -> Path:
    """Writes the artifact `prune` and returns its folder."""
    inputs = artifact.verified(
        workspace, "ingest/task.json", "ingest/train.parquet", "ingest/unlabelled.parquet", "finetune", "pretrain"
    )
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    optimize.prepare(params.threads)
    train = read_split(ingest, "train", spec)
    labelled = [*train.texts, *(train.texts_b or [])]
    texts = _drawn(labelled, read_texts(ingest / "unlabelled.parquet"), params.texts_limit, shared.seed)
    teacher = load_teacher(artifact.folder(workspace, "finetune"), attentions=True)
    with reporting(STAGE, "attention") as report:
        limit = min(params.max_tokens, teacher.max_tokens)
        rows = encode(teacher.tokenizer, texts, None, max_tokens=limit)
        found = token_importance(teacher, rows, params, report)
    scores = found.ranked_by(params.importance)
    student = load_student(artifact.folder(workspace, "pretrain"))
    row_bytes = student.shape.embedding + _SCALE_BYTES
    kept_ids, costs = choose(student.tokens, scores, row_bytes, params), costs_of(student.tokens, row_bytes, params)
    pruned = slice_student(student, kept_ids)
    kept = np.isin(np.arange(len(scores)), kept_ids)
    before = coverage(student.tokenizer, texts)
    covered = float(found.counts[kept].sum() / max(1, found.counts.sum()))
    after = coverage(pruned.tokenizer, texts)
    say(
        STAGE,
        f"{len(kept_ids)} of {len(scores)} entries kept; {covered:.2%} of tokens covered, "
        f"{before.tokens_per_text:.1f} → {after.tokens_per_text:.1f} tokens per text, [UNK] {after.unknown:.3%}",
    )
    with artifact.writing(workspace, STAGE, params=recorded(STAGE, params, shared), inputs=inputs) as out:
        save_student(pruned, out)
        columns = {"token": list(student.tokens), "score": scores.tolist(), "count": found.counts.tolist()}
        schema = pa.schema(
            [("token", pa.string()), ("score", pa.float64()), ("count", pa.int64()), ("kept", pa.bool_())]
        )
        write_parquet(out / "scores.parquet", columns | {"kept": kept.tolist()}, schema)
        musts = needed(student.tokens, characters=params.keep_characters)
        sizes = sorted({len(kept_ids), len(scores), *(size for size in SIZES if musts.sum() <= size < len(scores))})
        some = texts[:: -(-len(texts) // _CURVE_TEXTS)]  # of both kinds: the labelled ones come first
        curve = coverage_curve(student.tokens, found, _tokenizer(student), some, musts, costs, sizes)
        facts = {
            "importance": params.importance.value,
            "covered": covered,
            "before": dataclasses.asdict(before),
            "after": dataclasses.asdict(after),
        }
        artifact.write_json(out / "coverage.json", facts | {"curve": curve})
        figures = {"entries": len(kept_ids), "covered": covered, "unknown": after.unknown}
        tokens = {"tokens_per_text": after.tokens_per_text, "tokens_per_text_before": before.tokens_per_text}
        artifact.write_json(out / artifact.METRICS, figures | tokens)
    return artifact.folder(workspace, STAGE)


def _drawn(labelled: list[str], unlabelled: list[str], limit: int, seed: int) -> list[str]:
    """Samples at most `limit` texts, half of each kind if there are enough of both."""
    generator = np.random.default_rng([seed, 3])
    share = max(limit - len(unlabelled), limit - limit // 2)
    texts = [labelled[index] for index in generator.permutation(len(labelled))[:share]]
    rest = generator.permutation(len(unlabelled))[: limit - len(texts)]
    return texts + [unlabelled[index] for index in rest]


def _tokenizer(student: Student) -> Callable[[Sequence[str]], Tokenizer]:
    shape = student.shape
    return functools.partial(
        wordpiece, lowercase=shape.lowercase, strip_accents=shape.strip_accents, max_tokens=shape.positions
    )
