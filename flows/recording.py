"""The end of a run: an up-to-date bundle gets its trail record, its signature and its papers.

A failure here loses no training, but a bundle without a record is not a success; the next run tries again.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from eibert import artifact, trail
from eibert.errors import ArtifactError
from flows.failure import Failure, failure
from flows.steady import CODE, outside
from flows.workspace import GRAPH, Workspace

if TYPE_CHECKING:
    from eibert.trail import Record
    from flows.graph import Graph

_SIGNED = "signed.json"
_GOOD = {"Completed", "Restored", "Cached"}


def settled(graph: "Graph", states: Mapping[str, str], stale: Collection[str]) -> dict[str, str]:
    """Returns how each stage that is up to date after a run got there: `Completed`, `Restored` or `Cached`.

    Args:
        graph: The stage graph.
        states: Chosen stage → its state after the run.
        stale: Stages that were not up to date before the run.
    """
    found: dict[str, str] = {}
    for stage in graph.stages:
        upstream = graph.upstream[stage]
        # A new result of `code` need not concern this stage; if it does, the stage is stale.
        moved = {name for name in upstream - {CODE} if found.get(name) == "Completed"}
        good = states[stage] in _GOOD if stage in states else stage not in stale and not moved
        if good and upstream <= found.keys():
            found[stage] = states.get(stage, "Cached")
    return found


def record(workspace: Workspace, states: Mapping[str, str], note: Path | None) -> "Record | Failure | None":
    """Records and signs what was built, unless that has been done.

    Args:
        workspace: Where.
        states: Stage that is up to date → how the run left it.
        note: The run's note for MLflow, delivered or not; None if nothing was run.

    Returns:
        The bundle's record; what went wrong; or None if there is no bundle to record.
    """
    from tasks.facts import EXPORT

    if EXPORT not in states:
        return None
    try:
        found = _recorded(workspace, states, note)
        _sign(workspace, found)
    except Exception as error:  # noqa: BLE001 — whatever goes wrong here, the trained work stands
        trouble = failure(error)
        reason = " ".join(trouble.text.split())
        again = "the next `eibert run` does both without training"
        return replace(trouble, text=f"the bundle is built, but recording or signing it failed: {reason}; {again}")
    return found


def _recorded(workspace: Workspace, states: Mapping[str, str], note: Path | None) -> "Record":
    from flows.stage import code_is_current
    from tasks.record import Built, keep

    graph = yaml.safe_load((workspace.folder / GRAPH).read_text(encoding="utf-8"))
    deps = [dep for stage in graph["stages"] for dep in outside(workspace.folder, stage)]

    def by_this_code() -> bool:
        return CODE not in states or code_is_current(workspace)

    built = Built(workspace.folder, workspace.root, workspace.name, states, deps, by_this_code)
    return keep(built, lambda: _mlflow(workspace, note))


def _mlflow(workspace: Workspace, note: Path | None) -> dict[str, Any]:
    """How MLflow knows the run: by its note's name, and its id once the note is delivered."""
    if note is None:
        return {"note": None, "run": None}
    if note.is_file():
        return {"note": note.stem, "run": None}
    from tasks import tracking

    return {"note": note.stem, "run": tracking.run_of(workspace.root, workspace.name, note.stem)}


def _sign(workspace: Workspace, record: "Record") -> None:
    from tasks import signing
    from tasks.facts import bundle_folder

    target = artifact.folder(workspace.folder, signing.PAPERS)
    about = {"record": record.digest, "bundle": record.body["bundle"]["sha256"]}
    path = workspace.private() / _SIGNED
    if _known(path) == about | {"files": _digests(target)}:
        return
    from tasks import bom, keys, provenance

    text = bom.bill(record)
    entry = {"name": signing.BOM, "sha256": trail.sha256(text.encode())}
    key = keys.private_key(workspace.root)
    signing.sign(bundle_folder(workspace.folder), target, key, text, provenance.statement(record, entry))
    artifact.write_json(path, about | {"files": _digests(target)})


def _known(path: Path) -> Any:
    try:
        return artifact.read_json(path)
    except ArtifactError:
        return None


def _digests(folder: Path) -> dict[str, str]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: artifact.sha256(path) for path in paths if path.is_file()}
