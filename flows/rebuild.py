"""Rebuilds an earlier bundle from its recorded commit and sources, and compares every digest with the record."""

import contextlib
import os
import posixpath
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eibert import artifact
from eibert.errors import ArtifactError, DataError, RunError
from eibert.trail import Record
from flows import trace
from flows.adapter import ERROR
from flows.worktree import checked_out
from tasks import facts, git, promotions
from tasks.lookup import Found
from tasks.machine import differences

_NOT_LOCAL = ("hf:", "/")
_LEFT_OUT = ("DVC_", "EIBERT_", "MLFLOW_", "PREFECT_")
"""Prefixes of variables that would leak this repository's caches and records into the rebuild."""


@dataclass(frozen=True)
class Rebuilt:
    """The result of a rebuild.

    Attributes:
        record: What was rebuilt.
        stages: Stage → file → its recorded and its new digest; None where the file is missing.
        bundle: The bundle's new digest.
        warnings: How this machine differs from the one that made the record.
        seconds: Duration.
    """

    record: Record
    stages: dict[str, dict[str, tuple[str | None, str | None]]]
    bundle: str
    warnings: list[str]
    seconds: float

    @property
    def same(self) -> bool:
        """Whether the bundle and every file and manifest of every artifact match the record."""
        return self.bundle == self.record.body["bundle"]["sha256"] and not self.differing

    @property
    def differing(self) -> list[str]:
        """Stages with a file that does not match the record."""
        return [stage for stage, files in self.stages.items() if any(one != other for one, other in files.values())]

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        recorded = self.record.body["bundle"]["sha256"]
        return {
            "record": {"sequence": self.record.sequence, "digest": self.record.digest},
            "same": self.same,
            "bundle": {"recorded": recorded, "rebuilt": self.bundle, "same": self.bundle == recorded},
            "stages": {
                stage: {
                    name: {"recorded": before, "rebuilt": after, "same": before == after}
                    for name, (before, after) in files.items()
                }
                for stage, files in self.stages.items()
            },
            "warnings": self.warnings,
            "seconds": round(self.seconds, 1),
        }


def rebuild(folder: Path, target: str) -> Rebuilt:
    """Rebuilds a recorded bundle in a separate checkout, without any cache.

    Args:
        folder: A folder in the repository.
        target: A bundle, a file, or 8 or more digits of a SHA-256.

    Raises:
        TrailError: the trail is altered, or does not know the target.
        RunError: the record cannot be rebuilt from a commit, or a stage failed.
        DataError: a source that the commit does not hold is missing or has changed.
    """
    root, found, _ = trace.find(folder, target)
    record = _chosen(root, found)
    body = record.body
    commit = _commit(root, record)
    started = time.time()
    with checked_out(root, commit, _outside(body)) as place, tempfile.TemporaryDirectory() as private:
        workspace = place / body["folder"]
        _check_sources(workspace, root / body["folder"], body)
        _reproduce(place, workspace, Path(private))
        stages = {stage: _compared(workspace, stage, body["stages"][stage]) for stage in body["order"]}
        bundle = facts.bundle_facts(artifact.read_manifest(workspace, facts.EXPORT))["sha256"]
    return Rebuilt(record, stages, bundle, differences(body), time.time() - started)


def lines(rebuilt: Rebuilt) -> Iterator[str]:
    """Yields the human-readable result of a rebuild."""
    body, record = rebuilt.record.body, rebuilt.record
    commit = body["git"]["commit"][:12]
    yield f"record {record.sequence} of {body['workspace']}, commit {commit}, rebuilt in {rebuilt.seconds:.0f} s"
    yield from (f"warning: {line}" for line in rebuilt.warnings)
    for stage, files in rebuilt.stages.items():
        other = [name for name, (before, after) in files.items() if before != after]
        differing = f"; differ: {', '.join(other)}" if other else ""
        yield f"  {stage:<10}{len(files) - len(other):>3} of {len(files)} files the same{differing}"
    if rebuilt.differing:
        yield f"artifacts: NOT the same: {', '.join(rebuilt.differing)}"
    if rebuilt.bundle == body["bundle"]["sha256"]:
        yield f"bundle: the same, every file, SHA-256 {rebuilt.bundle}"
    else:
        yield f"bundle: NOT the same: recorded {body['bundle']['sha256']}, rebuilt {rebuilt.bundle}"


