"""Adapter of `distill`: pruned student and fine-tuned teacher → student that knows the task."""

import contextlib
from pathlib import Path

from eibert import artifact
from eibert.corpus import read_spec, read_split, read_texts
from eibert.distill import Learnt, distill
from eibert.params.distill import DistillParams
from eibert.params.section import Shared
from eibert.student import load_student, save_student
from eibert.teacher import load_teacher
from tasks.adapter import checkpoint, recorded
from tasks.progress import reporting, say

STAGE = "distill"
CONTROL = "control.safetensors"


def run(workspace: Path, params: DistillParams, shared: Shared) -> Path:
    """Writes the artifact `distill` and returns its folder."""
    inputs = artifact.verified(
        workspace, "ingest/dataset.json", "ingest/train.parquet", "ingest/dev.parquet", "ingest/unlabelled.parquet",
        "finetune", "prune",
    )  # fmt: skip
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    train, dev = read_split(ingest, "train", spec), read_split(ingest, "dev", spec)
    shaped_by = recorded(STAGE, params, shared)
    kept = {part: checkpoint(workspace, STAGE, part, shaped_by, inputs) for part in ("student", "control")}
    with contextlib.ExitStack() as stack:
        found = distill(
            load_student(artifact.folder(workspace, "prune")),
            load_teacher(artifact.folder(workspace, "finetune")),
            spec, train, dev, read_texts(ingest / "unlabelled.parquet"), params,
            seed=shared.seed,
            checkpoints=kept.__getitem__,
            reports=lambda what: stack.enter_context(reporting(STAGE, what)),
        )  # fmt: skip
    say(STAGE, f"dev {spec.metric} {found.student.dev_score:.4f}" + _control(found.control))
    with artifact.writing(workspace, STAGE, params=shaped_by, inputs=inputs) as out:
        save_student(found.student.student, out)
        if found.control is not None:
            save_student(found.control.student, out, weights=CONTROL)
        control = found.control.history if found.control is not None else []
        artifact.write_json(out / "history.json", found.student.history)
        artifact.write_json(out / "control.json", control)
        before, after = found.teacher_scores
        figures = {"dev_score": found.student.dev_score, "teacher_dev_before": before, "teacher_dev_after": after}
        if found.control is not None:
            figures["control_dev_score"] = found.control.dev_score
        artifact.write_json(out / artifact.METRICS, figures | {"rows": found.rows})
    for part in kept.values():
        part.clear()
    return artifact.folder(workspace, STAGE)


def _control(control: Learnt | None) -> str:
    return f", plain distillation {control.dev_score:.4f}" if control is not None else ""
