"""A workspace: a folder with params.yaml and dvc.yaml inside a DVC repository; how these two files are edited.

Edits keep comments and layout, and are atomic.
"""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from eibert import atomic
from eibert.errors import DataError, ParamsError, RunError
from eibert.params.load import Params, load, parse
from eibert.redact import identity

PARAMS = "params.yaml"
GRAPH = "dvc.yaml"
PRIVATE = ".eibert"
"""Folder in a workspace for what belongs to no artifact, such as locks and undelivered notes."""
ROOT = "root"
"""Name of the workspace at the top of its repository."""
JOURNAL = "promotion.json"
"""File in that folder while a promotion is in progress (`flows/journal.py`)."""


@dataclass(frozen=True)
class Workspace:
    """Where one model is built.

    Attributes:
        folder: Absolute path of the folder with params.yaml and dvc.yaml.
        root: Absolute path of the folder with the repository's .dvc.
    """

    folder: Path
    root: Path

    @property
    def name(self) -> str:
        """Path of the workspace within its repository, the same in every clone; `root` for the repository's own."""
        relative = self.folder.relative_to(self.root).as_posix()
        return ROOT if relative == "." else relative

    def params(self) -> Params:
        """Returns the validated parameters.

        Raises:
            ParamsError: params.yaml is missing or has problems.
        """
        return load(self.folder / PARAMS)

    def private(self) -> Path:
        """Returns the workspace's private folder, creating it if needed."""
        folder = self.folder / PRIVATE
        folder.mkdir(exist_ok=True)
        return folder


def find(folder: Path) -> Workspace:
    """Returns the workspace in a folder.

    Raises:
        RunError: params.yaml or dvc.yaml is missing, no folder above is a DVC repository, or the path is one that
            records would redact or MLflow misread.
    """
    folder = folder.resolve()
    for name in (PARAMS, GRAPH):
        if not (folder / name).is_file():
            raise RunError(
                f"{folder / name}: missing, so this is not a workspace; choose one with -C, or create one: `eibert new`"
            )
    found = Workspace(folder, repository(folder))
    check_address(folder)
    identity(found.name)
    return found


def check_address(folder: Path) -> None:
    """Refuses a path that MLflow, which makes addresses of paths, would take for another one.

    Raises:
        RunError: it contains `?` or `%`.
    """
    if found := {"?", "%"} & set(str(folder)):
        raise RunError(
            f"{folder}: the path contains {' and '.join(sorted(found))}, which MLflow reads as part of an address; "
            "rename the folder"
        )


def repository(folder: Path) -> Path:
    """Returns the nearest folder, this one or a parent, in which DVC was initialized.

    Raises:
        RunError: there is none.
    """
    folder = folder.resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / ".dvc").is_dir():
            return candidate
    raise RunError(
        f"{folder}: no .dvc here or in a folder above; choose a folder inside a repository of this project, such as "
        "models/NAME, or run `git init && dvc init` in the root of a new one"
    )


def set_params(folder: Path, assignments: Sequence[str]) -> None:
    """Writes `section.key=value` assignments into params.yaml if the result is valid.

    Raises:
        ParamsError: an assignment is malformed, or the result is not valid; the file stays unchanged.
    """
    if not assignments:
        return
    path = folder / PARAMS
    load(path)
    document = read_yaml(path)
    for assignment in assignments:
        _assign(document, assignment)
    text = dump_yaml(document)
    parse(yaml.safe_load(text), f"{path} with --set")
    atomic.write(path, text.encode())


def overlay(document: Any, values: Mapping[str, Any]) -> None:
    """Merges nested values into a YAML document; keys they do not mention stay."""
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(document.get(key), Mapping):
            overlay(document[key], value)
        else:
            document[key] = value


