"""Adapter of `code`: one file of digests per stage of the workspace's dvc.yaml."""

from pathlib import Path
from typing import Any

import yaml

from eibert import artifact
from eibert.code import CodeReader, project_root
from eibert.errors import RunError


def run(workspace: Path) -> Path:
    """Writes `<stage>.json` for each stage except `code` itself; returns the artifact's folder.

    Raises:
        RunError: dvc.yaml is missing or lists no stages, a stage has no adapter, or a module cannot be parsed.
    """
    digests = current(workspace)
    with artifact.writing(workspace, "code", params={}, inputs={}) as part:
        for stage, found in digests.items():
            artifact.write_json(part / f"{stage}.json", found)
    return artifact.folder(workspace, "code")


def current(workspace: Path) -> dict[str, dict[str, Any]]:
    """Returns the digests of each stage for the current code.

    Raises:
        RunError: as in `run`.
    """
    reader = CodeReader(project_root())
    return {stage: reader.digests(stage) for stage in _stages(workspace / "dvc.yaml") if stage != "code"}


def _stages(path: Path) -> list[str]:
    try:
        return list(yaml.safe_load(path.read_text(encoding="utf-8"))["stages"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise RunError(f"{path}: cannot read its stages ({error}); create a workspace with `eibert new`") from error
