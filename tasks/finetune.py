"""Adapter of `finetune`: data and base teacher → fine-tuned teacher."""

from pathlib import Path

from eibert import artifact
from eibert.corpus import read_spec, read_split
from eibert.errors import DataError
from eibert.finetune import finetune
from eibert.params.finetune import FinetuneParams
from eibert.params.section import Shared
from eibert.teacher_files import digests, load_base, locate, save_teacher
from tasks.adapter import checkpoint, recorded
from tasks.progress import reporting, say
from tasks.verdict import passed

STAGE = "finetune"


def run(workspace: Path, params: FinetuneParams, shared: Shared) -> Path:
    """Writes the artifact `finetune` and returns its folder."""
    inputs = artifact.verified(
        workspace, "ingest/task.json", "ingest/train.parquet", "ingest/dev.parquet", passed(workspace)
    )
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    train, dev = read_split(ingest, "train", spec), read_split(ingest, "dev", spec)
    if not len(train):
        raise DataError(
            f"{ingest / 'train.parquet'}: no training rows left: all of them also occur in dev or test; "
            "provide training rows that do not"
        )
    base = locate(shared.teacher, workspace)
    inputs |= digests(base)
    teacher = load_base(base, shared.teacher.pooling)
    shaped_by = recorded(STAGE, params, shared, teacher=True)
    kept = checkpoint(workspace, STAGE, "teacher", shaped_by, inputs)
    with reporting(STAGE, "teacher") as report:
        found = finetune(teacher, spec, train, dev, params, seed=shared.seed, checkpoint=kept, report=report)
    say(STAGE, f"dev {spec.metric} {found.dev_score:.4f} after {len(found.history)} evaluation(s)")
    with artifact.writing(workspace, STAGE, params=shaped_by, inputs=inputs) as out:
        save_teacher(found.teacher, out)
        artifact.write_json(out / "history.json", found.history)
        artifact.write_json(out / artifact.METRICS, {"dev_score": found.dev_score, "evaluations": len(found.history)})
    kept.clear()
    return artifact.folder(workspace, STAGE)
