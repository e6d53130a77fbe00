"""Adapter of `evaluate`: every model on the same rows → metrics, predictions and the report."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from eibert import artifact, optimize
from eibert.batches import predict
from eibert.corpus import Split, SplitName, TaskSpec, read_spec, read_split, write_parquet
from eibert.evaluate.cost import Cost, cost_of
from eibert.evaluate.judgement import Answers, judge
from eibert.evaluate.rivals import LinearRival, fit_linear, majority
from eibert.evaluate.static import StaticRival, fit_static
from eibert.params.evaluate import EvaluateParams
from eibert.params.section import Shared
from eibert.runtime.model import Model
from eibert.scores import predicted
from eibert.student import SHAPE, VOCABULARY, WEIGHTS, load_student
from eibert.teacher_files import load_teacher
from tasks.adapter import recorded
from tasks.progress import reporting, say
from tasks.report import read_background, render

STAGE = "evaluate"
INPUTS = ("ingest", "finetune", "pretrain", "prune", "distill", "quantize", "export")
CONTROL = "control.safetensors"

_JUDGED: tuple[SplitName, ...] = ("test", "dev")
_RECORDS = {artifact.METRICS, artifact.MANIFEST, "history.json"}


def run(workspace: Path, params: EvaluateParams, shared: Shared) -> Path:
    """Writes the artifact `evaluate` and returns its folder."""
    inputs = artifact.verified(workspace, *INPUTS)
    ingest, bundle = artifact.folder(workspace, "ingest"), artifact.folder(workspace, "export") / "bundle"
    spec = read_spec(ingest)
    splits: dict[str, Split] = {name: read_split(ingest, name, spec) for name in _JUDGED}
    sizes = _sizes(workspace, bundle)
    answers, costs = _torch_answers(workspace, splits, params)
    for name, split in splits.items():
        answers[name]["bundle"] = Model.load(bundle).logits(split.inputs)
    rival = _add_rivals(answers, workspace, spec, splits, sizes, params, shared.seed)
    targets = {name: split.targets for name, split in splits.items()}
    figures = judge(spec, answers, targets, sizes, costs, params, shared.seed)
    figures["bundle_files"] = {path.name: path.stat().st_size for path in sorted(bundle.iterdir())}
    figures["tfidf"] = {
        "grams": rival.text.grams.value, "buckets": rival.text.buckets, "regularization": rival.regularization,
    }  # fmt: skip
    say(STAGE, figures["headline"])
    shaped_by = recorded(STAGE, params, shared)
    with artifact.writing(workspace, STAGE, params=shaped_by, inputs=inputs) as out:
        _write_predictions(out / "predictions.parquet", spec, splits["test"], answers["test"])
        background = read_background(workspace, shaped_by, inputs)
        page = render(spec, splits["test"], answers["test"], figures, background)
        (out / "report.html").write_text(page, encoding="utf-8")
        artifact.write_json(out / artifact.METRICS, figures)
    return artifact.folder(workspace, STAGE)


def _torch_answers(
    workspace: Path, splits: Mapping[str, Split], params: EvaluateParams
) -> tuple[Answers, dict[str, Cost]]:
    """Returns the outputs of all torch models and the cost of each; the bundle costs as much as the student."""
    device = optimize.prepare(params.threads)
    distilled = artifact.folder(workspace, "distill")
    loaders: dict[str, Callable[[], Any]] = {
        "teacher": lambda: load_teacher(artifact.folder(workspace, "finetune")),
        "student": lambda: load_student(distilled),
        "control": lambda: load_student(distilled, CONTROL),
    }
    answers: Answers = {name: {} for name in splits}
    costs = {}
    for name, load in loaders.items():
        if name == "control" and not (distilled / CONTROL).is_file():
            continue
        model = load()
        for split_name, split in splits.items():
            with reporting(STAGE, f"{name} on {split_name}") as report:
                answers[split_name][name] = predict(
                    model.to(device), split, batch_size=params.batch_size, report=report
                )
        costs[name] = cost_of(model)
    return answers, costs | {"bundle": costs["student"]}


def _add_rivals(
    answers: Answers,
    workspace: Path,
    spec: TaskSpec,
    splits: Mapping[str, Split],
    sizes: dict[str, int],
    params: EvaluateParams,
    seed: int,
) -> LinearRival:
    """Adds outputs and sizes of the cheap rivals, each no larger than the bundle; returns the linear one."""
    train, budget_bytes = read_split(artifact.folder(workspace, "ingest"), "train", spec), sizes["bundle"]
    with reporting(STAGE, "linear rival") as report:
        linear = fit_linear(
            spec, train, splits["dev"], budget_bytes=budget_bytes, regularizations=params.rival_regularizations,
            selection_rows=params.rival_rows, seed=seed, report=report,
        )  # fmt: skip
    rivals: dict[str, LinearRival | StaticRival] = {"tfidf": linear}
    if params.static_dimensions:
        optimize.prepare(params.threads)
        teacher = load_teacher(artifact.folder(workspace, "finetune"))
        with reporting(STAGE, "static rival") as report:
            rivals["static"] = fit_static(
                spec, teacher, train, splits["dev"], budget_bytes=budget_bytes, dimensions=params.static_dimensions,
                regularizations=params.static_regularizations, report=report,
            )  # fmt: skip
    for name, split in splits.items():
        answers[name] |= {rival: found.logits(split) for rival, found in rivals.items()}
        answers[name]["majority"] = majority(spec, train, len(split))
    sizes |= {name: rival.size_bytes for name, rival in rivals.items()}
    return linear


def _sizes(workspace: Path, bundle: Path) -> dict[str, int]:
    """Returns model → total bytes of the files it needs."""
    finetuned = artifact.folder(workspace, "finetune")
    distilled = artifact.folder(workspace, "distill")
    files = {
        "teacher": [path for path in finetuned.iterdir() if path.is_file() and path.name not in _RECORDS],
        "student": [distilled / name for name in (WEIGHTS, SHAPE, VOCABULARY)],
        "control": [distilled / name for name in (CONTROL, SHAPE, VOCABULARY)],
        "bundle": list(bundle.iterdir()),
    }
    return {
        name: sum(path.stat().st_size for path in paths)
        for name, paths in files.items()
        if all(path.is_file() for path in paths)
    }


def _write_predictions(path: Path, spec: TaskSpec, split: Split, answers: Mapping[str, Any]) -> None:
    columns: dict[str, list[Any]] = {
        "row": list(range(len(split))),
        "text_sha256": [_digest(split, row) for row in range(len(split))],
        "target": _named(spec, split.targets),
    }
    columns |= {name: _named(spec, predicted(logits, regression=spec.regression)) for name, logits in answers.items()}
    kind = pa.float64() if spec.regression else pa.string()
    kinds = {"row": pa.int64(), "text_sha256": pa.string()}
    write_parquet(path, columns, pa.schema([(name, kinds.get(name, kind)) for name in columns]))


def _named(spec: TaskSpec, values: Any) -> list[Any]:
    return [float(value) if spec.regression else spec.labels[value] for value in values]


def _digest(split: Split, row: int) -> str:
    parts = [split.texts[row]] if split.texts_b is None else [split.texts[row], split.texts_b[row]]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
