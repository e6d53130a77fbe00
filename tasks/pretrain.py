"""Adapter of `pretrain`: plain text and base teacher → student with the teacher's full vocabulary."""

from pathlib import Path

from eibert import artifact
from eibert.corpus import read_pretraining
from eibert.params.pretrain import PretrainParams
from eibert.params.section import Shared
from eibert.pretrain import pretrain
from eibert.student import save_student
from eibert.teacher_files import digests, load_base, locate
from tasks.adapter import checkpoint, outputs, recorded
from tasks.progress import reporting, say
from tasks.verdict import passed

STAGE = "pretrain"


def run(workspace: Path, params: PretrainParams, shared: Shared) -> Path:
    """Writes the artifact `pretrain` and returns its folder."""
    inputs = artifact.verified(workspace, "ingest/pretraining.parquet", passed(workspace))
    corpus = read_pretraining(artifact.folder(workspace, "ingest"))
    base = locate(shared.teacher, workspace)
    inputs |= digests(base)
    teacher = load_base(base, shared.teacher.pooling)
    shaped_by = recorded(STAGE, params, shared, teacher=True)
    kept = checkpoint(workspace, STAGE, "student", shaped_by, inputs)
    with reporting(STAGE, "teacher reads") as read, reporting(STAGE, "student") as report:
        found = pretrain(
            teacher, corpus, params, seed=shared.seed, outputs=outputs(workspace, STAGE),
            checkpoint=kept, read=read, report=report,
        )  # fmt: skip
    last = found.history[-1]
    if params.inherit_tokens and found.inherited is None:
        say(STAGE, "random initialization: the teacher is not BERT-like, or is narrower than the student")
    first = f"{found.inherited['sentence']:.3f} → " if found.inherited else ""
    say(
        STAGE,
        f"{found.texts} texts, {found.variants} of them variants; sentence distance {first}{last['sentence']:.3f}",
    )
    with artifact.writing(workspace, STAGE, params=shaped_by, inputs=inputs) as out:
        save_student(found.student, out)
        artifact.write_json(out / "history.json", found.history)
        figures = {
            "texts": found.texts,
            "variants": found.variants,
            "token": last["token"],
            "sentence": last["sentence"],
        }
        if found.inherited:
            figures |= {f"inherited_{name}": value for name, value in found.inherited.items()}
        artifact.write_json(out / artifact.METRICS, figures)
    kept.clear()
    return artifact.folder(workspace, STAGE)
