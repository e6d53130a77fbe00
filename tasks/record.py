"""Records a built bundle in the trail, from its finished artifacts, git and this machine."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eibert import artifact, trail
from eibert.errors import ArtifactError
from eibert.redact import redacted
from eibert.trail import Record
from tasks import facts, git, keys, promotions
from tasks.machine import libraries, machine

FORMAT = 1


@dataclass(frozen=True)
class Built:
    """What was built, and where.

    Attributes:
        workspace: Folder of params.yaml.
        root: Folder of the repository.
        name: Name of the workspace.
        states: Up-to-date stage → its state after the run: Completed, Restored or Cached.
        deps: Dependencies in dvc.yaml that no stage writes.
        by_this_code: Returns whether it was built by the current code.
    """

    workspace: Path
    root: Path
    name: str
    states: Mapping[str, str]
    deps: Sequence[str]
    by_this_code: Callable[[], bool]


def keep(built: Built, mlflow: Callable[[], Mapping[str, Any]]) -> Record:
    """Returns the record of a build: the existing one of the same state, else a new one appended to the trail.

    Args:
        built: What was built; `export` is among its stages.
        mlflow: Returns the run's identity in MLflow; called only if there is something new to record.

    Raises:
        ArtifactError: the bundle is missing or does not match its manifest.
        TrailError: the trail is altered.
        SignatureError: the trail's head or the key cannot be used.
        RunError: the workspace's folder would be redacted in the record.
    """
    if found := artifact.problems(built.workspace, facts.EXPORT):
        raise ArtifactError(found[0])
    manifests = {stage: artifact.read_manifest(built.workspace, stage) for stage in built.states}
    bundle = facts.bundle_facts(manifests[facts.EXPORT])
    digests = {
        stage: artifact.sha256(artifact.folder(built.workspace, stage) / artifact.MANIFEST) for stage in manifests
    }
    place = promotions.place(built.root, built.workspace)
    state = _state(place, digests, bundle["sha256"])
    folder, lock = built.root / keys.TRAIL, built.root / keys.PRIVATE / "trail.lock"
    records = trail.mend(folder, unseal=keys.head_opener(folder), lock=lock)
    earlier = [record for record in promotions.builds(records) if record.body["folder"] == place]
    same = [record for record in earlier if record.body["state"] == state]
    if clean := next((record for record in same if not record.body["git"]["dirty"]), None):
        return clean
    commit = git.state(built.root, _shaping(built))
    if not commit["dirty"] and not built.by_this_code():  # committed in the meantime
        commit = {"commit": commit["commit"], "dirty": True}
    if known := next((record for record in same if record.body["git"] == commit), None):
        return known
    body = {
        "format": FORMAT,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": git.identity(built.root),
        "workspace": built.name,
        "folder": place,
        "parent": {"sequence": earlier[-1].sequence, "digest": earlier[-1].digest} if earlier else None,
        "state": state,
        "git": commit,
        "machine": machine(),
        "libraries": libraries(built.workspace),
        "order": list(manifests),
        "stages": {name: _stage(manifests[name], digests[name], built.states[name]) for name in manifests},
        "data": facts.data_facts(built.workspace, manifests),
        "teacher": facts.teacher_facts(built.workspace, manifests),
        "mlflow": dict(mlflow()),
        "metrics": manifests.get("evaluate", {}).get("metrics", {}),
        "gates": facts.gates(manifests),
        "bundle": bundle,
    }
    key = keys.private_key(built.root)
    return trail.append(
        folder,
        redacted(body, os.environ),
        seal=lambda line: keys.seal_head(line, key),
        unseal=keys.head_opener(folder),
        lock=lock,
    )


def _state(folder: str, manifests: Mapping[str, str], bundle: str) -> str:
    return trail.sha256(trail.canonical({"bundle": bundle, "manifests": dict(manifests), "folder": folder}))


def _stage(manifest: Mapping[str, Any], digest: str, state: str) -> dict[str, Any]:
    kept = {key: manifest[key] for key in ("params", "inputs", "files")}
    return {"state": state, "manifest_sha256": digest, **kept}


def _shaping(built: Built) -> list[str]:
    """Paths, relative to the root, of what shapes the bundle: the workspace's two files and what its stages read.

    Dependencies outside the repository are left out: they are identified by their digests.
    """
    names = ["params.yaml", "dvc.yaml", *built.deps]
    paths = {os.path.relpath(built.workspace / name, built.root) for name in names}
    return sorted(path for path in paths if not path.startswith(os.pardir))
