"""`eibert rebuild`: an old state is rebuilt in a temporary place, which is removed afterwards."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eibert import artifact, trail
from eibert.errors import DataError, RunError
from flows import rebuild
from flows.run import Selection, run
from flows.workspace import Workspace, find
from flows.worktree import checked_out
from tasks import git
from tests.flows.conftest import STAGES, command, heed_interrupts, ran
from tests.recorded import commit

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")


def worktrees(root: Path) -> int:
    said = subprocess.run(["git", "worktree", "list"], cwd=root, capture_output=True, text=True, check=True)
    return len(said.stdout.splitlines())


@pytest.fixture(scope="session")
def _three_states(_built: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A repository with three committed states, of which the last is built, and a digest found only in the first."""
    root = tmp_path_factory.mktemp("three") / "root"
    shutil.copytree(_built, root)
    workspace = find(root / "models" / "w")
    commit(root)
    run(workspace, Selection())
    first = artifact.sha256(workspace.folder / "data" / "quantize" / "value.json")
    for value in ("99.5", "99.0"):
        run(workspace, Selection(), [f"quantize.percentile={value}"])
        commit(root)
        run(workspace, Selection())
    ran(workspace)
    return root, first


@pytest.fixture
def history(_three_states: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, str]:
    """A copy of that repository, and a temporary folder of its own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    root, first = _three_states
    shutil.copytree(root, tmp_path / "root")
    return find(tmp_path / "root" / "models" / "w"), first


def test_state_of_two_commits_ago_is_rebuilt_bit_for_bit(history: tuple[Workspace, str]) -> None:
    workspace, first = history
    shutil.rmtree(workspace.root / ".dvc" / "cache")  # so nothing can come from there
    done = command("rebuild", first, "--json", folder=workspace.folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["bundle"]["same"] is True
    assert list(found["stages"]) == STAGES
    assert all(file["same"] for files in found["stages"].values() for file in files.values())
    assert found["stages"]["quantize"]["value.json"]["rebuilt"] == first
    assert all("manifest.json" in files for files in found["stages"].values())
    assert found["warnings"] == []
    assert ran(workspace) == []
    assert artifact.sha256(workspace.folder / "data" / "quantize" / "value.json") != first
    assert worktrees(workspace.root) == 1
    assert list(Path(os.environ["TMPDIR"]).glob("eibert*")) == []


def test_other_result_is_named_and_ends_with_one(history: tuple[Workspace, str]) -> None:
    workspace, first = history
    found = rebuild.rebuild(workspace.folder, first)
    bundle = {"bytes": 5, "files": {}, "sha256": "ab" * 32}
    other = trail.Record(found.record.sequence, found.record.previous, {**found.record.body, "bundle": bundle})
    stages = {**found.stages, "export": {"x": ("a", "b"), "y": ("a", "a")}}
    changed = rebuild.Rebuilt(other, stages, found.bundle, ["w"], 1.0)
    assert changed.same is False
    assert rebuild.Rebuilt(found.record, found.stages, found.bundle, [], 1.0).same is True
    assert rebuild.Rebuilt(found.record, stages, found.bundle, [], 1.0).same is False
    said = list(rebuild.lines(changed))
    assert "warning: w" in said
    assert any("1 of 2 files the same; differ: x" in line for line in said)
    assert said[-2:] == ["artifacts: NOT the same: export", said[-1]]
    assert "NOT the same" in said[-1]


def test_uncommitted_record_is_refused(history: tuple[Workspace, str]) -> None:
    workspace, _ = history
    run(workspace, Selection(), ["quantize.percentile=98.0"])
    digest = artifact.sha256(workspace.folder / "data" / "quantize" / "value.json")
    with pytest.raises(RunError, match=r"uncommitted changes \(models/w/params\.yaml\)") as caught:
        rebuild.rebuild(workspace.folder, digest)
    assert "\n" not in str(caught.value)


def test_clean_record_of_the_same_bundle_is_rebuilt(
    history: tuple[Workspace, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = history
    run(workspace, Selection(), ["evaluate.batch_size=3"])
    *_, clean, dirty = trail.read(workspace.root / "trail")
    assert (clean.body["git"]["dirty"], dirty.body["git"]["dirty"]) == (False, True)
    assert clean.body["bundle"] == dirty.body["bundle"]
    monkeypatch.setattr(rebuild, "_reproduce", lambda *_: None)  # builds nothing: that is tested elsewhere
    monkeypatch.setattr(artifact, "read_manifest", lambda *_: {"files": {}})
    monkeypatch.setattr(artifact, "sha256", lambda _: "")
    assert rebuild.rebuild(workspace.folder, clean.body["bundle"]["sha256"]).record == clean
    with pytest.raises(RunError, match=f"record {dirty.sequence} was built with uncommitted"):
        rebuild.rebuild(workspace.folder, dirty.body["stages"]["evaluate"]["manifest_sha256"])


def test_manifests_are_compared(tmp_path: Path) -> None:
    with artifact.writing(tmp_path, "x", params={"seed": 17}, inputs={}) as part:
        artifact.write_json(part / "metrics.json", {"figure": 0.5})
    digest = artifact.sha256(tmp_path / "data" / "x" / "manifest.json")
    recorded = {"files": artifact.read_manifest(tmp_path, "x")["files"], "manifest_sha256": digest}
    assert all(one == other for one, other in rebuild._compared(tmp_path, "x", recorded).values())
    with artifact.writing(tmp_path, "x", params={"seed": 18}, inputs={}) as part:
        artifact.write_json(part / "metrics.json", {"figure": 0.5})
    found = rebuild._compared(tmp_path, "x", recorded)
    assert [name for name, (one, other) in found.items() if one != other] == ["manifest.json"]


def test_failing_stage_is_told_and_everything_is_cleared_away(history: tuple[Workspace, str]) -> None:
    workspace, _ = history
    (workspace.folder / "break-quantize").write_text("quantize: no room")
    commit(workspace.root)
    run(workspace, Selection(), ["evaluate.batch_size=3"])
    commit(workspace.root)
    run(workspace, Selection())
    digest = artifact.sha256(workspace.folder / "data" / "evaluate" / "value.json")
    with pytest.raises(RunError, match="the rebuild stopped: quantize: no room"):
        rebuild.rebuild(workspace.folder, digest)
    assert worktrees(workspace.root) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_rebuild_leaves_nothing(history: tuple[Workspace, str], number: int) -> None:
    workspace, first = history
    arguments = [sys.executable, "-m", "flows.cli", "rebuild", first]
    environment = os.environ | {"STUB_SECONDS": "60"}
    process = subprocess.Popen(
        arguments, cwd=workspace.folder, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )
    temporary = Path(os.environ["TMPDIR"])
    while not list(temporary.rglob("models/w/ran.txt")):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert worktrees(workspace.root) == 1
    assert list(temporary.glob("eibert*")) == []


@pytest.mark.parametrize(("content", "message"), [(None, "missing"), ("other", "changed")])
def test_sources_no_commit_holds_are_compared_first(
    signed: Path, content: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = signed / "rows.csv"
    digest = artifact.sha256(path)
    monkeypatch.setattr(rebuild, "_read_by", lambda _: {"../rows.csv": digest})
    path.unlink()
    commit(signed)
    if content:
        path.write_text(content)
    monkeypatch.setattr(rebuild, "_commit", lambda *_: git.answer(signed, "rev-parse", "HEAD"))
    with pytest.raises(DataError, match=rf"rows\.csv: {message}.*restore") as caught:
        rebuild.rebuild(signed, str(signed / "w" / "data" / "export" / "bundle"))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")
    assert worktrees(signed) == 1


@pytest.mark.parametrize("content", [None, "other"])
def test_sources_in_the_commit_are_read_there(
    signed: Path, content: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = signed / "rows.csv"
    earlier, digest = path.read_text(), artifact.sha256(path)
    monkeypatch.setattr(rebuild, "_read_by", lambda _: {"../rows.csv": digest})
    path.unlink()
    if content:
        path.write_text(content)
    seen = []

    def reproduce(place: Path, *_: Path) -> None:
        seen.append((place / "rows.csv").read_text())
        raise RunError("enough seen")

    monkeypatch.setattr(rebuild, "_reproduce", reproduce)
    with pytest.raises(RunError, match="enough seen"):
        rebuild.rebuild(signed, str(signed / "w" / "data" / "export" / "bundle"))
    assert seen == [earlier]


def test_a_folder_partly_in_the_commit_is_completed(signed: Path) -> None:
    (signed / "rows").mkdir()
    (signed / "rows" / "LICENCE").write_text("free")
    (signed / ".gitignore").write_text("*.csv\n")
    commit(signed)
    (signed / "rows" / "train.csv").write_text("x")
    head = git.answer(signed, "rev-parse", "HEAD")
    assert head
    with checked_out(signed, head, ["rows", "rows/train.csv", "rows/lost.csv"]) as place:
        assert (place / "rows" / "train.csv").read_text() == "x"
        assert not (place / "rows" / "LICENCE").is_symlink()
        assert not (place / "rows" / "lost.csv").is_symlink()


def test_lost_commit_is_told(signed: Path) -> None:
    bundle = str(signed / "w" / "data" / "export" / "bundle")
    (signed / ".git").rename(signed / "gone.git")
    subprocess.run(["git", "init", "-q", str(signed)], check=True)
    with pytest.raises(RunError, match=r"commit [0-9a-f]{40} is not in .*fetch it"):
        rebuild.rebuild(signed, bundle)


def test_hooks_of_dvc_do_not_hinder_a_checkout(signed: Path) -> None:
    hook = signed / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    commit = git.answer(signed, "rev-parse", "HEAD")
    assert commit
    with checked_out(signed, commit, []) as place:
        assert place != signed
        assert git.answer(place, "rev-parse", "HEAD") == commit
        assert git.answer(place, "status", "--porcelain") == ""


def test_outside_paths_lead_to_what_is_there_now(signed: Path, tmp_path: Path) -> None:
    (tmp_path / "far" / "data").mkdir(parents=True)
    (tmp_path / "far" / "data" / "train.csv").write_text("x")
    (signed / "ignored").mkdir()
    (signed / "ignored" / "rows.csv").write_text("y")
    up = os.path.relpath(tmp_path / "far" / "data", signed)
    head = git.answer(signed, "rev-parse", "HEAD")
    assert head
    outside = [up, f"w/../../{up}", "ignored/rows.csv", "rows.csv", f"../../{'../' * 40}etc/hostname"]
    with checked_out(signed, head, outside) as place:
        assert place != signed
        assert (place / up / "train.csv").read_text() == "x"
        assert (place / "w" / ".." / up / "train.csv").read_text() == "x"
        assert (place / "ignored" / "rows.csv").read_text() == "y"
        assert not (place / "rows.csv").is_symlink()
        kept = place
    assert not kept.exists()
    assert worktrees(signed) == 1
