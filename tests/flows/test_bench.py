"""`eibert bench`: its options, where the results go, and what is printed."""

from pathlib import Path
from typing import Any

import pytest

from eibert.errors import BundleError, RunError
from flows import bench
from flows.workspace import Workspace

LATENCY = {"p50_ms": 0.51, "p95_ms": 0.8, "encode_ms": 0.1, "forward_ms": 0.4, "ratio": 1.0}
START = {"import_ms": 90.0, "load_ms": 31.0, "memory_mb": 71.0, "above_import_mb": 20.0}
FIGURES: dict[str, Any] = {
    "cells": [
        {"length": 32, "batch": 1, "threads": 1, "rounds": 7,
         "models": {"bundle": LATENCY, "teacher": {**LATENCY, "p50_ms": 4.08, "ratio": 8.0}}}
    ],
    "starts": {"bundle": START, "teacher": START},
    "bytes": {"bundle": 1_477_660, "teacher": 23_000_000},
    "ratios": {"bundle": {"load": 1.0, "memory": 1.0, "bytes": 1.0},
               "teacher": {"load": 2.5, "memory": 1.25, "bytes": 15.57}},
    "lengths_left_out": {"512": "the bundle reads at most 128 tokens"},
    "absent": {"tfidf": "`evaluate` has not run"},
    "profile": {"tokens": 32, "forward_ms": 0.4, "floor_ms": 0.3,
                "operators": [{"name": "MatMul", "calls": 13, "microseconds": 210.0}]},
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []

    def measure(*arguments: Any, profiled: bool) -> dict[str, Any]:
        seen.append((*arguments[:2], arguments[4], profiled))
        return FIGURES

    monkeypatch.setattr(bench.task, "bench", measure)
    return seen


def test_own_bundle_is_measured_with_its_workspace(unbuilt: Workspace, asked: list[Any]) -> None:
    folder = unbuilt.folder
    _, target = bench.bench(folder, None, None, profiled=False)
    assert asked == [(folder, folder / "data" / "export" / "bundle", folder / ".eibert" / "bench", False)]
    assert target == folder / ".eibert" / "bench"


def test_bundle_elsewhere_is_measured_alone(unbuilt: Workspace, asked: list[Any], tmp_path: Path) -> None:
    bench.bench(unbuilt.folder, tmp_path / "other", tmp_path / "out", profiled=True)
    assert asked == [(None, tmp_path / "other", tmp_path / "out", True)]


def test_lines_tell_times_memory_and_what_is_missing() -> None:
    found = list(bench.lines(FIGURES, Path("out")))
    assert found[0] == "32 tokens, batch 1, threads 1, 7 interleaved rounds"
    assert found[2].split() == ["Bundle", "0.51", "0.80", "31", "71", "20", "1,477,660"]
    assert found[3].split()[-6:] == ["4.08", "0.80", "31", "71", "20", "23,000,000"]
    assert found[4].split() == ["ratio", "to", "the", "bundle", "p50", "load", "peak", "bytes"]
    assert found[6].split()[-4:] == ["8.00", "2.50", "1.25", "15.57"]
    assert "not measured: 512 tokens: the bundle reads at most 128 tokens" in found
    assert "not measured: TF-IDF + linear, INT8: `evaluate` has not run" in found
    assert "forward 0.40 ms, arithmetic floor 0.30 ms; profiled:" in found
    assert found[-2:] == ["figures  out/bench.json", "page     out/bench.html"]
    assert max(map(len, found)) <= 100


def test_folder_that_cannot_be_written_is_told(unbuilt: Workspace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"cannot be used .*--out"):
        bench.bench(unbuilt.folder, None, tmp_path / "file" / "out", profiled=False)


def test_workspace_that_was_never_run_has_no_bundle(unbuilt: Workspace) -> None:
    with pytest.raises(BundleError, match="no bundle there; run `eibert run`"):
        bench.bench(unbuilt.folder, None, None, profiled=False)
