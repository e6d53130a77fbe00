"""Renders the evaluation report as a self-contained HTML page."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eibert import __version__, artifact
from eibert.corpus import Split, TaskSpec
from eibert.evaluate.conclusion import METRICS, MODELS
from eibert.evaluate.metrics import confusion, per_class
from eibert.scores import predicted
from tasks import plots

Array = np.ndarray[Any, Any]

MATRIX_CLASSES = 30
"""Up to this many classes, the full confusion matrix is shown; beyond, only the most frequent confusions."""

_CURVES = {"finetune": "Teacher fine-tuning", "pretrain": "Student pre-training", "distill": "Student distillation"}
_EXAMPLES, _WORST, _CONFUSIONS = 12, 10, 25
_SPLIT_CURVE = "plain distillation"


@dataclass(frozen=True)
class Background:
    """Material from other stages for the report; every part may be empty.

    Attributes:
        dataset: Content of ingest's dataset.json.
        histories: Stage, or `control` → training history.
        modules: Quantization error of each module.
        coverage: Content of prune's coverage.json.
        shaped_by: Parameters that shaped this evaluation.
        inputs: Artifact → digest.
    """

    dataset: dict[str, Any] = field(default_factory=dict)
    histories: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    modules: list[dict[str, Any]] = field(default_factory=list)
    coverage: dict[str, Any] = field(default_factory=dict)
    shaped_by: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)


def read_background(workspace: Path, shaped_by: dict[str, Any], inputs: Mapping[str, str]) -> Background:
    """Reads the report's material from a workspace's artifacts; a missing file becomes an empty part."""

    def read(stage: str, name: str, empty: Any) -> Any:
        path = artifact.folder(workspace, stage) / name
        found = artifact.read_json(path) if path.is_file() else empty
        return found if isinstance(found, type(empty)) else empty

    histories = {stage: read(stage, "history.json", []) for stage in _CURVES}
    return Background(
        dataset=read("ingest", "dataset.json", {}),
        histories=histories | {"control": read("distill", "control.json", [])},
        modules=read("quantize", "modules.json", []),
        coverage=read("prune", "coverage.json", {}),
        shaped_by=shaped_by,
        inputs=dict(inputs),
    )


def render(
    spec: TaskSpec, test: Split, answers: Mapping[str, Array], figures: Mapping[str, Any], background: Background
) -> str:
    """Returns the page.

    Args:
        spec: The task.
        test: Rows of the test split.
        answers: Model → logits on test, float32 (N, C); holds `bundle` and `teacher`.
        figures: Content of metrics.json.
        background: Material from other stages.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"grouped": _grouped, "digits": _digits}
    return environment.get_template("report.html.j2").render(
        spec=spec, figures=figures, background=background, version=__version__, rows=len(test),
        metric=METRICS[spec.metric], metrics=METRICS, models=_models(figures),
        size_plot=_size_plot(figures, METRICS[spec.metric]), curves=_curves(background.histories),
        coverage=_coverage(background.coverage), modules=_modules(background.modules),
        confidence=background.shaped_by.get("evaluate", {}).get("tie_confidence"),
        params_sha256=hashlib.sha256(_one_line(background.shaped_by).encode()).hexdigest(),
        sources=[_one_line(source) for source in background.dataset.get("sources", [])],
        **(_regression if spec.regression else _classification)(spec, test, answers),
    )  # fmt: skip


