"""Inputs must not change while a stage runs: outputs made from changed inputs are not recorded."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from eibert import artifact
from eibert.code import CodeReader, project_root
from eibert.errors import ParamsError, RunError
from flows.steady import steady
from tests.flows.conftest import PROJECT

GRAPH = """
stages:
  code:
    cmd: none
    outs: [data/code]
  ingest:
    cmd: none
    deps: [data/code/ingest.json, ../rows, ../text.txt, data/raw/train.csv, data/pretrained.txt]
  pretrain:
    cmd: none
    outs:
      - data/pretrain:
          cache: false
  prune:
    cmd: none
    deps: [data/code/prune.json, data/pretrain]
"""

Change = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace with two stages and the current code digests."""
    place = tmp_path / "w"
    (tmp_path / "rows" / "deep").mkdir(parents=True)
    for name in ("rows/train.csv", "rows/deep/dev.csv", "text.txt"):
        (tmp_path / name).write_text("text,label\n")
    (place / "data" / "code").mkdir(parents=True)
    for name in ("pretrain", "raw"):
        (place / "data" / name).mkdir()
    for name in ("raw/train.csv", "pretrained.txt"):
        (place / "data" / name).write_text("text,label\n")
    (place / "params.yaml").write_bytes((PROJECT / "params.yaml").read_bytes())
    (place / "dvc.yaml").write_text(GRAPH)
    for stage in ("ingest", "prune"):
        artifact.write_json(place / "data" / "code" / f"{stage}.json", CodeReader(project_root()).digests(stage))
    return place


def edit(name: str, before: str, after: str) -> Change:
    def change(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    return change


def grow(folder: Path) -> None:
    with (folder / "../rows/deep/dev.csv").open("a") as file:
        file.write("a,b\n")


def rewrite(folder: Path) -> None:
    """Same size and restored timestamp, but still a different file."""
    path = folder / "../text.txt"
    found, part = path.stat(), folder / "../part"
    part.write_text("TEXT,label\n")
    os.utime(part, ns=(found.st_atime_ns, found.st_mtime_ns))
    part.replace(path)


@pytest.mark.parametrize(
    ("stage", "change", "expected"),
    [
        ("ingest", edit("params.yaml", "dev_share: 0.1", "dev_share: 0.2"), r"params\.yaml: changed while ingest was"),
        ("prune", edit("params.yaml", "seed: 17", "seed: 18"), r"params\.yaml: changed while prune was running"),
        ("ingest", edit("params.yaml", "seed:", "sede:"), "that was valid when ingest began"),
        ("ingest", grow, r"rows/deep/dev\.csv: changed while ingest was running"),
        ("ingest", rewrite, r"text\.txt: changed while"),
        ("ingest", lambda folder: (folder / "../rows/test.csv").write_text("x"), r"rows/test\.csv: changed while"),
        ("ingest", lambda folder: (folder / "../text.txt").unlink(), r"text\.txt: changed while"),
        (
            "ingest",
            edit("data/raw/train.csv", "text", "words"),
            r"data/raw/train\.csv: changed while ingest was running",
        ),
        ("ingest", edit("data/pretrained.txt", "text", "words"), r"data/pretrained\.txt: changed while ingest was"),
    ],
)
def test_what_changes_meanwhile_ends_the_stage(folder: Path, stage: str, change: Change, expected: str) -> None:
    with pytest.raises(RunError, match=expected), steady(folder, stage):
        change(folder)


@pytest.mark.parametrize(
    "change",
    [
        edit("params.yaml", "dev_share: 0.1", "dev_share: 0.2"),  # another stage's
        edit("params.yaml", "seed: 17", "seed: 17  # a comment"),
        lambda folder: (folder / "data" / "pretrain" / "new").touch(),  # the pipeline's own, guarded by a lock
        grow,
    ],
)
def test_what_a_stage_does_not_read_may_change(folder: Path, change: Change) -> None:
    with steady(folder, "prune") as params:
        change(folder)
    assert params.shared.seed == 17


def test_code_that_was_changed_since_it_was_looked_at_does_not_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "data" / "code" / "prune.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tasks.prune": "0" * 64}))
    with steady(folder, "prune"):
        pass  # run by hand, a stage runs whatever has changed
    monkeypatch.setenv("DVC_STAGE", "prune")
    with (
        pytest.raises(RunError, match="the code of prune has changed since"),
        steady(folder, "prune"),
    ):
        raise AssertionError
    with steady(folder, "ingest"):
        pass


@pytest.mark.parametrize("text", ["stages: [", "other: 1", "- 1", ""])
def test_graph_that_cannot_be_read_is_told_in_one_line(folder: Path, text: str) -> None:
    (folder / "dvc.yaml").write_text(text)
    with pytest.raises(RunError, match=r"dvc\.yaml: not readable as YAML with `stages`"), steady(folder, "prune"):
        raise AssertionError


def test_error_of_the_stage_itself_comes_first(folder: Path) -> None:
    with pytest.raises(ParamsError, match="mine"), steady(folder, "prune"):  # noqa: PT012
        edit("params.yaml", "seed: 17", "seed: 18")(folder)
        raise ParamsError("mine")