def _chosen(root: Path, found: Found) -> Record:
    """Returns the newest record of this bundle that was built from a commit, else the one found."""
    bundle = found.record.body["bundle"]["sha256"]
    known = [
        record for record in promotions.builds(promotions.read(root))
        if record.sequence in {found.record.sequence, *found.also} and record.body["bundle"]["sha256"] == bundle
    ]  # fmt: skip
    return next((record for record in reversed(known) if not record.body["git"]["dirty"]), found.record)


def _commit(root: Path, record: Record) -> str:
    found = record.body["git"]
    if found["dirty"]:
        raise RunError(
            f"record {record.sequence} was built with uncommitted changes ({git.told(found)}), so no commit holds "
            "what it was built from; commit them where they still exist, and `eibert run` records the bundle again"
        )
    commit = str(found["commit"])
    if git.answer(root, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        raise RunError(f"record {record.sequence}: commit {commit} is not in {root}; fetch it with git")
    return commit


def _check_sources(checkout: Path, workspace: Path, body: Mapping[str, Any]) -> None:
    """Raises DataError unless the sources are, byte for byte, the recorded ones.

    Args:
        checkout: The workspace as of the recorded commit, with links to the sources which that does not hold.
        workspace: The workspace itself, where these lie.
        body: The record.
    """
    for name, digest in _read_by(body).items():
        path = Path(os.path.normpath(workspace / name))
        if not (checkout / name).is_file():
            raise DataError(f"{path}: missing; the recorded run read a file there with SHA-256 {digest}; restore it")
        if (found := artifact.sha256(checkout / name)) != digest:
            raise DataError(f"{path}: changed (SHA-256 {found[:16]}…, recorded {digest[:16]}…); restore the old file")


def _outside(body: Mapping[str, Any]) -> list[str]:
    """Paths, relative to the root, of what the workspace reads besides its own artifacts: folders before files."""
    sources = [source["source"] for source in body["data"].get("sources") or [] if source["files"]]
    named = [*sources, body["teacher"]["model"], *_read_by(body)]
    return [posixpath.normpath(posixpath.join(body["folder"], name)) for name in named if _is_local(name)]


def _read_by(body: Mapping[str, Any]) -> dict[str, str]:
    """Returns the SHA-256 of each local file that a record's sources and teacher consisted of."""
    named = {name: digest for source in body["data"].get("sources") or [] for name, digest in source["files"].items()}
    teacher = body["teacher"]
    if _is_local(teacher["model"]):
        named |= {posixpath.join(teacher["model"], name): digest for name, digest in teacher["files"].items()}
    return {name: digest for name, digest in named.items() if not name.startswith("hf:")}


def _is_local(name: str) -> bool:
    return name not in {"sample", "bundled", "unknown"} and not name.startswith(_NOT_LOCAL)


def _reproduce(place: Path, workspace: Path, private: Path) -> None:
    """Runs every stage with a fresh cache, so that no earlier result can be restored."""
    (workspace / "dvc.lock").unlink(missing_ok=True)
    (place / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {private / 'cache'}\n")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
    scripts = str(Path(sys.executable).parent)
    environment = inherited | {
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(private / "site"),
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    command = [sys.executable, "-m", "dvc", "repro", "--quiet"]
    process = subprocess.Popen(command, cwd=workspace, env=environment, start_new_session=True)  # noqa: S603
    try:
        status = process.wait()
    except BaseException:
        _end(process)
        raise
    if status:
        raise RunError(f"the rebuild stopped: {_message(workspace) or f'dvc repro ended with status {status}'}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kills a process and its stages: there is nothing to save."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _message(workspace: Path) -> str:
    """The failed stage's error."""
    for log in sorted((workspace / "logs").glob("*.log")):
        _, marker, text = ("\n" + log.read_text(encoding="utf-8", errors="replace")).rpartition(f"\n{ERROR}")
        if marker:
            return text.strip()
    return ""


def _compared(workspace: Path, stage: str, recorded: Mapping[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    """Returns recorded and new digest of each file and of the manifest, which covers parameters, inputs and metrics."""
    path = artifact.folder(workspace, stage) / artifact.MANIFEST
    try:
        files, manifest = artifact.read_manifest(workspace, stage)["files"], artifact.sha256(path)
    except ArtifactError:
        files, manifest = {}, None
    before = recorded["files"]
    names = sorted(before.keys() | files.keys())
    compared = {name: (_digest(before.get(name)), _digest(files.get(name))) for name in names}
    return compared | {artifact.MANIFEST: (recorded["manifest_sha256"], manifest)}


def _digest(entry: Mapping[str, Any] | None) -> str | None:
    return str(entry["sha256"]) if entry else None
