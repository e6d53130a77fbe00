"""Workspace checks: artifacts match their manifests, manifests match those upstream, all match dvc.lock."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from eibert import artifact
from eibert.errors import ArtifactError
from flows.cache import folder_digest
from flows.findings import Finding, Unchecked
from flows.healing import LOCK_FILE, torn_lock_file
from flows.workspace import GRAPH, Workspace, path_of

_DATA = f"{artifact.DATA}/"
_AGAIN = "run `eibert run`, which restores or rebuilds it"


def check_artifacts(workspace: Workspace) -> Iterator[Finding]:
    """Yields each artifact file that is missing, altered, a link, or not in the manifest."""
    for stage in _built(workspace):
        folder = artifact.folder(workspace.folder, stage)
        for path in sorted(folder.rglob("*")):
            if path.is_symlink():
                yield Finding(str(path), "a link, expected the file itself", f"delete it and {_AGAIN}")
        try:
            lines = artifact.problems(workspace.folder, stage)
        except ArtifactError as error:
            lines = [str(error)]
        for line in lines:
            place, _, rest = line.partition(": ")
            yield Finding(place, rest.partition("; ")[0], _AGAIN)


def check_presence(workspace: Workspace) -> Iterator[Unchecked]:
    """Yields what dvc.lock records but is not built here, or that nothing is built."""
    built, lock = set(_built(workspace)), workspace.folder / LOCK_FILE
    recorded = {} if torn_lock_file(lock) else _outputs(lock)
    absent = [Path(path).name for path in recorded if Path(path).name not in built]
    if absent:
        yield Unchecked(
            str(lock), f"{', '.join(absent)} recorded there but missing here; `eibert run` restores or rebuilds"
        )
    elif not built:
        yield Unchecked(str(workspace.folder), "nothing is built here yet; run `eibert run`")


def check_inputs(workspace: Workspace) -> Iterator[Finding]:
    """Yields each input in a manifest that differs from what is now upstream."""
    manifests = {stage: _manifest(workspace, stage) for stage in _built(workspace)}
    deps = _deps(workspace)
    for stage, manifest in manifests.items():
        for name, digest in (manifest or {}).get("inputs", {}).items():
            source, _, file = name.partition("/")
            upstream = manifests.get(source)
            if upstream is None or not any(f"{name}/".startswith(f"{dep}/") for dep in deps.get(stage, ())):
                continue  # a file outside the pipeline, or an artifact another check reports
            found = upstream["files"].get(file, {}).get("sha256") if file else _digest(workspace, source)
            if found != digest:
                place = str(artifact.folder(workspace.folder, stage) / artifact.MANIFEST)
                yield Finding(place, f"was built from a different {name} (SHA-256 {digest[:12]}…)", "run `eibert run`")


def check_lock_file(workspace: Workspace) -> Iterator[Finding]:
    """Yields each artifact that is not the one in dvc.lock; reads every byte."""
    path = workspace.folder / LOCK_FILE
    if torn_lock_file(path):
        yield Finding(str(path), "not readable", _AGAIN)
        return
    recorded = _outputs(path)
    for stage in _built(workspace):
        folder = artifact.folder(workspace.folder, stage)
        expected = recorded.get(f"{artifact.DATA}/{stage}")
        if expected is None:
            yield Finding(str(folder), f"{LOCK_FILE} does not record it", "run `eibert run`")
        elif folder_digest(folder) != expected:
            yield Finding(str(folder), f"not what {LOCK_FILE} records", _AGAIN)


def _built(workspace: Workspace) -> list[str]:
    return [stage for stage in _stages(workspace) if artifact.folder(workspace.folder, stage).is_dir()]


def _deps(workspace: Workspace) -> dict[str, list[str]]:
    """Returns the artifacts, and the files in them, that each stage depends on, named as in manifests."""
    found = {}
    for stage, described in _stages(workspace).items():
        listed = described.get("deps") or [] if isinstance(described, Mapping) else []
        paths = [path_of(dep) for dep in listed]
        found[stage] = [path.removeprefix(_DATA) for path in paths if path.startswith(_DATA)]
    return found


def _stages(workspace: Workspace) -> Mapping[str, Any]:
    try:
        return dict(yaml.safe_load((workspace.folder / GRAPH).read_text(encoding="utf-8"))["stages"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return {}


def _manifest(workspace: Workspace, stage: str) -> dict[str, Any] | None:
    try:
        return artifact.read_manifest(workspace.folder, stage)
    except ArtifactError:
        return None


def _digest(workspace: Workspace, stage: str) -> str:
    return artifact.sha256(artifact.folder(workspace.folder, stage) / artifact.MANIFEST)


def _outputs(path: Path) -> Mapping[str, str]:
    if not path.is_file():
        return {}
    stages = yaml.safe_load(path.read_text(encoding="utf-8")).get("stages", {})
    return {out["path"]: out.get("md5", "") for stage in stages.values() for out in stage.get("outs", [])}
