"""Shared by the adapters of training stages: checkpoints outside the artifact, keyed by all that shapes the run."""

import hashlib
import json
from pathlib import Path
from typing import Any

from eibert import artifact
from eibert.checkpoint import Checkpoint
from eibert.outputs import Outputs
from eibert.params.section import Section, Shared

STATE = ".eibert"
"""Folder for disposable files: checkpoints and scratch in a workspace, cached outputs in the repository's root."""


def recorded(stage: str, params: Section, shared: Shared, *, teacher: bool = False) -> dict[str, Any]:
    """Returns the parameters that shaped a stage's result, as the manifest records them."""
    values = {"seed": shared.seed, stage: params.model_dump(mode="json")}
    return values | {"teacher": shared.teacher.model_dump(mode="json")} if teacher else values


def checkpoint(workspace: Path, stage: str, part: str, shaped_by: dict[str, Any], inputs: dict[str, str]) -> Checkpoint:
    """Returns the checkpoint of one part of a stage, valid only for the same parameters, inputs and code."""
    identity = [shaped_by, inputs, _code(workspace, stage)]
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return Checkpoint(workspace / STATE / "checkpoints" / f"{stage}-{part}.safetensors", key)


def outputs(workspace: Path, stage: str) -> Outputs:
    """Returns the cache of a stage's teacher outputs, shared by all workspaces of a repository.

    Entries written by other code or library versions are ignored: they may differ.
    """
    here = workspace.resolve()
    root = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
    return Outputs(root / STATE / "outputs", made_by=_code(workspace, stage) or "")


def _code(workspace: Path, stage: str) -> str | None:
    """Returns the digests of a stage's code and libraries as written by the stage `code`; None if it never ran."""
    path = artifact.folder(workspace, "code") / f"{stage}.json"
    return path.read_text(encoding="utf-8") if path.is_file() else None
