"""A stage's inputs must not change while it runs, since DVC records them only afterwards.

Otherwise rows, parameters or code that changed meanwhile would be recorded as inputs of the result, and the cache would
return it for them ever after.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from eibert import artifact
from eibert.code import CodeReader, project_root
from eibert.errors import ArtifactError, ParamsError, RunError
from eibert.params.load import Params, load
from flows.workspace import GRAPH, PARAMS, is_below, outputs, path_of

CODE = "code"
"""The stage that digests the code itself; it has no parameters, and DVC's run cache is not used for it."""

_BY_DVC = "DVC_STAGE"
"""Variable in which DVC names the stage to the process it starts."""

_AGAIN = "its output is not recorded; run it again"


def outside(workspace: Path, stage: str) -> list[str]:
    """Returns a stage's dependencies that no stage writes, as named in dvc.yaml; [] if that has no such stage.

    Raises:
        RunError: dvc.yaml is not readable.
    """
    path = workspace / GRAPH
    try:
        stages = yaml.safe_load(path.read_bytes())["stages"] if path.is_file() else {}
    except (yaml.YAMLError, LookupError, TypeError) as error:
        raise RunError(f"{path}: not readable as YAML with `stages`; fix it, or restore it from git") from error
    written = outputs(stages)
    deps = map(path_of, stages.get(stage, {}).get("deps", []))
    return [dep for dep in deps if not is_below(dep, written)]


@contextmanager
def steady(workspace: Path, stage: str) -> Iterator[Params]:
    """Yields the parameters for a stage to run with.

    Raises:
        RunError: DVC runs the stage and its code is not what `code` recorded; or, once the body has ended, the stage's
            parameters or files it depends on have changed.
        ParamsError: params.yaml is not valid.
    """
    if _BY_DVC in os.environ:
        _check_code(workspace, stage)
    params, files = load(workspace / PARAMS), _files(workspace, stage)
    yield params
    try:
        now = load(workspace / PARAMS)
    except ParamsError as error:
        raise RunError(f"{error}; that was valid when {stage} began, so {_AGAIN}") from error
    if (now.section(stage), now.shared) != (params.section(stage), params.shared):
        raise RunError(f"{workspace / PARAMS}: changed while {stage} was running; {_AGAIN}")
    if changed := sorted(path for path, _ in files.items() ^ _files(workspace, stage).items()):
        raise RunError(f"{changed[0]}: changed while {stage} was running; {_AGAIN}")


def _check_code(workspace: Path, stage: str) -> None:
    """Refuses to run code that changed since `code` digested it."""
    path = artifact.folder(workspace, CODE) / f"{stage}.json"
    try:
        recorded = artifact.read_json(path)
    except ArtifactError:
        return  # a workspace whose graph has no `code`
    if recorded != CodeReader(project_root()).digests(stage):
        raise RunError(f"{path}: the code of {stage} has changed since `code` digested it; run `eibert run` again")


def _files(workspace: Path, stage: str) -> dict[str, tuple[int, ...]]:
    """Returns size, mtime and inode of each file outside the pipeline that a stage depends on."""
    places = [workspace / name for name in outside(workspace, stage)]
    return {str(path): _identity(path.stat()) for place in places for path in _below(place)}


def _below(place: Path) -> Iterator[Path]:
    if place.is_dir():
        for folder, _, names in os.walk(place, followlinks=True):
            yield from (path for name in names if (path := Path(folder, name)).exists())
    elif place.exists():
        yield place


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_size, found.st_mtime_ns, found.st_ino
