"""The two sides of `eibert diff`: a commit, a workspace, a bundle or a recorded run, as far as each is known here."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eibert.errors import RunError
from eibert.runtime.bundle import CONFIGURATION
from flows.workspace import GRAPH, PARAMS, Workspace, find
from tasks import git
from tasks.notes import flat, numbers

Values = Mapping[str, Any]
Read = Callable[[str], str | bytes | None]
"""Returns a file of a workspace by its relative path, or None."""

SPLITS = ("train", "dev", "test", "unlabelled", "pretraining")
_RUN = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class Side:
    """What is known of one side; a part that is None is not known.

    Attributes:
        name: As the user gave it.
        data: Rows and digest of each split.
        params: Values by dotted key.
        code: Digests of definitions, by path and name.
        libraries: Versions by import name.
        metrics: Figures by stage and dotted key.
        bytes: Sizes of the bundle and its files.
    """

    name: str
    data: Values | None = None
    params: Values | None = None
    code: Values | None = None
    libraries: Values | None = None
    metrics: Values | None = None
    bytes: Values | None = None


def side(name: str, folder: Path) -> Side:
    """Returns one side.

    Args:
        name: A folder of a bundle or a workspace (`.`: the one of `folder`), a git ref, or the id of an MLflow run.
        folder: The workspace that refs and runs are about.

    Raises:
        RunError: there is nothing of that name.
    """
    path = folder if name == "." else Path(name)
    if (path / CONFIGURATION).is_file():
        return _bundle(name, path)
    if (path / PARAMS).is_file() and (path / GRAPH).is_file():
        place = find(path)
        return _workspace(name, place, lambda file: _content(place.folder / file))
    place = find(folder)
    if commit := git.answer(place.folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"):
        return _workspace(name, place, lambda file: git.answer(place.folder, "show", f"{commit}:./{file}"))
    if _RUN.fullmatch(name) and (run := _recorded(place, name)):
        return run
    raise RunError(f"{name}: no bundle, workspace, commit or MLflow run of that name; `git log` and MLflow list them")


def _workspace(name: str, workspace: Workspace, read: Read) -> Side:
    text = read(PARAMS)
    if text is None:
        raise RunError(f"{name}: {workspace.name} has no {PARAMS} there; choose a workspace with -C")
    try:
        lock = (yaml.safe_load(read("dvc.lock") or b"") or {}).get("stages", {})
        params = flat(yaml.safe_load(text))
    except (yaml.YAMLError, AttributeError) as error:
        raise RunError(f"{name}: {PARAMS} or dvc.lock is not readable there; compare with another commit") from error
    metrics = {stage: json.loads(found) for stage in lock if (found := read(f"metrics/{stage}.json"))}
    objects = _Objects(workspace, lock)
    code = objects.code()
    return Side(
        name,
        data=_data(metrics.get("ingest", {}), objects.files("ingest") or _deps(lock)) if lock else None,
        params=params,
        code=None if code is None else flat_code(code),
        libraries=None if code is None else {k: v for found in code.values() for k, v in found["libraries"].items()},
        metrics=numbers({stage: values for stage, values in metrics.items() if stage not in {"ingest", "export"}}),
        bytes=_sizes(metrics.get("export", {})),
    )


def flat_code(code: Mapping[str, Any]) -> dict[str, str]:
    """Returns the digests of all stages as one mapping: path, or path and definition, → digest."""
    found: dict[str, str] = {}
    for digests in code.values():
        found |= digests["data"]
        for path, definitions in digests["modules"].items():
            found |= {f"{path}:{name}" if name else path: digest for name, digest in definitions.items()}
    return found


class _Objects:
    """Files of outputs that a dvc.lock records, from DVC's cache."""

    def __init__(self, workspace: Workspace, lock: Mapping[str, Any]) -> None:
        from flows.stage import opened

        self._lock = lock
        with opened(workspace) as repo:
            self._place = Path(repo.cache.local.path)

    def files(self, stage: str) -> dict[str, str] | None:
        """Returns the MD5 of each file of a stage's output, or None where the list is not in the cache."""
        outs = self._lock.get(stage, {}).get("outs", [])
        listed = self._json(outs[0].get("md5", "")) if outs else None
        return None if listed is None else {entry["relpath"]: entry["md5"] for entry in listed}

    def code(self) -> dict[str, Any] | None:
        """Returns the digests of each stage's code, or None where they are not in the cache."""
        files = self.files("code") or {}
        found = {Path(name).stem: self._json(oid) for name, oid in files.items() if name != "manifest.json"}
        return found if found and None not in found.values() else None

    def _json(self, oid: str) -> Any:
        content = _content(self._place / oid[:2] / oid[2:]) if oid else None
        try:
            return None if content is None else json.loads(content)
        except ValueError:
            return None


def _data(metrics: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    rows = metrics.get("rows", {})
    found: dict[str, Any] = {f"{split} rows": rows[split]["kept"] for split in SPLITS if split in rows}
    if "unlabelled" in metrics:
        found["unlabelled texts"] = metrics["unlabelled"]["kept"]
    return found | {f"{split} MD5": files[f"{split}.parquet"] for split in SPLITS if f"{split}.parquet" in files}


def _deps(lock: Mapping[str, Any]) -> dict[str, str]:
    found = [dep for stage in lock.values() for dep in stage.get("deps", [])]
    return {Path(dep["path"]).name: dep["md5"] for dep in found if dep["path"].startswith("data/ingest/")}


def _sizes(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    return {"bundle": metrics["bytes"], **metrics.get("files", {})} if "bytes" in metrics else None


def _bundle(name: str, folder: Path) -> Side:
    from eibert.runtime.bundle import read_bundle

    read_bundle(folder)
    about = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
    files = about.pop("files")
    sizes = {file: entry["bytes"] for file, entry in files.items()}
    sizes[CONFIGURATION] = (folder / CONFIGURATION).stat().st_size
    digests = {f"{file} SHA-256": entry["sha256"] for file, entry in files.items()}
    return Side(name, params=about | digests, bytes={"bundle": sum(sizes.values()), **sizes})


def _recorded(workspace: Workspace, run: str) -> Side | None:
    from flows import environment
    from tasks.tracking import read_run

    environment.prepare(workspace.root)
    found = read_run(workspace.root, run)
    if found is None:
        return None
    metrics = {key: value for key, value in found["metrics"].items() if not key.startswith(("ingest.", "export."))}
    rows = {f"{split} rows": found["metrics"].get(f"ingest.rows.{split}.kept") for split in SPLITS}
    data = {key: round(value) for key, value in rows.items() if value is not None}
    data |= {f"{split} SHA-256": digest for split, digest in found["datasets"].items()}
    size = found["metrics"].get("export.bytes")
    commit = found["tags"].get("mlflow.source.git.commit")
    return Side(
        run, data=data, params=found["params"], metrics=metrics,
        code={"commit": commit} if commit else None, bytes=None if size is None else {"bundle": round(size)},
    )  # fmt: skip


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
