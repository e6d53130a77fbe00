"""The judge: champion and challenger answer the same test rows, and every gate is re-evaluated.

The parts that need the champion's answers are in `tasks/comparison.py`.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from eibert import artifact
from eibert import judge as measures
from eibert.corpus import read_spec, read_split
from eibert.errors import ArtifactError
from eibert.evaluate.conclusion import BUNDLE
from eibert.judge import Gate, Verdict
from eibert.matching import HeldOut
from eibert.params.judge import JudgeParams
from eibert.params.section import Shared
from eibert.runtime.model import Model
from eibert.scores import agreement, predicted
from eibert.trail import Record
from tasks import facts, keys, packing, promotions, signature
from tasks.comparison import Challenger, Champion, against
from tasks.lookup import Found


def judge(workspace: Path, champion: Champion | None, params: JudgeParams, shared: Shared, *, root: Path) -> Verdict:
    """Returns the verdict of all gates on the bundle in a workspace.

    Args:
        workspace: Folder of params.yaml.
        champion: The version in service; None: there is none, and gates that need one are not applicable.
        params: Section `judge`.
        shared: Provides the seed of the bootstrap.
        root: Folder of the repository, which holds the trail.

    Raises:
        ArtifactError: the bundle or its evaluation is missing, altered or not up to date.
        BundleError: the bundle cannot be loaded.
    """
    inputs = artifact.verified(workspace, "evaluate", "export", "ingest")
    exported, evaluated = (artifact.read_manifest(workspace, stage) for stage in ("export", "evaluate"))
    for stage in ("ingest", "export"):
        if evaluated["inputs"].get(stage) != inputs[stage]:
            raise ArtifactError(
                f"{artifact.folder(workspace, 'evaluate')}: based on another {stage}; run `eibert run` before promoting"
            )
    bundle = facts.bundle_folder(workspace)
    record, recorded = _trail(root, workspace, bundle)
    challenger = _challenger(workspace, bundle)
    compared, figures = against(challenger, champion, params, shared.seed)
    own = (
        recorded,
        _signature(root, bundle, record),
        _bytes(bundle, exported["metrics"]["budget_bytes"]),
        _agreement(workspace, challenger, params),
        measures.rivals(evaluated["metrics"]["differences"], params),
    )
    return Verdict((*own, *compared), champion.number if champion else None, figures=figures)


def taught(workspace: Path) -> HeldOut:
    """Returns the labelled rows that a workspace's bundle was trained on or selected by: train and dev."""
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    splits = [read_split(ingest, name, spec) for name in ("train", "dev")]
    return HeldOut.of(row for split in splits for row in split.pairs)


def build_of(root: Path, workspace: Path, bundle: Path) -> Record | None:
    """Returns the record of a workspace's bundle, preferably the one its papers name; None: there is none.

    Raises:
        TrailError: records are altered or missing.
        SignatureError: the trail's head is invalid.
    """
    digest = packing.digest(bundle)
    folder = promotions.place(root, workspace)
    known = [
        record
        for record in reversed(promotions.builds(promotions.read(root)))
        if record.body["folder"] == folder and record.body["bundle"]["sha256"] == digest
    ]
    sound = (record for record in known if _signed(root, bundle, record).state == "sound")
    return next(sound, known[0] if known else None)


def _challenger(workspace: Path, bundle: Path) -> Challenger:
    ingest = artifact.folder(workspace, "ingest")
    spec, model = read_spec(ingest), Model.load(bundle)
    test = read_split(ingest, "test", spec)
    return Challenger(model, spec, test, taught(workspace), model.logits(test.inputs))


def _trail(root: Path, workspace: Path, bundle: Path) -> tuple[Record | None, Gate]:
    problems = keys.check_trail(root)
    if problems:
        return None, Gate("trail", None, None, passed=False, note=problems[0])
    record = build_of(root, workspace, bundle)
    if record is None:
        return None, Gate("trail", None, None, passed=False, note="no record of this bundle; `eibert run` writes one")
    dirty = ", built with uncommitted changes" if record.body["git"]["dirty"] else ""
    return record, Gate("trail", None, None, passed=True, note=f"sound; record {record.sequence} covers it{dirty}")


def _signature(root: Path, bundle: Path, record: Record | None) -> Gate:
    if record is None:
        return Gate("signature", None, None, passed=None, note="no trail record to check it against")
    found = _signed(root, bundle, record)
    return Gate("signature", None, None, found.state == "sound", f"{found.state}: {found.detail}")


def _signed(root: Path, bundle: Path, record: Record) -> signature.Signature:
    return signature.of_bundle(root, Found(record, BUNDLE, record.body["bundle"]["sha256"], (), bundle))


def _bytes(bundle: Path, budget: int) -> Gate:
    size = sum(path.stat().st_size for path in bundle.iterdir())
    return Gate("bytes", size, budget, size <= budget, f"{size:,} of {budget:,}")


def _agreement(workspace: Path, challenger: Challenger, params: JudgeParams) -> Gate:
    """Whether the quantized bundle agrees with the student before quantization on all test rows."""
    spec, logits = challenger.spec, challenger.logits
    said = pq.read_table(artifact.folder(workspace, "evaluate") / "predictions.parquet", columns=["student"])
    student = np.array(said.column("student").to_pylist())
    if spec.regression:
        share = agreement(student[:, None].astype(np.float32), logits, regression=True)
    else:
        share = float(np.mean(student == np.array(spec.labels)[predicted(logits, regression=False)]))
    note = f"{share:.2%} of {len(logits):,} test rows have the same answer as before quantization"
    return Gate("agreement", share, params.min_agreement, share >= params.min_agreement, note, at_least=True)
