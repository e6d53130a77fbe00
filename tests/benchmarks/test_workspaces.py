"""A benchmark's workspace matches the current parameters, sources and settings."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.benchmarks.conftest import BENCHMARKS
from tests.flows.conftest import heed_interrupts

RUN = """#!/bin/sh
trap 'exit 130' TERM
echo $$ > pid
while :; do sleep 0.1; done
"""
STARTER = """
import sys
from pathlib import Path
import workspaces
workspaces.COMMAND, workspaces.PROJECT = Path("eibert").resolve(), Path.cwd()
workspaces.run(Path("models/one"))
"""


def replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


CHANGES: dict[str, Callable[[Path], None]] = {
    "preset": lambda project: replace(project / "presets" / "default.yaml", "12", "13"),
    "parameters": lambda project: replace(project / "params.yaml", "threads: 1", "threads: 2"),
    "data": lambda project: replace(project / "datasets" / "snips" / "train.jsonl", "snips", "more"),
    "unlabelled text": lambda project: replace(
        project / "datasets" / "text-sgd-utterances" / "train.jsonl", "sgd", "x"
    ),
}


@pytest.mark.parametrize("what", [*CHANGES, "list of unlabelled sources"])
def test_change_of_what_decides_the_model_makes_another_workspace(project: Path, benchmark: Any, what: str) -> None:
    module = benchmark("workspaces")
    task = module.Task("snips", 17, "default", project / "datasets")
    before = task.workspace()
    assert task.workspace() == before
    if what in CHANGES:
        CHANGES[what](project)
    else:
        module.UNLABELLED = module.UNLABELLED | {"snips": ()}
    assert task.workspace() != before
    assert {path.name for path in (project / "models" / "default").iterdir()} == {before.name, task.workspace().name}


def test_what_no_stage_reads_leaves_the_workspace(project: Path, benchmark: Any) -> None:
    task = benchmark("workspaces").Task("snips", 17, "default", project / "datasets")
    before = task.workspace()
    replace(project / "params.yaml", "10.0", "20.0")
    replace(project / "presets" / "default.yaml", "distill:", "# a comment\ndistill:")
    assert task.workspace() == before


def test_settings_belong_to_the_workspace_and_reach_it(project: Path, benchmark: Any) -> None:
    module = benchmark("workspaces")
    plain = module.Task("snips", 17, "default", project / "datasets")
    threads = module.Task("snips", 17, "default", project / "datasets", dict([module.setting("distill.threads=2")]))
    assert len({plain.workspace(), threads.workspace(), threads.workspace("less", {"distill.epochs": 1})}) == 3
    given = (project / threads.workspace("less", {"distill.epochs": 1}) / "params.yaml").read_text()
    assert given.endswith("--set seed=17 --set distill.threads=2 --set distill.epochs=1")


@pytest.mark.parametrize("text", ["distill.threads", "=2", "distill..threads=2"])
def test_setting_of_another_form_is_told(benchmark: Any, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"expected section\.key=value"):
        benchmark("workspaces").setting(text)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_ends_with_its_benchmark(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "eibert").write_text(RUN)
    (tmp_path / "eibert").chmod(0o755)
    environment = os.environ | {"PYTHONPATH": f"{BENCHMARKS}{os.pathsep}{BENCHMARKS.parent}"}
    with subprocess.Popen(
        [sys.executable, "-c", STARTER],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=heed_interrupts,
    ) as one:
        until(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text().endswith("\n"))
        one.send_signal(number)
        try:
            assert one.wait(20) != 0
        finally:
            one.kill()
    run = int((tmp_path / "pid").read_text())
    until(lambda: not psutil.pid_exists(run))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
