"""The benchmark on artifacts of tiny models: which models take part, what is written, and the page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from eibert import artifact
from eibert.corpus import Split, TaskSpec
from eibert.errors import BundleError, CorruptArtifactError
from eibert.params.bench import BenchParams
from eibert.params.load import Params
from eibert.student import Student
from eibert.teacher import Teacher
from tasks import bench
from tests.tasks.test_evaluate import _Balance, build, put

SMALL = BenchParams(
    lengths=(8, 16, 512), batches=(1, 2), threads=(1,), texts=2, rounds=1, turn=2, cell_seconds=60.0, starts=1
)


@pytest.fixture
def workspace(tmp_path: Path, spec: TaskSpec, rows: Split, teacher: Teacher, student: Student, params: Params) -> Path:
    build(tmp_path, spec, rows, teacher, student, params)
    chosen = {"tfidf": {"grams": "both", "buckets": 500, "regularization": 3.0}}
    put(tmp_path, "evaluate", lambda out: artifact.write_json(out / "metrics.json", chosen))
    return tmp_path


def measured(workspace: Path | None, bundle: Path, params: Params, out: Path, **options: Any) -> dict[str, Any]:
    return bench.bench(workspace, bundle, SMALL, params.shared, out, **({"profiled": False} | options))


def test_all_models_are_measured_and_told(workspace: Path, params: Params, tmp_path: Path) -> None:
    bundle, out = workspace / "data" / "export" / "bundle", tmp_path / "made" / "out"
    before = {path: path.stat().st_mtime_ns for path in (workspace / "data").rglob("*")}
    found = measured(workspace, bundle, params, out, profiled=True)
    assert {path: path.stat().st_mtime_ns for path in (workspace / "data").rglob("*")} == before
    assert json.loads((out / "bench.json").read_text()) == json.loads(json.dumps(found))
    cells = [(cell["length"], cell["batch"], cell["threads"]) for cell in found["cells"]]
    assert cells == [(8, 1, 1), (8, 2, 1), (16, 1, 1), (16, 2, 1)]  # 512 is over the student's positions
    everyone = {"bundle", "teacher", "tiny", "tfidf"}
    assert all(set(cell["models"]) == everyone for cell in found["cells"])
    assert set(found["bytes"]) == everyone
    assert found["bytes"]["bundle"] == sum(path.stat().st_size for path in bundle.iterdir())
    assert set(found["starts"]) == everyone | {"import onnxruntime"}
    assert found["absent"] == {}
    assert set(found["lengths_left_out"]) == {"512"}
    longest = found["lengths_left_out"]["512"]
    assert (
        longest == f"the bundle reads at most {json.loads((bundle / 'eibert.json').read_text())['max_tokens']} tokens"
    )
    assert set(found["ratios"]) == everyone
    assert found["ratios"]["bundle"] == {"load": 1.0, "memory": 1.0, "bytes": 1.0}
    starts = found["starts"]
    assert found["ratios"]["teacher"] == {
        "load": pytest.approx(starts["teacher"]["load_ms"] / starts["bundle"]["load_ms"]),
        "memory": pytest.approx(starts["teacher"]["memory_mb"] / starts["bundle"]["memory_mb"]),
        "bytes": pytest.approx(found["bytes"]["teacher"] / found["bytes"]["bundle"]),
    }
    page = (out / "bench.html").read_text()
    latency = found["cells"][0]["models"]["bundle"]
    times = ("p50_ms", "p95_ms", "encode_ms", "forward_ms")
    assert "".join(f"<td>{latency[name]:.3f}</td>" for name in times) in page
    assert f"<td>{starts['bundle']['import_ms']:.0f}</td><td>{starts['bundle']['load_ms']:.0f}</td>" in page
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    assert not re.search(r"https?://|<script|<link|src=|@import|url\(", page)
    assert str(workspace) not in page + (out / "bench.json").read_text()
    assert page.count("<polyline") == 4
    assert "Where the microseconds go" in page
    assert f"Not measured: 512 tokens: {longest.replace(chr(39), '&#39;')}." in page


def test_bundle_alone_is_measured_and_says_what_is_missing(workspace: Path, params: Params, tmp_path: Path) -> None:
    found = measured(None, workspace / "data" / "export" / "bundle", params, tmp_path / "out")
    assert set(found["cells"][0]["models"]) == {"bundle"}
    assert set(found["absent"]) == {"teacher", "tiny", "tfidf"}
    assert "Not measured: Teacher" in (tmp_path / "out" / "bench.html").read_text()


def test_missing_bundle_and_altered_input_write_nothing(workspace: Path, params: Params, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle there"):
        measured(workspace, tmp_path / "nowhere", params, tmp_path / "out")
    path = artifact.folder(workspace, "finetune") / "model.safetensors"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(CorruptArtifactError, match=r"model\.safetensors"):
        measured(workspace, workspace / "data" / "export" / "bundle", params, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_reference_is_one_text_of_about_32_tokens() -> None:
    cells = [
        {"length": length, "batch": batch, "threads": threads}
        for length in (8, 30, 128) for batch in (8, 1) for threads in (2, 1)
    ]  # fmt: skip
    assert bench.reference({"cells": cells}) == {"length": 30, "batch": 1, "threads": 1}
