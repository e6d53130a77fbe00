"""Where a shipped file comes from: the record that knows it, as text or JSON. Offline and fast."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

from eibert import trail
from eibert.errors import TrailError
from flows.workspace import repository
from tasks import keys, licences, lookup, promotions, signature
from tasks.git import told
from tasks.lookup import Found
from tasks.notes import flat, numbers
from tasks.signature import Signature

_WIDTH = 100
_DIGITS = 16
_FIGURES = 12


@dataclass(frozen=True)
class Trace:
    """What the trail says about a file.

    Attributes:
        found: The record, and what the file is in it.
        records: Number of records in the whole trail.
        trail: State of the trail's signature.
        bundle: State of the bundle's signature.
    """

    found: Found
    records: int
    trail: Signature
    bundle: Signature

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        found, record = self.found, self.found.record
        return {
            "found": {"what": found.what, "sha256": found.sha256, "also_in_records": list(found.also)},
            "record": {
                "sequence": record.sequence,
                "digest": record.digest,
                "previous": record.previous,
                **record.body,
            },
            "mlflow": self._mlflow(),
            "service": [
                {"sequence": record.sequence, "digest": record.digest, **record.body} for record in found.service
            ],
            "signatures": {"trail": asdict(self.trail), "bundle": asdict(self.bundle)},
        }

    def _mlflow(self) -> dict[str, Any] | None:
        tracked = self.found.tracked
        return {**tracked.body["mlflow"], "record": tracked.sequence} if tracked else None


def find(folder: Path, target: str) -> tuple[Path, Found, int]:
    """Returns the repository, the record that knows a target, and the total number of records.

    Args:
        folder: A folder in the repository.
        target: A bundle, a file, or 8 or more digits of a SHA-256.

    Raises:
        RunError: the folder is not in a repository.
        TrailError: the trail is empty or altered, or does not know the target.
        SignatureError: the trail's head is not sound.
    """
    root = repository(folder)
    place = root / keys.TRAIL
    records = trail.complete(place, keys.head_opener(place))
    if not records:
        raise TrailError(f"{place}: no records; `eibert run` writes one, or name another repository with -C")
    return root, lookup.find(records, target), len(records)


def trace(folder: Path, target: str) -> Trace:
    """Returns what a repository's trail says about a target; raises like `find`."""
    root, found, count = find(folder, target)
    return Trace(found, count, signature.of_trail(root), signature.of_bundle(root, found))


def lines(traced: Trace) -> Iterator[str]:
    """Yields a trace as text; no line exceeds 100 columns unless a name does."""
    found, record = traced.found, traced.found.record
    yield f"{found.what} of {record.body['workspace']}, record {record.sequence} of {traced.records}"
    if found.also:
        yield from _pairs({"also in": f"record {', '.join(map(str, found.also))}"})
    sections = {
        "bundle": _bundle(record.body),
        "made": _made(record.body, _run(found)),
        "signatures": _signatures(traced, record.digest),
        "teacher": _teacher(record.body["teacher"]),
        "data": _data(record.body["data"]),
        "quality": _quality(record.body),
    }
    if found.service:
        sections["service"] = _service(found)
    for title, section in sections.items():
        yield from ("", title, *section)
    for name in record.body["order"]:
        yield from ("", f"stage {name}", *_stage(record.body["stages"][name]))


def _bundle(body: Mapping[str, Any]) -> Iterator[str]:
    bundle = body["bundle"]
    yield from _pairs({"sha256": bundle["sha256"], "bytes": f"{bundle['bytes']:,}"})
    for name, entry in bundle["files"].items():
        yield f"  {name:<12}{entry['bytes']:>10,}  {entry['sha256']}"


def _made(body: Mapping[str, Any], run: str) -> Iterator[str]:
    git, parent, machine = body["git"], body["parent"], body["machine"]
    commit = git["commit"] or "none"
    if git["dirty"]:
        commit += f", with uncommitted changes ({told(git)}), SHA-256 {git.get('diff_sha256', 'unknown')[:_DIGITS]}…"
    gpus = ", ".join(machine["gpus"]) or "none"
    yield from _pairs(
        {
            "when": body["when"],
            "who": body["who"] or "unknown",
            "commit": commit,
            "parent": f"record {parent['sequence']}, {parent['digest'][:_DIGITS]}…" if parent else "none: the first",
            "machine": f"{machine['architecture']}, {machine['system']}, Python {machine['python']}, GPU: {gpus}",
            "processor": " ".join(machine["features"]),
            "libraries": ", ".join(f"{name} {version}" for name, version in body["libraries"].items()),
            "MLflow": run,
        }
    )


