"""What adapters of stages that train have in common: checkpoints outside the artifact, keyed by what shapes the run."""

import hashlib
import json
from pathlib import Path
from typing import Any

from eibert import artifact
from eibert.checkpoint import Checkpoint
from eibert.outputs import Outputs
from eibert.params.section import Section, Shared

STATE = ".eibert"
"""Folder of a workspace for what may be lost: checkpoints and scratch files; the repository's own holds outputs."""


def recorded(stage: str, params: Section, shared: Shared, *, teacher: bool = False) -> dict[str, Any]:
    """Returns what shaped a stage's result, as the manifest records it."""
    values = {"seed": shared.seed, stage: params.model_dump(mode="json")}
    return values | {"teacher": shared.teacher.model_dump(mode="json")} if teacher else values


def checkpoint(workspace: Path, stage: str, part: str, shaped_by: dict[str, Any], inputs: dict[str, str]) -> Checkpoint:
    """Returns the checkpoint of a part of a stage; other parameters, inputs or code make it another run."""
    identity = [shaped_by, inputs, _code(workspace, stage)]
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return Checkpoint(workspace / STATE / "checkpoints" / f"{stage}-{part}.safetensors", key)


def outputs(workspace: Path, stage: str) -> Outputs:
    """Returns where teachers' outputs of a stage are kept: one place for all workspaces of a repository.

    What a stage of other code or other libraries left there is not found: it may have read otherwise.
    """
    here = workspace.resolve()
    root = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
    return Outputs(root / STATE / "outputs", made_by=_code(workspace, stage) or "")


def _code(workspace: Path, stage: str) -> str | None:
    """Returns the digests of a stage's code and libraries, as the stage `code` wrote them; None where it never ran."""
    path = artifact.folder(workspace, "code") / f"{stage}.json"
    return path.read_text(encoding="utf-8") if path.is_file() else None
