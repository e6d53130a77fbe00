"""The web part, built as by `make web`, and bundles for it; skipped with a reason if it cannot be built."""

import subprocess
import tempfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from eibert.corpus import Split, TaskSpec
from eibert.export import write_bundle
from eibert.params.load import Params
from eibert.params.quantize import Granularity
from eibert.quantize.post_training import quantize
from eibert.student import Student

PROJECT = Path(__file__).parents[2]
WEB = PROJECT / "web"
ONE_AT_A_TIME = FileLock(Path(tempfile.gettempdir()) / "eibert-tools.lock")
"""Held while installing or building something that tests in other processes use too."""

MakeBundle = Callable[[str], Path]


def need(*tools: str) -> None:
    """Skips the test if a tool is missing and cannot be installed; the script gives the reason."""
    with ONE_AT_A_TIME:
        done = subprocess.run(["sh", WEB / "tools.sh", *tools], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(done.stderr.strip().splitlines()[-1])


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder `web`, built."""
    need("node", "npm")
    with ONE_AT_A_TIME:
        done = subprocess.run(["make", "web"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return WEB


@pytest.fixture(scope="session")
def browser(built: Path) -> None:
    """Ensures that Chromium is available."""
    need("chromium")


@pytest.fixture
def make_bundle(student: Student, rows: Split, params: Params, tmp_path: Path) -> MakeBundle:
    """Writes a bundle of a tiny student: with four-bit weights for `classes`, or for `pairs` or `numbers`."""

    def write(task: str) -> Path:
        spec = TaskSpec(task, pair=task == "pairs", labels=("call", "play", "stop"), metric="accuracy")
        model, data, section = deepcopy(student), rows, params.quantize
        if task == "classes":
            four = {"bits": 4, "granularity": Granularity.GROUP}
            kinds = ("embedding", "attention", "feed_forward", "head")
            section = section.model_copy(
                update={"group": 2} | {kind: getattr(section, kind).model_copy(update=four) for kind in kinds}
            )
        if task == "pairs":
            data = Split(rows.texts, rows.texts[::-1], rows.targets)
        if task == "numbers":
            spec = TaskSpec(task, pair=False, labels=(), metric="spearman")
            data = Split(rows.texts, None, rows.targets.astype(np.float32))
            model = Student(replace(student.shape, outputs=1), student.tokens).eval()
        model.fold()
        folder = tmp_path / task
        folder.mkdir()
        write_bundle(model, quantize(model, spec, data, section)[1], spec, params.export, folder)
        return folder

    return write