def _run(found: Found) -> str:
    """Says which run in MLflow made the bundle, and which earlier record tells if the one found does not."""
    if found.tracked is None:
        return "run unknown, note none"
    told = found.tracked.body["mlflow"]
    whose = "" if found.tracked == found.record else f" (record {found.tracked.sequence}, the same bundle)"
    return f"run {told['run'] or 'unknown'}, note {told['note'] or 'none'}{whose}"


def _signatures(traced: Trace, digest: str) -> Iterator[str]:
    yield from _pairs({"record": digest})
    for name, found in (("trail", traced.trail), ("bundle", traced.bundle)):
        key = f", key {found.key[:_DIGITS]}…" if found.key else ""
        yield from _pairs({name: f"{found.state}{key}: {found.detail}"})


def _service(found: Found) -> Iterator[str]:
    """Yields when and by whom the bundle was put in service, and why if a gate was overridden."""
    for record in found.service:
        body = record.body
        back = body["event"] == promotions.ROLLED_BACK
        what = f"rolled back to version {body['version']}" if back else f"version {body['version']} {body['event']}"
        after = f" in place of version {body['before']}" if body["before"] else ""
        who = body["who"] or "unknown"
        yield from _pairs({body["model"]: f"{what}{after}, {body['when']}, {who}, record {record.sequence}"})
        verdict = body.get("verdict")
        if verdict and verdict["override"]:
            yield from _pairs({"override": verdict["reason"]})


def _teacher(teacher: Mapping[str, Any]) -> Iterator[str]:
    revision, licence = teacher.get("revision") or "none", teacher.get("licence") or licences.NOT_STATED
    yield from _pairs({"model": teacher["model"], "revision": revision, "licence": licence})
    yield from _digests(teacher["files"])


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    for source in data.get("sources") or []:
        version = f", version {source['version']}" if "version" in source else ""
        yield from _pairs({source["use"]: f"{source['source']}{version}"})
        if source["files"] or licences.of_source(source):
            yield from _pairs({"licence": licences.of_source(source) or licences.NOT_STATED})
        yield from _digests(source["files"])
    rows = data.get("rows") or {}
    counts = [f"{split} {found['kept']:,} ({found['refused']:,} refused)" for split, found in rows.items()]
    texts = (data.get("unlabelled") or {}).get("kept")
    gate = data["gate"]
    said = {1: "passed", 0: "not passed"}.get(gate.get("passed", -1), "unknown")
    yield from _pairs(
        {
            "rows": ", ".join(counts) or "unknown",
            "unlabelled": f"{texts:,} texts" if texts is not None else "unknown",
            "gate": f"{said}: {gate.get('expectations', 0)} expectations, {gate.get('warned', 0)} warned",
        }
    )
    for found in gate["not_held"]:
        yield from _pairs({found["severity"]: f"{found['name']} ({found['split']}): found {found['observed']}"})


def _quality(body: Mapping[str, Any]) -> Iterator[str]:
    metrics = body["metrics"]
    if "headline" in metrics:
        yield from _pairs({"headline": metrics["headline"]})
    for split in ("test", "dev"):
        values = numbers(metrics.get(split, {}))
        if values:
            yield from _pairs({split: ", ".join(f"{name} {value:.4f}" for name, value in values.items())})
    for name, gate in body["gates"].items():
        bounds = ", ".join(f"{key} {value}" for key, value in gate.items() if key != "passed")
        yield from _pairs({f"gate {name}": f"{'passed' if gate['passed'] else 'NOT passed'}: {bounds}"})


def _stage(stage: Mapping[str, Any]) -> Iterator[str]:
    params = ", ".join(f"{key}={value}" for key, value in flat(stage["params"]).items())
    yield from _pairs({"state": stage["state"], "manifest": stage["manifest_sha256"], "params": params or "none"})
    if stage["inputs"]:
        yield "  reads"
        yield from _digests(stage["inputs"])
    yield "  writes"
    for name, entry in stage["files"].items():
        yield f"    {name:<42}{entry['bytes']:>12,}  {entry['sha256'][:_DIGITS]}…"


def _digests(files: Mapping[str, str]) -> Iterator[str]:
    for name, digest in files.items():
        yield f"    {name:<54}  {digest[:_DIGITS]}…"


def _pairs(facts: Mapping[str, str]) -> Iterator[str]:
    """Yields names and values, long values wrapped and aligned."""
    for name, value in facts.items():
        first, *others = wrap(value, _WIDTH - _FIGURES - 2, break_on_hyphens=False, break_long_words=False) or [""]
        yield f"  {name:<{_FIGURES}}{first}" if len(name) < _FIGURES else f"  {name}  {first}"
        yield from (f"  {'':<{_FIGURES}}{other}" for other in others)
