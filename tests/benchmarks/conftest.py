"""Runs the scripts of benchmarks/ as modules on a small project and small data sets; nothing is trained."""

import importlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PARAMS = "seed: 17\nteacher: {model: bundled}\ndistill: {epochs: 2, threads: 1}\nnotify: {timeout_s: 10.0}\n"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a script by name; the modules of its folder are unloaded afterwards."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module
    for name in [name for name, module in sys.modules.items() if _is_script(module)]:
        del sys.modules[name]


def _is_script(module: ModuleType) -> bool:
    return Path(getattr(module, "__file__", None) or "/").parent == BENCHMARKS


@pytest.fixture
def project(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with parameters, one preset and two data sets, in which `eibert new` only records its arguments."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "dvc.yaml").write_text("stages: {distill: {cmd: eibert stage distill}}\n")
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "default.yaml").write_text("distill: {epochs: 12}\n")
    for name in ("mrpc", "snips", "text-sgd-utterances"):
        (tmp_path / "datasets" / name).mkdir(parents=True)
        (tmp_path / "datasets" / name / "train.jsonl").write_text(name)

    def make(command: Sequence[object], **_: object) -> None:
        assert command[1] == "new"
        folder = tmp_path / str(command[2])
        folder.mkdir(parents=True)
        (folder / "params.yaml").write_text(" ".join(map(str, command[3:])))

    module = benchmark("workspaces")
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.setattr(subprocess, "run", make)
    return tmp_path
