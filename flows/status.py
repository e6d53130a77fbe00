"""Why each stage would run: the file, key, definition or library that changed since it was built."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency

from eibert import artifact
from eibert.errors import ArtifactError
from flows.changes import code_changes, params_changes
from flows.graph import Graph, collect, collect_all, opened
from flows.healing import reading
from flows.rows import files_changed, listed, source_changes
from flows.stage import recorded_code
from flows.steady import CODE, outside
from flows.workspace import Workspace
from tasks import code

NEVER = "never run"


@dataclass(frozen=True)
class Cause:
    """One reason for a stage to run.

    Attributes:
        text: The reason in one line.
        restores: Whether only an output is missing or altered, so that the same result comes back.
    """

    text: str
    restores: bool = False


def causes(workspace: Workspace, graph: Graph) -> dict[str, list[Cause]]:
    """Returns why each stage would run, in order; [] if it is up to date. Changes nothing.

    Raises:
        RunError: the code of a stage cannot be read, or dvc.lock is torn.
    """
    current = code.current(workspace.folder) if CODE in graph.stages else {}
    found: dict[str, list[Cause]] = {}
    with opened(workspace) as repo, reading(repo, workspace.folder):
        stages = collect_all(repo, workspace)
        for stage in graph.stages:
            mending = [name for name in graph.ancestors(stage) if found[name] and all(c.restores for c in found[name])]
            own = _own(repo, workspace, stages[stage], current, mending)
            waiting = [
                Cause(f"upstream {name} would run")
                for name in graph.stages
                if name in graph.upstream[stage] and name != CODE and not all(c.restores for c in found[name])
            ]
            found[stage] = own + ([] if any(cause.text == NEVER for cause in own) else waiting)
    return found


def own_causes(workspace: Workspace, stage: str) -> list[str]:
    """Returns why one stage would run, its upstream stages being up to date."""
    with opened(workspace) as repo, reading(repo, workspace.folder):
        found = collect(repo, workspace, stage)
        current = code.current(workspace.folder) if stage == CODE else recorded_code(workspace)
        return [cause.text for cause in _own(repo, workspace, found, current)]


def _own(
    repo: Any, workspace: Workspace, stage: Any, current: Mapping[str, Any], mending: Collection[str] = ()
) -> list[Cause]:
    if not any(out.hash_info for out in stage.outs):
        return [Cause(NEVER)]
    lines = ["command changed"] if stage.changed_stage() else []
    if stage.name == CODE:
        lines += _code_lines(workspace, stage, current)
    else:
        for dep in stage.deps:
            if _stage_of(dep.def_path) not in mending:  # restored, it will be what was read before
                lines += _dep_lines(repo, workspace, stage.name, dep, current)
    return [Cause(line) for line in lines] + [Cause(line, restores=True) for line in _out_lines(workspace, stage)]


def _dep_lines(repo: Any, workspace: Workspace, stage: str, dep: Any, current: Mapping[str, Any]) -> list[str]:
    if isinstance(dep, ParamsDependency):
        return params_changes(dep.hash_info.value or {}, dep.read_params())
    if dep.def_path == f"{artifact.DATA}/{CODE}/{stage}.json" and stage in current:
        before = _recorded(repo, workspace.folder / dep.def_path, dep)
        if before is None:
            return ["code changed"] if dep.status() else []
        return code_changes(before, current[stage])
    if not dep.hash_info:
        return [f"data {dep.def_path} is a new dependency"]
    found = next(iter(dep.status().values()), None)
    if found is None:
        return []
    if dep.def_path in outside(workspace.folder, stage):
        return _source_lines(workspace, dep.def_path, missing=found == "deleted")
    # A deleted output of a stage is restored before it is needed.
    return [] if found == "deleted" else _artifact_lines(repo, workspace, dep)


def _source_lines(workspace: Workspace, path: str, *, missing: bool) -> list[str]:
    if missing:
        return [f"data {path} missing"]
    rows = source_changes(workspace, [path])
    return [f"{', '.join(rows)} ({path})" if rows else f"data {path} changed"]


def _artifact_lines(repo: Any, workspace: Workspace, dep: Any) -> list[str]:
    earlier = Path(repo.cache.local.oid_to_path(dep.hash_info.value))
    before = {"": earlier}
    if dep.hash_info.isdir:
        before = {entry["relpath"]: Path(repo.cache.local.oid_to_path(entry["md5"])) for entry in listed(earlier)}
    rows = files_changed(before, workspace.folder / dep.def_path)
    return [", ".join(rows) if rows else f"data {dep.def_path} changed"]


def _stage_of(path: str) -> str | None:
    return path.split("/")[1] if path.startswith(f"{artifact.DATA}/") else None


def _code_lines(workspace: Workspace, stage: Any, current: Mapping[str, Any]) -> list[str]:
    before = recorded_code(workspace)
    if before:
        changed = [line for name in current for line in code_changes(before.get(name, {}), current[name])]
        if changed:
            return list(dict.fromkeys(changed))
    if any(dep.status() for dep in stage.deps):
        return ["only comments, formatting or code that no stage uses changed"]
    return []


def _out_lines(workspace: Workspace, stage: Any) -> list[str]:
    lines = []
    for out in stage.outs:
        match next(iter(out.status().values()), None):
            case "deleted":
                return [f"output missing: {out.def_path}"]
            case "not in cache":
                lines.append(f"output not in DVC's cache: {out.def_path}")
            case "modified" | "new":
                lines.append(f"output altered: {out.def_path}")
    return _manifest_lines(workspace, stage.name) or lines


def _manifest_lines(workspace: Workspace, stage: str) -> list[str]:
    try:
        problems = artifact.problems(workspace.folder, stage)
    except ArtifactError as error:
        problems = [str(error)]
    return [f"output {line.removeprefix(f'{workspace.folder}/').partition(';')[0]}" for line in problems]


def _recorded(repo: Any, path: Path, dep: Any) -> dict[str, Any] | None:
    """Returns the code digests a stage was built from, out of data/code or DVC's cache; None if neither has them."""
    if not dep.hash_info:
        return None
    cached = Path(repo.cache.local.oid_to_path(dep.hash_info.value))
    for candidate in ([path] if not dep.status() else []) + [cached]:
        try:
            found = artifact.read_json(candidate)
        except ArtifactError:
            continue
        if isinstance(found, dict):
            return found
    return None
