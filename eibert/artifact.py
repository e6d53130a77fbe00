"""One folder per stage: complete, described by its manifest, verified before use.

Knows nothing of the clock, the host or absolute paths: equal inputs give an equal manifest.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeGuard

from eibert import atomic
from eibert.errors import CorruptArtifactError, MissingArtifactError
from eibert.redact import redacted

MANIFEST = "manifest.json"
METRICS = "metrics.json"
DATA = "data"
_BLOCK_BYTES = 1 << 20


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: Path, value: object) -> None:
    """Atomically writes a value as JSON with sorted keys, so that equal values give equal bytes."""
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"
    atomic.write(path, text.encode())


def read_json(path: Path) -> Any:
    """Returns the value of a JSON file.

    Raises:
        MissingArtifactError: the file does not exist.
        CorruptArtifactError: the file is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingArtifactError(f"{path}: missing; run `eibert run` to build it") from error
    except ValueError as error:
        raise CorruptArtifactError(f"{path}: not valid JSON ({error}); delete it and run `eibert run`") from error


def folder(workspace: Path, stage: str) -> Path:
    """Returns the folder of a stage's artifact."""
    return workspace / DATA / stage


@contextmanager
def writing(workspace: Path, stage: str, *, params: Mapping[str, Any], inputs: Mapping[str, str]) -> Iterator[Path]:
    """Yields an empty folder; on success adds a manifest and replaces the stage's artifact with it.

    A metrics.json written by the stage is copied into the manifest. On an error the folder is removed and the earlier
    artifact stays as it was.

    Args:
        workspace: Folder of params.yaml.
        stage: The stage that writes.
        params: What the result depends on: the seed, the section, and any shared section used, as JSON values.
        inputs: SHA-256 of each input by name, as `verified` returns them.
    """
    with atomic.folder(folder(workspace, stage)) as part:
        yield part
        files = {
            path.relative_to(part).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in sorted(part.rglob("*"))
            if path.is_file()
        }
        metrics = read_json(part / METRICS) if (part / METRICS).exists() else {}
        manifest = {
            "format": 1, "stage": stage, "params": redacted(params), "inputs": redacted(inputs), "metrics": metrics,
            "files": files,
        }  # fmt: skip
        write_json(part / MANIFEST, manifest)


def read_manifest(workspace: Path, stage: str) -> dict[str, Any]:
    """Returns the manifest of a stage's artifact.

    Raises:
        MissingArtifactError: the stage has not run.
        CorruptArtifactError: the file is not a manifest.
    """
    path = folder(workspace, stage) / MANIFEST
    if not path.is_file():
        raise MissingArtifactError(f"{path}: missing; run `eibert run --until {stage}`")
    manifest = read_json(path)
    if not _is_manifest(manifest):
        raise CorruptArtifactError(f"{path}: not a manifest; run `eibert run --only {stage} --force`")
    return manifest


def is_artifact(target: Path) -> bool:
    """Returns whether a folder has the manifest of an artifact; other programs also name files so."""
    with suppress(CorruptArtifactError):
        return (target / MANIFEST).is_file() and _is_manifest(read_json(target / MANIFEST))
    return False


def _is_manifest(found: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(found, dict) and {"stage", "params", "inputs", "files"} <= found.keys()


def problems(workspace: Path, stage: str) -> list[str]:
    """Returns one line for each file of an artifact that is missing, altered or not in its manifest; [] if intact."""
    target = folder(workspace, stage)
    found = [_problem(target, name, entry, stage) for name, entry in read_manifest(workspace, stage)["files"].items()]
    known = {*read_manifest(workspace, stage)["files"], MANIFEST}
    extra = [p for p in sorted(target.rglob("*")) if p.is_file() and p.relative_to(target).as_posix() not in known]
    return [line for line in found if line] + [f"{path}: not in the manifest of {stage}" for path in extra]


def verified(workspace: Path, *names: str) -> dict[str, str]:
    """Returns the SHA-256 of each named input after checking it against its artifact's manifest.

    Args:
        workspace: Folder of params.yaml.
        names: `stage/file` for one file, or `stage` for a whole artifact, whose digest is that of its manifest.

    Raises:
        MissingArtifactError: the artifact or the file is missing.
        CorruptArtifactError: a file differs from the manifest.
    """
    digests = {}
    for name in names:
        stage, _, file = name.partition("/")
        target = folder(workspace, stage)
        files = read_manifest(workspace, stage)["files"]
        if file and file not in files:
            raise MissingArtifactError(f"{target / file}: not in its manifest; run `eibert run --only {stage} --force`")
        for checked in [file] if file else files:
            if problem := _problem(target, checked, files[checked], stage):
                path_is_gone = not (target / checked).is_file()
                raise (MissingArtifactError if path_is_gone else CorruptArtifactError)(problem)
        digests[name] = files[file]["sha256"] if file else sha256(target / MANIFEST)
    return digests


def _problem(target: Path, name: str, entry: Mapping[str, Any], stage: str) -> str | None:
    path = target / name
    if not path.is_file():
        return f"{path}: missing; run `eibert run` to restore or rebuild the output of {stage}"
    if (found := sha256(path)) != entry["sha256"]:
        return (
            f"{path}: altered (SHA-256 {found[:12]}…, manifest {entry['sha256'][:12]}…); "
            f"run `eibert run` to restore or rebuild the output of {stage}"
        )
    return None