def follow_params(workspace: Workspace, params: Params) -> bool:
    """Updates the sources and the teacher's folder among the deps in dvc.yaml to match the parameters.

    Returns:
        Whether dvc.yaml was rewritten.

    Raises:
        DataError: a source does not exist.
        ParamsError: the teacher's folder does not exist, or dvc.yaml is not valid YAML.
    """
    from eibert.ingest import local_sources  # slow import; only commands that run stages need it

    path = workspace.folder / GRAPH
    document = read_yaml(path)
    sources = [str(source) for source in local_sources(params.ingest)]
    for source in sources:
        if not (workspace.folder / source).exists():
            raise DataError(f"{PARAMS}: ingest: {source}: not found from {workspace.folder}; fix the path")
    model = params.teacher.model
    teacher = [model] if is_local_teacher(model) else []
    if teacher and not (workspace.folder / model).is_dir():
        raise ParamsError(
            f"{PARAMS}: teacher.model: {model}: no such folder from {workspace.folder}, expected a folder, `bundled` "
            "or hf:owner/name@revision; fix the path"
        )
    changed = False
    stages = document.get("stages") or {}
    for stage, outside in (("ingest", sources), ("finetune", teacher), ("pretrain", teacher)):
        if stage not in stages:
            continue
        deps = stages[stage].get("deps", [])
        written = outputs(stages)
        inside = [dep for dep in deps if is_below(path_of(dep), written)]
        if list(deps) != [*inside, *outside]:
            stages[stage].setdefault("deps", deps)[:] = [*inside, *outside]
            changed = True
    if changed:
        atomic.write(path, dump_yaml(document).encode())
    return changed


def is_local_teacher(model: str) -> bool:
    """Returns whether a teacher's name is a local path."""
    return model != "bundled" and not model.startswith("hf:")


@contextlib.contextmanager
def restored_on_error(folder: Path) -> Iterator[None]:
    """Restores params.yaml and dvc.yaml if the body raises."""
    before = {path: path.read_bytes() for path in (folder / PARAMS, folder / GRAPH)}
    try:
        yield
    except BaseException:
        for path, content in before.items():
            if path.read_bytes() != content:
                atomic.write(path, content)
        raise


def read_yaml(path: Path) -> Any:
    """Returns a YAML document that keeps its comments and layout.

    Raises:
        ParamsError: the file is missing or not valid YAML.
    """
    try:
        return _yaml().load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ParamsError(f"{path}: not readable as YAML ({' '.join(str(error).split())}); fix it") from error


def dump_yaml(document: Any) -> str:
    """Returns the text of a document from `read_yaml`."""
    stream = io.StringIO()
    _yaml().dump(document, stream)
    return stream.getvalue()


def _assign(document: Any, assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    if not equals or not all(key.split(".")):
        raise ParamsError(f"--set {assignment}: expected key=value, for example --set prune.keep=6000")
    try:
        value = YAML(typ="safe", pure=True).load(text)
        yaml.safe_load(text)
    except (YAMLError, yaml.YAMLError, ValueError, TypeError) as error:  # an impossible date; a list as a key
        raise ParamsError(f"--set {assignment}: the value is not valid YAML; quote it") from error
    *sections, last = key.split(".")
    place = document
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, Mapping):
            raise ParamsError(f"--set {assignment}: {section} is a value, not a section; see params.yaml for the keys")
    place[last] = value


def path_of(entry: str | Mapping[str, Any]) -> str:
    """Returns the path in an entry of a stage's `deps` or `outs`, which may have options."""
    return entry if isinstance(entry, str) else next(iter(entry))


def outputs(stages: Mapping[str, Any]) -> list[str]:
    """Returns the paths that the stages in dvc.yaml write, as named there."""
    return [path_of(out) for stage in stages.values() for out in stage.get("outs", [])]


def is_below(path: str, folders: Sequence[str]) -> bool:
    """Returns whether a path is one of the folders or lies in one."""
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _yaml() -> YAML:
    form = YAML()
    form.width = 1000
    form.preserve_quotes = True
    form.indent(mapping=2, sequence=4, offset=2)
    form.representer.add_representer(type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null"))
    form.representer.add_representer(float, _represent_float)
    form.representer.add_representer(str, _represent_str)
    return form


def _represent_str(representer: Any, value: str) -> Any:
    style = None  # the representer's own choice
    with contextlib.suppress(yaml.YAMLError, ValueError):
        if yaml.safe_load(value) != value:  # YAML 1.1 readers take off and 1_000 for something else
            style = "'"
    return representer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _represent_float(representer: Any, value: float) -> Any:
    node = representer.represent_float(value)
    if "e" in node.value and "." not in node.value:
        node.value = node.value.replace("e", ".0e", 1)  # YAML 1.1 readers take 1e-05 for a string
    return node
