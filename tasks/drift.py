"""The drift check: ingested rows against the reference kept from the data of the version in service. Not a stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eibert import artifact, optimize, profile
from eibert.corpus import Split, TaskSpec, read_spec, read_split
from eibert.drift import Shift, compare
from eibert.params.drift import DriftParams
from eibert.params.section import Shared
from eibert.profile import Judged, Profile, Reference
from eibert.runtime.model import Model
from eibert.teacher_files import WEIGHTS, load_base, locate

_SPLITS = ("train", "dev", "test")
_TOLERATED = 0.9  # quantile of the reference errors that still counts as agreement


@dataclass(frozen=True)
class Look:
    """What the drift check found.

    Attributes:
        shifts: One per distance.
        new_rows: Number of rows that the version in service has not seen.
        compared: `new rows` or `all rows`.
    """

    shifts: Sequence[Shift]
    new_rows: int
    compared: str

    @property
    def drifted(self) -> bool:
        """Whether any distance exceeds its bound."""
        return any(shift.beyond for shift in self.shifts)

    @property
    def stopping(self) -> list[Shift]:
        """The shifts that forbid training."""
        return [shift for shift in self.shifts if shift.stops]

    def to_json(self) -> dict[str, Any]:
        """Returns the findings as JSON values."""
        names = ("name", "value", "bound", "reaction", "beyond", "note")
        listed = [{name: getattr(shift, name) for name in names} for shift in self.shifts]
        return {"new_rows": self.new_rows, "compared": self.compared, "shifts": listed}


def keep(workspace: Path, params: DriftParams, shared: Shared, target: Path) -> None:
    """Writes the reference for later drift checks of a workspace's bundle to `target`.

    Raises:
        ArtifactError: the output of `ingest` or `export` is missing or altered.
    """
    splits, spec, labels = _rows(workspace)
    artifact.verified(workspace, "export")
    model = Model.load(artifact.folder(workspace, "export") / "bundle")
    judged = _judged(model, splits["test"], labels["test"], None)
    digests = np.unique(np.concatenate([profile.digests(splits[name], labels[name]) for name in _SPLITS]))
    made = _measure(splits["train"], spec, workspace, params, shared)
    profile.save(Reference(made, digests, judged), target)


def look(workspace: Path, params: DriftParams, shared: Shared, kept: Path, bundle: Path) -> Look:
    """Returns how far the ingested rows have drifted from those of the version in service.

    Args:
        workspace: Folder of params.yaml; `ingest` is up to date.
        params: Bounds and reactions.
        shared: Seed and teacher.
        kept: The reference that `keep` wrote for that version.
        bundle: The version's bundle.

    Raises:
        ArtifactError: the output of `ingest`, or the reference, is missing or altered.
    """
    reference = profile.load(kept)
    splits, spec, labels = _rows(workspace)
    everything = _joined([splits[name] for name in _SPLITS])
    named = [label for name in _SPLITS for label in labels[name]]
    new = np.flatnonzero(~np.isin(profile.digests(everything, named), reference.digests))
    enough = len(new) >= params.min_rows
    rows = everything.take(new) if enough else splits["train"]
    fresh = (
        _judged(Model.load(bundle), rows, [named[row] for row in new], reference.judged.tolerance) if enough else None
    )
    now = _measure(rows, spec, workspace, params, shared, reference.profile.edges)
    return Look(compare(reference, now, fresh, params), len(new), "new rows" if enough else "all rows")


def _rows(workspace: Path) -> tuple[dict[str, Split], TaskSpec, dict[str, list[Any]]]:
    """The splits, the task, and each row's label as in the source."""
    artifact.verified(workspace, "ingest")
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    splits = {name: read_split(ingest, name, spec) for name in _SPLITS}  # type: ignore[arg-type]
    labels = {name: _labels(split, spec) for name, split in splits.items()}
    return splits, spec, labels


def _labels(split: Split, spec: TaskSpec) -> list[Any]:
    values = split.targets.tolist()
    return values if spec.regression else [spec.labels[value] for value in values]


def _joined(splits: Sequence[Split]) -> Split:
    pairs = splits[0].texts_b is not None
    texts_b = [text for split in splits for text in split.texts_b or []] if pairs else None
    targets = np.concatenate([split.targets for split in splits])
    return Split([text for split in splits for text in split.texts], texts_b, targets)


def _judged(model: Model, rows: Split, labels: Sequence[Any], tolerance: float | None) -> Judged:
    """How well a model agrees with the labels; without a tolerance, the _TOLERATED quantile of the errors is taken."""
    answered = model.logits(rows.inputs)
    if model.bundle.labels:
        found = [model.bundle.labels[index] for index in answered.argmax(axis=1)]
        return Judged(len(rows), sum(one == other for one, other in zip(found, labels, strict=True)))
    errors = np.abs(answered[:, 0].astype(np.float64) - np.asarray(labels, np.float64))
    limit = float(np.quantile(errors, _TOLERATED)) if tolerance is None else tolerance
    return Judged(len(rows), int((errors <= limit).sum()), limit)


def _measure(
    rows: Split,
    spec: TaskSpec,
    workspace: Path,
    params: DriftParams,
    shared: Shared,
    edges: Sequence[float] | None = None,
) -> Profile:
    optimize.prepare(params.threads)
    folder = locate(shared.teacher, workspace)
    return profile.measure(
        rows, spec, load_base(folder, shared.teacher.pooling), sample_rows=params.sample_rows,
        batch_size=params.batch_size, max_tokens=params.max_tokens, seed=shared.seed,
        identity=artifact.sha256(folder / WEIGHTS), edges=edges,
    )  # fmt: skip
