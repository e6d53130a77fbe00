"""A side of `eibert diff`: a commit, workspace, bundle or recorded run, as far as it is known here."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eibert import artifact
from eibert.errors import RunError
from eibert.runtime.bundle import CONFIGURATION
from flows.recorded import contents_libraries, of_bundle, of_run
from flows.views import (
    DESCRIPTION,
    MD5,
    SHA256,
    STATED,
    Views,
    code_views,
    digests,
    metrics_views,
    params_views,
    public,
    row_views,
    size_views,
)  # fmt: skip
from flows.workspace import GRAPH, PARAMS, Workspace, find
from tasks import git

Read = Callable[[str], str | bytes | None]
"""Returns a file of a workspace by its relative path, or None."""

_RUN = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class Side:
    """What is known about one side; nothing about a part without views.

    Attributes:
        name: As the user gave it.
        data: Rows and digests of the splits.
        params: Values by section and dotted key.
        code: Digests of definitions or of stages, or the commit.
        libraries: Versions by import name.
        metrics: Figures by stage and dotted key.
        bytes: Sizes of the bundle and its files.
    """

    name: str
    data: Views = field(default_factory=dict)
    params: Views = field(default_factory=dict)
    code: Views = field(default_factory=dict)
    libraries: Views = field(default_factory=dict)
    metrics: Views = field(default_factory=dict)
    bytes: Views = field(default_factory=dict)


def side(name: str, folder: Path) -> Side:
    """Looks up one side.

    Args:
        name: Folder of a bundle or a workspace (`.`: `folder` itself), a git ref, or the id of an MLflow run.
        folder: The workspace that refs and runs refer to.

    Raises:
        RunError: nothing has that name, or a workspace's files cannot be read.
        BundleError: a bundle is altered.
        TrailError, SignatureError: the trail that might know it is altered.
    """
    path = folder if name == "." else Path(name)
    if (path / CONFIGURATION).is_file():
        return _bundle(name, path, folder)
    if (path / PARAMS).is_file() and (path / GRAPH).is_file():
        place = find(path)
        from flows.healing import LOCK_FILE, refuse_torn

        refuse_torn(place.folder / LOCK_FILE)
        return _workspace(name, place, lambda file: _content(place.folder / file))
    place = find(folder)
    if commit := git.answer(place.folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"):
        return _workspace(name, place, lambda file: git.answer(place.folder, "show", f"{commit}:./{file}"))
    if _RUN.fullmatch(name) and (run := _recorded(place, name)):
        return run
    raise RunError(f"{name}: no bundle, workspace, commit or MLflow run with that name; `git log` and MLflow list them")


def _workspace(name: str, workspace: Workspace, read: Read) -> Side:
    text = read(PARAMS)
    if text is None:
        raise RunError(f"{name}: {workspace.name} has no {PARAMS} there; choose a workspace with -C")
    try:
        lock = (yaml.safe_load(read("dvc.lock") or b"") or {}).get("stages", {})
        params = params_views(yaml.safe_load(text))
    except (yaml.YAMLError, AttributeError) as error:
        raise RunError(f"{name}: {PARAMS} or dvc.lock is not readable there; compare with another commit") from error
    metrics = {stage: _metrics(name, stage, found) for stage in lock if (found := read(f"metrics/{stage}.json"))}
    objects = _Objects(workspace, lock)
    code = objects.code()
    stated = contents_libraries(code)
    export = metrics.get("export", {})
    return Side(
        name,
        data=_data(metrics.get("ingest", {}), objects, lock),
        params=params,
        code=code_views(code, {Path(n).stem: d for n, d in objects.sha256s("code").items() if n.endswith(".json")}),
        libraries={STATED: stated, **public(stated)} if stated else {},
        metrics=metrics_views(metrics),
        bytes=size_views(export["bytes"], export.get("files", {})) if "bytes" in export else {},
    )


def _metrics(name: str, stage: str, text: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RunError(f"{name}: metrics/{stage}.json is not readable there; compare with another commit")
    return found


class _Objects:
    """Files of the outputs recorded in a dvc.lock, read from DVC's cache."""

    def __init__(self, workspace: Workspace, lock: Mapping[str, Any]) -> None:
        from flows.graph import opened

        self._lock = lock
        with opened(workspace) as repo:
            self._place = Path(repo.cache.local.path)

    def files(self, stage: str) -> dict[str, str] | None:
        """Returns the MD5 of each file in a stage's output; None if the listing is not cached."""
        outs = self._lock.get(stage, {}).get("outs", [])
        listed = self._json(outs[0].get("md5", "")) if outs else None
        return None if listed is None else {entry["relpath"]: entry["md5"] for entry in listed}

    def code(self) -> dict[str, Any]:
        """Returns the digests of each stage's code; {} if they are not cached."""
        files = self.files("code") or {}
        found = {Path(name).stem: self._json(oid) for name, oid in files.items() if name != artifact.MANIFEST}
        return found if None not in found.values() else {}

    def sha256s(self, stage: str) -> dict[str, str]:
        """Returns the SHA-256 of each file in a stage's output, from its manifest; {} if that is not cached."""
        manifest = self._json((self.files(stage) or {}).get(artifact.MANIFEST, "")) or {}
        return {name: entry["sha256"] for name, entry in manifest.get("files", {}).items()}

    def _json(self, oid: str) -> Any:
        content = _content(self._place / oid[:2] / oid[2:]) if oid else None
        try:
            return None if content is None else json.loads(content)
        except ValueError:
            return None


def _data(metrics: Mapping[str, Any], objects: _Objects, lock: Mapping[str, Any]) -> Views:
    rows: dict[str, Any] = {f"{split} rows": found["kept"] for split, found in metrics.get("rows", {}).items()}
    if "unlabelled" in metrics:
        rows["unlabelled texts"] = metrics["unlabelled"]["kept"]
    md5s = objects.files("ingest") or _deps(lock)
    return row_views(rows) | digests(SHA256, _splits(objects.sha256s("ingest"))) | digests(MD5, _splits(md5s))


def _splits(files: Mapping[str, str]) -> dict[str, str]:
    return {Path(name).stem: digest for name, digest in files.items() if name.endswith(".parquet")}


def _deps(lock: Mapping[str, Any]) -> dict[str, str]:
    found = [dep for stage in lock.values() for dep in stage.get("deps", [])]
    return {Path(dep["path"]).name: dep["md5"] for dep in found if dep["path"].startswith("data/ingest/")}


def _bundle(name: str, bundle: Path, folder: Path) -> Side:
    from eibert.runtime.bundle import read_bundle

    read_bundle(bundle)
    about = json.loads((bundle / CONFIGURATION).read_text(encoding="utf-8"))
    files = about.pop("files")
    sizes = {file: entry["bytes"] for file, entry in files.items()}
    sizes[CONFIGURATION] = (bundle / CONFIGURATION).stat().st_size
    described = about | {f"{file} SHA-256": entry["sha256"] for file, entry in files.items()}
    parts = of_bundle((folder, bundle), bundle)
    parts["params"] = {DESCRIPTION: described, **parts.get("params", {})}
    return Side(name, **parts | {"bytes": size_views(sum(sizes.values()), sizes)})


def _recorded(workspace: Workspace, run: str) -> Side | None:
    from flows import environment
    from tasks.tracking import read_run

    environment.prepare(workspace.root)
    found = read_run(workspace.root, run)
    return None if found is None else Side(run, **of_run(workspace.root, run, found))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
