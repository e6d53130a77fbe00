"""The adapter on artifacts that the library builds from tiny models, and the page it writes."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from eibert import artifact
from eibert.corpus import Split, TaskSpec, write_spec
from eibert.errors import CorruptArtifactError, MissingArtifactError
from eibert.export import write_bundle
from eibert.params.evaluate import EvaluateParams
from eibert.params.load import Params
from eibert.quantize.post_training import measure, quantize
from eibert.student import Student, save_student
from eibert.teacher import Teacher
from eibert.teacher_files import save_teacher
from tasks import evaluate

STAGES = ("ingest", "finetune", "pretrain", "prune", "distill", "quantize", "export")


def put(workspace: Path, stage: str, fill: Any) -> None:
    with artifact.writing(workspace, stage, params={}, inputs={}) as out:
        fill(out)


def write_split(out: Path, name: str, spec: TaskSpec, split: Split) -> None:
    labels = [float(t) if spec.regression else spec.labels[t] for t in split.targets]
    columns: dict[str, Any] = {"text": split.texts} | ({"text_b": split.texts_b} if split.texts_b else {})
    pq.write_table(pa.table(columns | {"label": labels}), out / f"{name}.parquet")


@pytest.fixture
def section(params: Params) -> EvaluateParams:
    """Small enough for a test."""
    small = {
        "bootstrap_samples": 100,
        "threads": 1,
        "rival_regularizations": (1.0,),
        "static_dimensions": (4, 8),
        "static_regularizations": (10.0,),
    }
    return params.evaluate.model_copy(update=small)


def build(workspace: Path, spec: TaskSpec, rows: Split, teacher: Teacher, student: Student, params: Params) -> None:
    """Writes the artifacts of all earlier stages."""
    torch.manual_seed(0)
    teacher.head = torch.nn.Linear(teacher.hidden, spec.outputs)
    student.fold()

    def ingest(out: Path) -> None:
        for name in ("train", "dev", "test"):
            write_split(out, name, spec, rows)
        about = {"name": spec.name, "pair": spec.pair, "labels": spec.labels, "metric": spec.metric}
        write_spec(out, about)
        artifact.write_json(out / "dataset.json", about | {"sources": [{"source": "<toy>"}]})

    def finetune(out: Path) -> None:
        save_teacher(teacher, out)
        artifact.write_json(out / "metrics.json", {"dev_score": 0.5})
        artifact.write_json(out / "history.json", [{"step": 5, "loss": 1.0, "dev_score": 0.5}])

    def distill(out: Path) -> None:
        save_student(student, out)
        save_student(student, out, weights="control.safetensors")
        artifact.write_json(out / "history.json", [{"step": 5, "loss": 1.0, "dev_score": 0.5}])

    def export(out: Path) -> None:
        (out / "bundle").mkdir()
        write_bundle(student, quantized, spec, params.export, out / "bundle")

    small = params.quantize.model_copy(update={"threads": 1})
    _, quantized = quantize(student, spec, rows, small)
    errors = measure(student, quantized, spec, rows, batch_size=16)
    put(workspace, "ingest", ingest)
    put(workspace, "finetune", finetune)
    put(workspace, "distill", distill)
    put(workspace, "quantize", lambda out: artifact.write_json(out / "modules.json", errors))
    put(workspace, "export", export)
    for stage in ("pretrain", "prune"):
        put(workspace, stage, lambda out: artifact.write_json(out / "metrics.json", {}))


@pytest.fixture
def workspace(tmp_path: Path, spec: TaskSpec, rows: Split, teacher: Teacher, student: Student, params: Params) -> Path:
    build(tmp_path, spec, rows, teacher, student, params)
    return tmp_path


def test_figures_page_and_predictions_agree(workspace: Path, section: EvaluateParams, params: Params) -> None:
    out = evaluate.run(workspace, section, params.shared)
    figures = json.loads((out / "metrics.json").read_text())
    table = pq.read_table(out / "predictions.parquet")
    for model in ("teacher", "student", "bundle", "tfidf", "static", "control", "majority"):
        share = np.mean([a == t for a, t in zip(table[model].to_pylist(), table["target"].to_pylist(), strict=True)])
        assert figures["test"][model] == pytest.approx(share)
    same = np.mean([a == b for a, b in zip(table["bundle"].to_pylist(), table["student"].to_pylist(), strict=True)])
    assert figures["agreement"]["student"] == pytest.approx(same)
    bundle = workspace / "data" / "export" / "bundle"
    assert figures["bytes"]["bundle"] == sum(path.stat().st_size for path in bundle.iterdir())
    finetuned = (workspace / "data" / "finetune").iterdir()
    records = {"manifest.json", "metrics.json", "history.json"}
    assert figures["bytes"]["teacher"] == sum(path.stat().st_size for path in finetuned if path.name not in records)
    assert figures["bytes"]["tfidf"] <= figures["bytes"]["bundle"]
    assert figures["bytes"]["static"] <= figures["bytes"]["bundle"]
    assert set(figures["verdicts"]) == {"majority", "tfidf", "static", "control"}
    assert figures["multiply_adds"]["bundle"] == figures["multiply_adds"]["student"]
    page = (out / "report.html").read_text()
    assert f"{figures['test']['bundle']:.4f}" in page
    assert f"{figures['bytes']['bundle']:,}" in page
    assert figures["headline"] in page


def test_first_word_is_learnt_by_the_linear_rival(workspace: Path, section: EvaluateParams, params: Params) -> None:
    out = evaluate.run(workspace, section, params.shared)
    figures = json.loads((out / "metrics.json").read_text())
    assert figures["test"]["tfidf"] == 1.0
    assert figures["verdicts"]["tfidf"] == "worse"
    assert figures["recommended"] in {"tfidf", "majority"}


def test_every_file_is_the_same_again(workspace: Path, section: EvaluateParams, params: Params) -> None:
    def digests() -> dict[str, str]:
        out = evaluate.run(workspace, section, params.shared)
        return {path.name: artifact.sha256(path) for path in out.iterdir()}

    found = digests()
    assert sorted(found) == ["manifest.json", "metrics.json", "predictions.parquet", "report.html"]
    assert digests() == found


def test_model_without_a_control_is_judged(workspace: Path, section: EvaluateParams, params: Params) -> None:
    old = artifact.folder(workspace, "distill")
    kept = {name: (old / name).read_bytes() for name in ("student.safetensors", "student.json", "vocab.txt")}
    put(workspace, "distill", lambda out: [(out / name).write_bytes(content) for name, content in kept.items()])
    out = evaluate.run(workspace, section.model_copy(update={"static_dimensions": ()}), params.shared)
    assert set(json.loads((out / "metrics.json").read_text())["verdicts"]) == {"majority", "tfidf"}


def test_pairs_with_a_number_are_judged(
    tmp_path: Path, rows: Split, teacher: Teacher, student: Student, params: Params, section: EvaluateParams
) -> None:
    spec = TaskSpec("numbers", pair=True, labels=(), metric="spearman")
    targets = np.linspace(0, 5, len(rows)).astype(np.float32)
    student.head = torch.nn.Linear(student.shape.teacher_hidden, 1)
    student.shape = type(student.shape)(**{**student.shape.__dict__, "outputs": 1})
    build(tmp_path, spec, Split(rows.texts, rows.texts[::-1], targets), teacher, student, params)
    out = evaluate.run(tmp_path, section, params.shared)
    figures = json.loads((out / "metrics.json").read_text())
    assert set(figures["quality"]["bundle"]) == {"spearman", "pearson", "r2"}
    assert figures["test"]["majority"] == 0
    assert pq.read_table(out / "predictions.parquet").schema.field("bundle").type == "double"
    assert "R²" in (out / "report.html").read_text()
    assert "Prediction against target" in (out / "report.html").read_text()


@pytest.mark.parametrize("stage", ["export", "ingest"])
def test_altered_input_is_refused_and_leaves_nothing(
    workspace: Path, section: EvaluateParams, params: Params, stage: str
) -> None:
    path = next(
        path for path in sorted(artifact.folder(workspace, stage).rglob("*")) if path.suffix in {".onnx", ".parquet"}
    )
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(CorruptArtifactError, match=re.escape(path.name)):
        evaluate.run(workspace, section, params.shared)
    assert not artifact.folder(workspace, "evaluate").exists()


def test_missing_stage_is_named(tmp_path: Path, section: EvaluateParams, params: Params) -> None:
    with pytest.raises(MissingArtifactError, match="--until ingest"):
        evaluate.run(tmp_path, section, params.shared)


VOID = {"meta", "br", "link", "img", "hr"}


class _Balance(HTMLParser):
    """Fails on a closing tag without an open one."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        """Accepts self-closing tags, as in SVG."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_well_formed_and_needs_no_other_file(workspace: Path, section: EvaluateParams, params: Params) -> None:
    page = (evaluate.run(workspace, section, params.shared) / "report.html").read_text()
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    assert not re.search(r"https?://|<script|<link|src=|@import|url\(", page)
    assert str(workspace) not in page
