"""Adapter of `distill`: pruned student and fine-tuned teacher → student trained on the task."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

from eibert import artifact
from eibert.checkpoint import Checkpoint
from eibert.corpus import read_held_out, read_spec, read_split, read_texts
from eibert.distill import distill, distill_plainly
from eibert.params.distill import DistillParams
from eibert.params.section import Shared
from eibert.progress import Report
from eibert.room import Room
from eibert.student import WEIGHTS, load_student, save_student
from eibert.teacher_files import load_teacher
from tasks.adapter import STATE, checkpoint, outputs, recorded
from tasks.beside import Beside, beside
from tasks.progress import reporting, say

STAGE = "distill"
CONTROL = "control.safetensors"


def run(workspace: Path, params: DistillParams, shared: Shared) -> Path:
    """Writes the artifact `distill` and returns its folder."""
    inputs = artifact.verified(
        workspace, "ingest/task.json", "ingest/train.parquet", "ingest/dev.parquet", "ingest/unlabelled.parquet",
        "ingest/held_out.parquet",
        "finetune", "prune",
    )  # fmt: skip
    shaped_by = recorded(STAGE, params, shared)
    kept = {part: checkpoint(workspace, STAGE, part, shaped_by, inputs) for part in ("together", "student", "control")}
    with contextlib.ExitStack() as stack:
        control: Beside | None = None
        if params.control:
            control = stack.enter_context(beside(learn_control, workspace, params, shared, kept["control"]))
        room = _room(workspace, params, shared)
        found = distill(
            load_student(artifact.folder(workspace, "prune")), room, checkpoints=kept.__getitem__,
            reports=lambda what: _checking(control, stack.enter_context(reporting(STAGE, what))),
        )  # fmt: skip
        said = f"dev {room.spec.metric} {found.student.dev_score:.4f}"
        drift = found.drift
        figures = {
            "dev_score": found.student.dev_score, "teacher_dev_before": drift.before, "teacher_dev_after": drift.after,
            "teacher_put_back": float(drift.put_back),
        }  # fmt: skip
        plain = control.result() if control else {"history": []}
    if drift.put_back:
        say(
            STAGE,
            f"joint training was reverted: the teacher fell from {drift.before:.4f} to {drift.after:.4f} on dev, more "
            f"than distill.teacher_drift {params.teacher_drift} allows; lower distill.teacher_learning_rate",
        )
    if params.control:
        figures["control_dev_score"] = plain["dev_score"]
        said += f", plain distillation {plain['dev_score']:.4f}"
    say(STAGE, said)
    with artifact.writing(workspace, STAGE, params=shaped_by, inputs=inputs) as out:
        save_student(found.student.student, out)
        if params.control:
            shutil.copyfile(_scratch(workspace) / WEIGHTS, out / CONTROL)
        artifact.write_json(out / "history.json", found.student.history)
        artifact.write_json(out / "control.json", plain["history"])
        artifact.write_json(out / artifact.METRICS, figures | {"rows": found.rows})
    shutil.rmtree(_scratch(workspace), ignore_errors=True)
    for part in kept.values():
        part.clear()
    return artifact.folder(workspace, STAGE)


def learn_control(workspace: Path, params: DistillParams, shared: Shared, kept: Checkpoint) -> dict[str, Any]:
    """Saves the plainly distilled student in a scratch folder; returns its dev score and history."""
    with contextlib.ExitStack() as stack:
        found = distill_plainly(
            load_student(artifact.folder(workspace, "prune")), _room(workspace, params, shared), checkpoint=kept,
            reports=lambda what: stack.enter_context(reporting(STAGE, f"control: {what}")),
        )  # fmt: skip
    scratch = _scratch(workspace)
    scratch.mkdir(parents=True, exist_ok=True)
    save_student(found.student, scratch)
    return {"dev_score": found.dev_score, "history": found.history}


def _checking(control: Beside | None, report: Report) -> Report:
    """Returns a progress callback that aborts the student's training as soon as the control has failed."""

    def checked(step: int, total: int, **values: float) -> None:
        if control:
            control.check()
        report(step, total, **values)

    return checked


def _scratch(workspace: Path) -> Path:
    return workspace / STATE / "scratch" / "control"


def _room(workspace: Path, params: DistillParams, shared: Shared) -> Room:
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    return Room.of(
        load_student(artifact.folder(workspace, "prune")),
        load_teacher(artifact.folder(workspace, "finetune")),
        spec,
        read_split(ingest, "train", spec),
        read_split(ingest, "dev", spec),
        read_texts(ingest / "unlabelled.parquet"),
        read_held_out(ingest),
        params,
        seed=shared.seed,
        outputs=outputs(workspace, STAGE),
    )
