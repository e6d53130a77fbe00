"""A benchmark's workspace matches the current parameters, sources and settings."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


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
