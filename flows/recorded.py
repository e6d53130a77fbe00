"""What the trail and MLflow know about a bundle or a run, as views for `eibert diff`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eibert import artifact
from eibert.errors import ArtifactError, RunError
from eibert.trail import Record
from flows.views import (
    DEFINITIONS,
    INSTALLED,
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
from flows.workspace import repository
from tasks import promotions
from tasks.lookup import digest_of_folder


def of_bundle(places: Iterable[Path], bundle: Path) -> dict[str, Views]:
    """Returns the parts a trail records of a bundle, preferably from its newest record without uncommitted changes.

    Args:
        places: Folders in the repositories to search, in order.
        bundle: The bundle's folder.

    Raises:
        TrailError, SignatureError: a trail is altered.
    """
    digest = digest_of_folder(bundle)
    for place in places:
        try:
            root = repository(place)
        except RunError:
            continue
        known = [one for one in promotions.builds(promotions.read(root)) if one.body["bundle"]["sha256"] == digest]
        if known:
            return _parts(root, _chosen(known))
    return {}


def of_run(root: Path, run: str, found: Mapping[str, Mapping[str, Any]]) -> dict[str, Views]:
    """Returns the parts of a run known to MLflow, and to the trail if it has a record of the same state.

    Args:
        root: Folder of the repository.
        run: The run's id.
        found: What `read_run` returned for it.

    Raises:
        TrailError, SignatureError: the trail is altered.
    """
    metrics = found["metrics"]
    rows = {f"{split} rows": kept for split, kept in _kept(metrics).items()}
    if "ingest.unlabelled.kept" in metrics:
        rows["unlabelled texts"] = round(metrics["ingest.unlabelled.kept"])
    commit = found["tags"].get("mlflow.source.git.commit")
    size = metrics.get("export.bytes")
    parts: dict[str, Views] = {
        "data": row_views(rows) | digests(SHA256, found["datasets"]),
        "params": params_views(found["params"]),
        "metrics": metrics_views(metrics),
        "code": code_views(commit=commit if found["tags"].get("git.dirty") == "false" else None),
        "bytes": {} if size is None else size_views(round(size), {}),
    }
    known = [
        one for one in promotions.builds(promotions.read(root))
        if one.body["mlflow"]["run"] == run or _manifests(one) == found["manifests"]
    ]  # fmt: skip
    if not known:
        return parts
    recorded = _parts(root, _chosen(known))
    return recorded | {"data": recorded["data"] | parts["data"], "metrics": parts["metrics"]}


def _chosen(records: list[Record]) -> Record:
    """The newest of `records` that was built from a commit, else the newest."""
    return next((one for one in reversed(records) if not one.body["git"]["dirty"]), records[-1])


def _manifests(record: Record) -> dict[str, str]:
    return {stage: found["manifest_sha256"] for stage, found in record.body["stages"].items()}


def _kept(metrics: Mapping[str, float]) -> dict[str, int]:
    ends = ("ingest.rows.", ".kept")
    return {
        name.removeprefix(ends[0]).removesuffix(ends[1]): round(value)
        for name, value in metrics.items()
        if name.startswith(ends[0]) and name.endswith(ends[1])
    }


def _parts(root: Path, record: Record) -> dict[str, Views]:
    body = record.body
    rows = {f"{split} rows": found["kept"] for split, found in (body["data"].get("rows") or {}).items()}
    if unlabelled := body["data"].get("unlabelled"):
        rows["unlabelled texts"] = unlabelled["kept"]
    files = {name.removesuffix(".parquet"): digest for name, digest in body["data"]["splits"].items()}
    params: dict[str, Any] = {}
    for found in body["stages"].values():
        params |= found["params"]
    code = body["stages"].get("code", {}).get("files", {})
    stages = {Path(name).stem: entry["sha256"] for name, entry in code.items() if name.endswith(".json")}
    contents = _contents(root / body["folder"], stages)
    git, installed = body["git"], {"python": body["machine"]["python"], **body["libraries"]}
    sizes = {name: entry["bytes"] for name, entry in body["bundle"]["files"].items()}
    code_parts = code_views(contents, stages, None if git["dirty"] else git["commit"])
    stated = {STATED: contents_libraries(contents)} if DEFINITIONS in code_parts else {}
    return {
        "data": row_views(rows) | digests(SHA256, files),
        "params": params_views(params),
        "code": code_parts,
        "libraries": {INSTALLED: installed, **stated, **public(body["libraries"])},
        "metrics": metrics_views({"evaluate": body["metrics"]} if body["metrics"] else {}),
        "bytes": size_views(body["bundle"]["bytes"], sizes),
    }


def contents_libraries(contents: Mapping[str, Any]) -> dict[str, str]:
    """Returns the library versions stated in all stages' code digests."""
    return {name: version for found in contents.values() for name, version in found["libraries"].items()}


def _contents(workspace: Path, stages: Mapping[str, str]) -> dict[str, Any]:
    """Digests of each stage's code if data/code still matches the record, else {}."""
    found = {}
    for stage, digest in stages.items():
        path = artifact.folder(workspace, "code") / f"{stage}.json"
        try:
            if artifact.sha256(path) != digest:
                return {}
            found[stage] = artifact.read_json(path)
        except (OSError, ArtifactError):
            return {}
    return found
