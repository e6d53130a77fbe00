"""Notes on runs for MLflow: written from finished artifacts and kept until delivered."""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eibert import artifact, atomic
from eibert.errors import ArtifactError
from eibert.redact import redacted
from tasks import git

PENDING = ".eibert/pending"
_SPLITS = ("train", "dev", "test", "unlabelled", "pretraining")


def publish_metrics(workspace: Path, stages: Iterable[str]) -> None:
    """Copies each stage's metrics.json to metrics/<stage>.json, which is tracked by git; skips unchanged files."""
    for stage in stages:
        source = artifact.folder(workspace, stage) / artifact.METRICS
        target = workspace / "metrics" / f"{stage}.json"
        if source.is_file() and not (target.is_file() and target.read_bytes() == source.read_bytes()):
            target.parent.mkdir(exist_ok=True)
            atomic.write(target, source.read_bytes())


def write(workspace: Path, name: str, outcomes: Mapping[str, Mapping[str, Any]], *, started: float) -> Path:
    """Writes the note of one run and returns its path.

    Args:
        workspace: Folder of params.yaml.
        name: Name of the workspace and of its experiment.
        outcomes: Stage → `state`, `started`, `seconds`, `reasons`, `error`.
        started: Start of the run, Unix time in seconds.
    """
    stages = {stage: {**outcome, **_described(workspace, stage, outcome)} for stage, outcome in outcomes.items()}
    note = {"workspace": name, "started": started, "ended": time.time(), "stages": stages, "tags": _git(workspace)}
    path = workspace / PENDING / f"{time.time_ns()}-{os.getpid()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    artifact.write_json(path, redacted(note, os.environ))
    return path


def _described(workspace: Path, stage: str, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a finished artifact; none for a failed stage, whose folder may hold an earlier run's artifact."""
    if outcome["error"] or outcome["state"] == "NotRun":
        return {}
    folder = artifact.folder(workspace, stage)
    try:
        manifest = artifact.read_manifest(workspace, stage)
        history = artifact.read_json(folder / "history.json") if (folder / "history.json").is_file() else []
    except ArtifactError:
        return {}
    files = manifest["files"]
    found = {
        "digest": artifact.sha256(folder / artifact.MANIFEST),
        "params": flat(manifest["params"]),
        "metrics": numbers(manifest.get("metrics", {})),
        "history": [numbers(row) for row in history if isinstance(row, dict)] if isinstance(history, list) else [],
        "bytes": sum(entry["bytes"] for entry in files.values()),
    }
    splits = {name: files[f"{name}.parquet"]["sha256"] for name in _SPLITS if f"{name}.parquet" in files}
    return found | ({"datasets": splits} if stage == "ingest" else {})


def flat(values: Any, key: str = "") -> dict[str, Any]:
    """Flattens nested mappings into one with dotted keys; lists stay values."""
    if not isinstance(values, Mapping):
        return {key: values}
    inner = (flat(value, f"{key}.{name}" if key else str(name)) for name, value in values.items())
    return {name: value for part in inner for name, value in part.items()}


def numbers(values: Any) -> dict[str, float]:
    """Returns the numbers among nested values under dotted keys; booleans count as 1 and 0."""
    return {name: float(value) for name, value in flat(values).items() if isinstance(value, int | float)}


def _git(workspace: Path) -> dict[str, str]:
    """Commit and whether the working tree differs from it; {} outside git."""
    commit = git.answer(workspace, "rev-parse", "HEAD")
    changes = git.answer(workspace, "status", "--porcelain", "--untracked-files=no")
    if not commit or changes is None:
        return {}
    return {"mlflow.source.git.commit": commit, "git.dirty": "true" if changes else "false"}