def _models(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the rows of the model table, the teacher first and the bundle second."""
    order = ("teacher", "bundle", "student", "control", "static", "tfidf", "majority")
    teacher = figures["test"]["teacher"]
    return [
        {
            "name": name,
            "title": MODELS[name],
            "test": figures["test"][name],
            "dev": figures["dev"][name],
            "retention": figures["test"][name] / teacher if teacher > 0 else None,
            "bytes": figures["bytes"].get(name),
            "multiply_adds": figures["multiply_adds"].get(name),
            "difference": figures["differences"].get(name),
            "verdict": figures["verdicts"].get(name),
        }
        for name in order
        if name in figures["test"]
    ]


def _size_plot(figures: Mapping[str, Any], metric: str) -> Markup:
    points = {name: (float(size), figures["test"][name]) for name, size in figures["bytes"].items()}
    return plots.sizes(points, {name: MODELS[name] for name in points}, metric)


def _curves(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> list[dict[str, Any]]:
    """Returns, for each stage, its title and one panel per quantity in its history."""
    found = []
    for stage, title in _CURVES.items():
        series = _series(histories.get(stage, []))
        control = _series(histories.get("control", [])) if stage == "distill" else {}
        panels = []
        for name, points in series.items():
            if len(points) < 2:  # nothing to plot
                continue
            drawn = {"": points} | ({_SPLIT_CURVE: control[name]} if name in control else {})
            panels.append({"name": name.replace("_", " "), "plot": plots.lines(drawn, "step", f"{title}: {name}")})
        if panels:
            found.append({"stage": stage, "title": title, "panels": panels, "control": bool(control)})
    return found


def _series(history: Sequence[Mapping[str, float]]) -> dict[str, list[tuple[float, float]]]:
    """Returns name → points (step, value) for every quantity in a history except the counters `step` and `epoch`."""
    series: dict[str, list[tuple[float, float]]] = {}
    for position, record in enumerate(history):
        step = record.get("step", position)
        for name, value in record.items():
            if name not in ("step", "epoch") and isinstance(value, int | float):
                series.setdefault(name, []).append((step, float(value)))
    return series


def _modules(modules: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the modules with `share`, the relative length of each SQNR bar."""
    largest = max((module.get("sqnr_db", 0.0) for module in modules), default=0.0)
    return [
        {**module, "share": max(0.0, module["sqnr_db"]) / largest if largest > 0 else 0.0}
        for module in modules
        if "sqnr_db" in module
    ]


def _coverage(coverage: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the rows (name, before, after) and the panels of the curves; None if there is nothing to show.

    Each panel shows the chosen importance measure first, then the others.
    """
    before, after, curve = (coverage.get(name, {}) for name in ("before", "after", "curve"))
    if not after and not curve:
        return None
    rows = [(name.replace("_", " "), before.get(name), value) for name, value in after.items()]
    chosen = coverage.get("importance")
    names = sorted({point["importance"] for point in curve}, key=lambda name: (name != chosen, name))
    panels = []
    for figure, title, scale in (
        ("covered", "token occurrences kept, %", 100.0),
        ("tokens_per_text", "tokens per text", 1.0),
    ):
        drawn = {
            name: [(float(p["kept"]), scale * p[figure]) for p in curve if p["importance"] == name] for name in names
        }
        if drawn:
            panels.append({"name": title, "plot": plots.lines(drawn, "entries kept", title)})
    return {"rows": rows, "panels": panels, "others": [name.replace("_", " ") for name in names[1:]], "chosen": chosen}


def _classification(spec: TaskSpec, test: Split, answers: Mapping[str, Array]) -> dict[str, Any]:
    counts = confusion(spec, answers["bundle"], test.targets)
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSIONS]
    pairs = [divmod(int(place), len(spec.labels)) for place in order]
    rows = np.maximum(counts.sum(axis=1), 1)
    return {
        "matrix": counts.tolist() if len(spec.labels) <= MATRIX_CLASSES else None,
        "shares": (counts / rows[:, None]).tolist(),
        "confusions": [
            {"target": spec.labels[t], "answer": spec.labels[a], "rows": int(wrong[t, a]), "of": int(rows[t])}
            for t, a in pairs
            if wrong[t, a]
        ],
        "worst": per_class(spec, answers["bundle"], test.targets)[:_WORST],
        "examples": _mistakes(spec, test, answers),
        "number_plot": None,
    }


def _mistakes(spec: TaskSpec, test: Split, answers: Mapping[str, Array]) -> list[dict[str, Any]]:
    """Returns the bundle's most confident mistakes."""
    logits = answers["bundle"].astype(np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    sureness = exponentials.max(axis=1) / exponentials.sum(axis=1)
    found, teacher = (predicted(answers[name], regression=False) for name in ("bundle", "teacher"))
    wrong = np.flatnonzero(found != test.targets)
    return [
        {
            **_texts(test, row), "target": spec.labels[test.targets[row]], "answer": spec.labels[found[row]],
            "sureness": float(sureness[row]), "teacher": spec.labels[teacher[row]],
        }
        for row in wrong[np.argsort(-sureness[wrong], kind="stable")][:_EXAMPLES]
    ]  # fmt: skip


def _regression(spec: TaskSpec, test: Split, answers: Mapping[str, Array]) -> dict[str, Any]:  # noqa: ARG001
    found, teacher = answers["bundle"][:, 0], answers["teacher"][:, 0]
    far = np.argsort(-np.abs(found - test.targets), kind="stable")[:_EXAMPLES]
    examples = [
        {
            **_texts(test, row), "target": f"{test.targets[row]:.6g}", "answer": f"{found[row]:.6g}", "sureness": None,
            "teacher": f"{teacher[row]:.6g}",
        }
        for row in far
    ]  # fmt: skip
    plot = plots.scatter(test.targets.tolist(), found.tolist())
    return {"matrix": None, "shares": [], "confusions": [], "worst": [], "examples": examples, "number_plot": plot}


def _texts(test: Split, row: int) -> dict[str, str | None]:
    return {"text": test.texts[row], "text_b": test.texts_b[row] if test.texts_b is not None else None}


def _one_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _grouped(value: int) -> str:
    return f"{value:,}"


def _digits(value: object, form: str = ".4f") -> str:
    return format(value, form) if isinstance(value, int | float) else "–" if value is None else str(value)
