"""`dvc repro` without `eibert run`: its results reflect the current code and libraries."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from flows.graph import read_graph
from flows.run import Selection, run
from flows.stage import bring
from flows.status import causes
from flows.workspace import Workspace, find
from tests.flows.conftest import PROJECT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

STAGES = ["code", "validate", "prune"]
HAND_ON = """
import pathlib, shutil, sys
from eibert import artifact

with artifact.writing(pathlib.Path(), sys.argv[1], params={}, inputs={}) as part:
    shutil.copy(f"data/code/{sys.argv[1]}.json", part)
"""


@pytest.fixture
def place(unbuilt: Workspace) -> Workspace:
    """The project's own stage `code`, and two stages that pass on their digests."""
    root = unbuilt.root
    for package in ("eibert", "tasks"):
        shutil.copytree(PROJECT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("constraints.txt", "params.yaml", ".dvcignore"):
        shutil.copy(PROJECT / name, root / name)
    stages = {"code": yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]["code"]}
    for name in STAGES[1:]:
        command = f"echo {name} >> ran.txt && python hand_on.py {name}"
        stages[name] = {"cmd": command, "deps": [f"data/code/{name}.json"], "outs": [f"data/{name}"]}
    (root / "hand_on.py").write_text(HAND_ON)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    return find(root)


def repro(place: Workspace, *first: Path) -> list[str]:
    """Returns the stages that run after `code` when these folders come first on the import path."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [*first, place.root, PROJECT]))}
    done = subprocess.run(["dvc", "repro"], cwd=place.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = place.folder / "ran.txt"
    ran = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return ran


def installed(folder: Path, name: str, version: str) -> Path:
    """A folder in which another version of a library is installed, according to its metadata."""
    about = folder / f"{name}-{version}.dist-info" / "METADATA"
    about.parent.mkdir(parents=True)
    about.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder


def test_another_version_of_a_library_is_seen_by_dvc_alone(place: Workspace, tmp_path: Path) -> None:
    assert sorted(repro(place)) == ["prune", "validate"]
    assert repro(place) == []
    assert repro(place, installed(tmp_path / "later", "torch", "99.1")) == ["prune"]
    assert '"torch": "99.1"' in (place.folder / "data" / "prune" / "prune.json").read_text()


def test_code_is_no_cause_where_nothing_changed(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.code.project_root", lambda: place.root)
    repro(place)
    assert not any(causes(place, read_graph(place)).values())
    assert run(place, Selection()).outcomes == {}
    monkeypatch.chdir(place.folder)
    before = (place.folder / "logs" / "code.log").stat().st_mtime_ns
    assert bring(place, "code", force=False, share_terminal=False) == "Cached"
    assert (place.folder / "logs" / "code.log").stat().st_mtime_ns == before
