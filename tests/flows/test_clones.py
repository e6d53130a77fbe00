"""Two clones at different paths build the same bytes: every file of every artifact."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eibert.artifact import sha256
from eibert.params.load import load
from flows.workspace import find, follow_params, set_params
from tests.flows.conftest import PROJECT
from tests.flows.test_mutations import TINY, flat, write_rows

STAGES = "code ingest validate finetune pretrain prune distill quantize export evaluate"
WHOLE = ["distill.control=true", "distill.variants=20", "pretrain.texts_min=0"]
PROGRAM = f"""
import sys
from pathlib import Path
from flows.adapter import run_stage
sys.exit(max(run_stage(Path.cwd(), stage) for stage in {STAGES.split()}))
"""

pytestmark = pytest.mark.slow


def clone(root: Path, teacher: Path) -> Path:
    """A copy of the project with tiny data and teacher; what naturally differs between clones differs here."""
    for package in ("eibert", "tasks", "flows"):
        shutil.copytree(PROJECT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("constraints.txt", "params.yaml", "dvc.yaml"):
        shutil.copyfile(PROJECT / name, root / name)
    shutil.copytree(teacher, root / "teacher")
    write_rows(root / "rows")
    (root / ".dvc").mkdir()
    set_params(root, [f"{key}={json.dumps(value)}" for key, value in flat(TINY)] + WHOLE)
    follow_params(find(root), load(root / "params.yaml"))
    return root


def build(root: Path, hash_seed: int) -> dict[str, str]:
    """Runs every stage in a process of the clone's own code and returns the digest of every file."""
    differing = {"PYTHONPATH": str(root), "PYTHONHASHSEED": str(hash_seed), "TZ": f"Etc/GMT+{hash_seed}"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, **differing}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    files = [path for path in sorted((root / "data").rglob("*")) if path.is_file()]
    return {path.relative_to(root).as_posix(): sha256(path) for path in files}


def test_two_clones_build_the_same_bytes(tmp_path: Path, teacher_folder: Path) -> None:
    first = build(clone(tmp_path / "a", teacher_folder), 1)
    other = build(clone(tmp_path / "a longer path" / "to another" / "clone", teacher_folder), 2)
    assert {name.split("/")[1] for name in first} == set(STAGES.split())
    assert len(first) > 50
    assert {name: digest for name, digest in other.items() if first.get(name) != digest} == {}
    assert first.keys() == other.keys()
