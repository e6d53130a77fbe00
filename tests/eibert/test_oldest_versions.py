"""The runtime with the oldest library versions that pyproject.toml allows, in its own environment."""

import json
import subprocess
import sys
import tomllib
from copy import deepcopy
from pathlib import Path

import pytest

from eibert.corpus import Split, TaskSpec
from eibert.export import write_bundle
from eibert.params.load import Params
from eibert.quantize.post_training import quantize
from eibert.student import Student

PROJECT = Path(__file__).parents[2]
BENCHMARK = PROJECT / "benchmarks" / "onnxruntime_versions.py"
UNAVAILABLE = 75
STRANGE = ["", "\ud800", "Ünïted 漢字 🙈", "\0", "play " * 100, "[SEP] [MASK]", "a" + "\u0301" * 90]


def test_oldest_versions_answer_alike(
    student: Student, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path
) -> None:
    model = deepcopy(student)
    model.fold()
    bundle, texts = tmp_path / "bundle", tmp_path / "texts.jsonl"
    bundle.mkdir()
    write_bundle(model, quantize(model, spec, rows, params.quantize)[1], spec, params.export, bundle)
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows.texts + STRANGE))
    done = subprocess.run(
        [sys.executable, BENCHMARK, bundle, texts, "--versions", "1.17.0"], capture_output=True, text=True, check=False
    )
    if done.returncode == UNAVAILABLE:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("onnxruntime 1.17.0, numpy 1.26.0, tokenizers 0.15.0: 0 of 97 labels differ")


def test_versions_that_are_tried_are_the_bounds_of_the_project() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    bounds = dict(each.split(">=") for each in project["dependencies"])
    source = BENCHMARK.read_text()
    for name, bound in bounds.items():
        assert f'"{name}": "{bound}.0"' in source
