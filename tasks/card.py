"""The model card of a bundle: purpose, results, limitations and lineage."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from eibert import __version__
from eibert.evaluate.conclusion import METRICS, MODELS
from eibert.hub import GRAPH
from eibert.runtime.bundle import Bundle
from eibert.trail import Record
from tasks import licences
from tasks.licences import NOT_STATED, Part
from tasks.notes import numbers

NAME = "README.md"
_BUNDLED = "sentence-transformers/all-MiniLM-L6-v2"
"""Hub name of the teacher bundled with eibert."""
_HUB = "hf:"
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>|#"})


def write(folder: Path, bundle: Bundle, digest: str, record: Record | None, *, name: str) -> None:
    """Writes the card into a folder in hub layout.

    Args:
        folder: Holds the graph.
        bundle: The bundle that was exported.
        digest: SHA-256 of the whole bundle.
        record: Its record in the trail; None: not available.
        name: Final name of the folder.
    """
    body: Mapping[str, Any] = record.body if record else {}
    metrics = body.get("metrics", {})
    metric = METRICS.get(bundle.metric, bundle.metric)
    stated = licences.parts(body) if record else []
    text = _template().render(
        front=_front(bundle, body, stated),
        name=_plain(bundle.name),
        purpose=_purpose(bundle),
        version=__version__,
        bytes=f"{(folder / GRAPH).stat().st_size:,}",
        folder=json.dumps(name)[1:-1],
        example='"first text", "second text"' if bundle.pair else '"turn the lights off"',
        example_js='"first text", { text_pair: "second text" }' if bundle.pair else '"turn the lights off"',
        labels=[_plain(label) for label in bundle.labels],
        metric=metric[:1].upper() + metric[1:],
        results=list(_results(metrics)),
        details=[_plain(sentence) for sentence in metrics.get("details", [])],
        max_tokens=bundle.max_tokens,
        lowercase=bundle.lowercase,
        tokens=f"{len(bundle.tokens):,}",
        licence=_plain(licences.common(stated) or ""),
        licences=[(_plain(part.what), _plain(part.licence or NOT_STATED)) for part in stated],
        lineage=[(key, _plain(value)) for key, value in _lineage(digest, record)],
    )
    (folder / NAME).write_text(text.rstrip("\n") + "\n", encoding="utf-8")


def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=select_autoescape(),  # does not touch Markdown; `_plain` escapes that
        keep_trailing_newline=True,
    )
    return environment.get_template("card.md.j2")


def _front(bundle: Bundle, body: Mapping[str, Any], stated: list[Part]) -> str:
    front: dict[str, Any] = {
        "library_name": "transformers.js",
        "pipeline_tag": "text-classification",
        "tags": ["eibert", "onnx", "int8", "text-classification" if bundle.labels else "text-regression"],
    }
    data, teacher = body.get("data", {}), body.get("teacher", {})
    if language := data.get("language"):
        front["language"] = [language]
    if base := _base_model(str(teacher.get("model", ""))):
        front["base_model"] = base
    if stated:
        front |= licences.front(stated)
    score = numbers(body.get("metrics", {}).get("test", {})).get("bundle")
    if score is not None:
        result = {
            "task": {"type": "text-classification"},
            "dataset": {"name": bundle.name, "type": bundle.name, "split": "test"},
            "metrics": [{"type": bundle.metric, "value": round(score, 6)}],
        }
        front["model-index"] = [{"name": bundle.name, "results": [result]}]
    return yaml.safe_dump(front, allow_unicode=True, sort_keys=False)


def _base_model(teacher: str) -> str | None:
    """Returns the hub name of a teacher; None for a local folder."""
    if teacher == "bundled":
        return _BUNDLED
    return teacher.removeprefix(_HUB).partition("@")[0] if teacher.startswith(_HUB) else None


def _purpose(bundle: Bundle) -> str:
    inputs = "pairs of texts" if bundle.pair else "texts"
    if not bundle.labels:
        return f"Predicts a number for {inputs}."
    return f"Classifies {inputs} into {len(bundle.labels)} classes."


def _results(metrics: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    sizes = numbers(metrics.get("bytes", {}))
    for name, score in numbers(metrics.get("test", {})).items():
        size = f"{sizes[name]:,.0f}" if name in sizes else "–"
        yield {"name": MODELS.get(name, name), "score": f"{score:.4f}", "bytes": size}


def _lineage(digest: str, record: Record | None) -> Iterator[tuple[str, str]]:
    yield "bundle, SHA-256", digest
    if record is None:
        yield "trail record", "not available"
        return
    body = record.body
    yield "trail record", f"{record.sequence}, SHA-256 {record.digest}"
    yield "built", f"{body['when']}, commit {body['git']['commit'] or 'none'}"
    teacher = body["teacher"]
    yield "teacher", f"{teacher['model']}, licence {teacher.get('licence') or NOT_STATED}"
    for name, found in teacher["files"].items():
        yield f"teacher's {Path(name).name}, SHA-256", found
    for source in body["data"].get("sources") or []:
        yield f"{source['use']} data", f"{source['source']}, licence {licences.of_source(source) or NOT_STATED}"
        for name, found in source["files"].items():
            yield f"{source['use']} {Path(name).name}, SHA-256", found
    yield "details", f"eibert trace {digest[:12]}"


def _plain(value: object) -> str:
    """Returns a value as one line of Markdown with all markup escaped."""
    return " ".join(str(value).split()).translate(_SPECIAL)
