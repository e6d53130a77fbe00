"""Finds the trail record that knows a file, a bundle or a digest."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eibert import artifact
from eibert.errors import TrailError
from eibert.runtime.bundle import LINEAGE
from eibert.trail import Record
from tasks import promotions
from tasks.facts import digest_of

BUNDLE = "bundle"
_DIGEST = re.compile(r"[0-9a-fA-F]{8,64}")
_SHOWN = 5


@dataclass(frozen=True)
class Found:
    """The newest record that knows the target of a search.

    Attributes:
        record: The record.
        what: Its name there: `bundle` as a whole, `bundle/model.onnx`, `data/prune/vocab.txt`, a source, ….
        sha256: Its digest.
        also: Sequence numbers of earlier records that know it.
        path: The file or folder given as target; None for a digest.
        service: Promotions and rollbacks that put this bundle in service.
        tracked: The record that tells the bundle's run in MLflow: this one or, if nothing had to run for it, the newest
            earlier one of the same bundle that does; None if there is none.
    """

    record: Record
    what: str
    sha256: str
    also: tuple[int, ...]
    path: Path | None
    service: tuple[Record, ...] = ()
    tracked: Record | None = None


def find(records: Sequence[Record], target: str) -> Found:
    """Returns the newest build record that knows a target; the digest of a promotion leads to its build.

    Args:
        records: The whole trail.
        target: A bundle's folder, a file, or the first 8 or more digits of a SHA-256.

    Raises:
        TrailError: it is none of these, no record knows it, or the digits match more than one digest.
    """
    path = Path(target)
    if path.is_dir():
        return _one(records, digest_of_folder(path), target, path)
    if path.is_file():
        return _one(records, artifact.sha256(path), target, path)
    if not _DIGEST.fullmatch(target):
        raise TrailError(
            f"{target}: no such file or folder, and not a SHA-256; name a bundle, a file, or 8 or more hex digits"
        )
    return _one(records, target.lower(), target, None)


def digests(record: Record) -> Iterator[tuple[str, str]]:
    """Yields name and SHA-256 of everything a build record knows, the shipped files first."""
    body = record.body
    yield BUNDLE, body["bundle"]["sha256"]
    for name, entry in body["bundle"]["files"].items():
        yield f"{BUNDLE}/{name}", entry["sha256"]
    yield "record", record.digest
    for stage, found in body["stages"].items():
        yield f"{artifact.DATA}/{stage}/{artifact.MANIFEST}", found["manifest_sha256"]
        for name, entry in found["files"].items():
            yield f"{artifact.DATA}/{stage}/{name}", entry["sha256"]
    for source in body["data"].get("sources") or []:
        yield from source["files"].items()
    for name, digest in body["teacher"]["files"].items():
        yield f"teacher/{name}", digest


def _one(records: Sequence[Record], wanted: str, target: str, path: Path | None) -> Found:
    built = promotions.builds(records)
    hits = [
        (record, name, digest)
        for record in reversed(built)
        for name, digest in (*digests(record), *_about(records, record))
        if digest.startswith(wanted)
    ]
    if not hits:
        raise TrailError(_unknown(built, wanted, target, path))
    known = {digest for _, _, digest in hits}
    if len(known) > 1:
        shown = ", ".join(f"{digest[:16]}…" for digest in sorted(known)[:_SHOWN])
        raise TrailError(f"{target}: matches {len(known)} digests in the trail ({shown}); give more digits")
    record, name, digest = hits[0]
    also = sorted({other.sequence for other, _, _ in hits} - {record.sequence})
    service = tuple(promotions.about(records, record))
    return Found(record, name, digest, tuple(also), path, service, _tracked(built, record))


def _about(records: Sequence[Record], build: Record) -> Iterator[tuple[str, str]]:
    """Yields the promotions and rollbacks that name a build's record."""
    for record in promotions.promotions(records, build.body["folder"]):
        if record.body["build"]["digest"] == build.digest:
            yield f"promotion, record {record.sequence}", record.digest


def _tracked(built: Sequence[Record], record: Record) -> Record | None:
    """Returns the newest record up to this one of the same bundle that knows its run in MLflow, or that run's note."""
    same = [one for one in built if one.body["bundle"]["sha256"] == record.body["bundle"]["sha256"]]
    told = (one for one in reversed(same) if one.sequence <= record.sequence and any(one.body["mlflow"].values()))
    return next(told, None)


def _unknown(records: Sequence[Record], wanted: str, target: str, path: Path | None) -> str:
    about = f"not in any of the {len(records)} records" if records else "the trail has no records yet"
    remedy = "name another repository with -C, or get the newest trail from git"
    text = f"{target}: SHA-256 {wanted[:16]}{'…' if len(wanted) > 16 else ''}: {about}"
    if path is None:
        return f"{text}; {remedy}"
    known = {digest: record.sequence for record in records for _, digest in digests(record)}
    if path.is_file():
        lineage = _lineage(path)
        if lineage in known:
            return f"{text}, but the lineage it states belongs to record {known[lineage]}: `eibert trace {lineage}`"
        return f"{text}; {remedy}"
    files = [file for file in sorted(path.iterdir()) if file.is_file()]
    parts = [
        f"{file.name} belongs to record {known[digest]}" for file in files if (digest := artifact.sha256(file)) in known
    ]
    strange = [file.name for file in files if artifact.sha256(file) not in known]
    if parts and strange:
        return f"{text} as a whole: {', '.join(parts)}; unknown: {', '.join(strange)}; it was altered or mixes builds"
    return f"{text}{' as a whole: ' + ', '.join(parts) if parts else ''}; {remedy}"


def _lineage(path: Path) -> str | None:
    """Returns the lineage digest in a graph's metadata, which survives optimization and conversion."""
    import onnx

    try:
        found = onnx.load(path, load_external_data=False).metadata_props
    except Exception:  # noqa: BLE001 — any error: the file is not a graph
        return None
    return next((entry.value for entry in found if entry.key == LINEAGE), None)


def digest_of_folder(folder: Path) -> str:
    """Returns the digest of the bundle in a folder."""
    return digest_of({path.name: artifact.sha256(path) for path in folder.iterdir() if path.is_file()})
