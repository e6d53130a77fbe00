"""Creates a workspace from the repository's own params.yaml and dvc.yaml."""

import os
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from eibert import atomic
from eibert.errors import DataError, ParamsError, RunError
from eibert.params.load import parse
from eibert.redact import identity
from flows.workspace import (
    GRAPH,
    PARAMS,
    ROOT,
    Workspace,
    check_address,
    dump_yaml,
    follow_params,
    is_local_teacher,
    overlay,
    read_yaml,
    repository,
    set_params,
)

SAMPLE = "sample"
_REMOTE = "hf:"
_IGNORED = """\
# What DVC, MLflow and the command keep for themselves; metrics/ and dvc.lock belong in git.
/data/
/logs/
/.eibert/
"""


def new(
    folder: Path, data: str, unlabelled: Sequence[str], *, preset: str | None, assignments: Sequence[str]
) -> Workspace:
    """Creates a workspace and returns it; leaves nothing behind on error.

    Args:
        folder: Where; inside the repository, and without params.yaml or dvc.yaml.
        data: Path relative to the current folder, `sample`, or `hf:owner/name@revision`.
        unlabelled: Any number of the same.
        preset: Name of a file in presets/, without its suffix; None: the root's parameters.
        assignments: `section.key=value`, applied last.

    Raises:
        RunError: the folder is in no repository, is already a workspace or a file, has the name of the root's or one
            that records would redact, or its .gitignore lacks a line; or there is no such preset.
        DataError: a path does not exist.
        ParamsError: the result would not be valid, or the teacher's folder does not exist.
    """
    folder = folder.resolve()
    root = repository(folder)
    if folder == root:
        raise RunError(f"{folder}: the repository root is a workspace already; name a folder in it, e.g. models/NAME")
    if folder == root / ROOT:
        raise RunError(f"{folder}: `{ROOT}` is the repository root's own name; name another folder, e.g. models/NAME")
    check_address(folder)
    identity(folder.relative_to(root).as_posix())
    if file := next((place for place in (folder, *folder.parents) if place.exists() and not place.is_dir()), None):
        raise RunError(f"{file}: a file, expected a folder; name another, e.g. models/NAME")
    for name in (PARAMS, GRAPH):
        if (folder / name).exists():
            raise RunError(f"{folder / name}: exists and is not overwritten; choose another folder")
    sources = [_source(source, folder, option) for source, option in _named(data, unlabelled)]
    texts = {PARAMS: _params(root, folder, sources, preset), GRAPH: _graph(root, folder)}
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    ignored = folder / ".gitignore"
    if not ignored.exists():
        texts[".gitignore"] = _IGNORED
    elif absent := [line for line in _IGNORED.splitlines()[1:] if line not in ignored.read_text().splitlines()]:
        raise RunError(f"{ignored}: lacks {', '.join(absent)}; add these lines, or choose another folder")
    files = [folder / name for name in texts]
    try:
        for name, text in texts.items():
            atomic.write(folder / name, text.encode())
        set_params(folder, assignments)
        workspace = Workspace(folder, root)
        follow_params(workspace, workspace.params())
    except BaseException:
        for path in files:
            path.unlink(missing_ok=True)
        for parent in made:
            parent.rmdir()
        raise
    return workspace


def _named(data: str, unlabelled: Sequence[str]) -> list[tuple[str, str]]:
    return [(data, "--data"), *((source, "--unlabelled") for source in unlabelled)]


def _source(source: str, folder: Path, option: str) -> str:
    """Returns a source as params.yaml in `folder` has to name it."""
    if source == SAMPLE or source.startswith(_REMOTE):
        return source
    if not Path(source).exists():
        raise DataError(f"{option} {source}: no such file or folder; give a path, `sample` or hf:owner/name@revision")
    return Path(os.path.relpath(Path(source).resolve(), folder)).as_posix()


def _params(root: Path, folder: Path, sources: list[str], preset: str | None) -> str:
    document = read_yaml(root / PARAMS)
    if preset:
        overlay(document, _preset(root, preset))
    if is_local_teacher(model := document["teacher"]["model"]):
        document["teacher"]["model"] = Path(os.path.relpath(root / model, folder)).as_posix()
    document["ingest"]["source"] = sources[0]
    listed = document["ingest"]["unlabelled"]
    listed[:] = sources[1:]
    text = dump_yaml(document)
    parse(yaml.safe_load(text), f"presets/{preset}.yaml" if preset else PARAMS)
    return text


def _preset(root: Path, name: str) -> Mapping[str, object]:
    path = root / "presets" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in path.parent.glob("*.yaml")))
        raise RunError(f"--preset {name}: no such preset; available: {known or 'none'}")
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ParamsError(f"{path}: expected a mapping of sections; fix it")
    return found


def _graph(root: Path, folder: Path) -> str:
    """The root's graph, with the paths to the code relative to `folder`."""
    document = read_yaml(root / GRAPH)
    up = posixpath.relpath(root.as_posix(), folder.as_posix())
    deps = document["stages"]["code"]["deps"]
    deps[:] = [posixpath.join(up, dep) for dep in deps]
    return dump_yaml(document)
