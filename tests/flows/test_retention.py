"""Which versions, and which cache objects, are collected."""

import json
import os
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eibert.params.load import Params
from flows import cli, retention
from flows.alone import alone, at_work, retraining
from flows.retention import collect, superfluous
from flows.run import Selection, run
from flows.workspace import Workspace, set_params
from tasks import registry, runs
from tasks.registry import Version
from tests.flows.conftest import ran

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

NOW = datetime(2026, 6, 30, tzinfo=UTC)


def version(number: int, days: float, *aliases: str) -> Version:
    return Version(number, f"{number}", NOW - timedelta(days=days), "run", {}, aliases)


@pytest.mark.parametrize(
    ("keep", "days", "gone"),
    [(1, 0.0, [2, 3]), (2, 0.0, [2, 3]), (3, 0.0, [2]), (1, 45.0, [2]), (1, 100.0, []), (9, 0.0, [])],
)
def test_versions_go_beyond_both_bounds_only(params: Params, keep: int, days: float, gone: list[int]) -> None:
    # Version 1 is in service, 4 and 5 are young or newest.
    known = [version(1, 90, "champion"), version(2, 60), version(3, 40), version(4, 20, "challenger"), version(5, -1)]
    bounds = params.retention.model_copy(update={"versions": keep, "days": days})
    assert [one.number for one in superfluous(known, bounds, now=NOW)] == gone


@pytest.fixture
def built(unbuilt: Workspace, sequential: None) -> Workspace:
    """A workspace in which all stages have run."""
    run(unbuilt, Selection())
    ran(unbuilt)
    return unbuilt


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "versions", lambda *_: [])
    monkeypatch.setattr(runs, "collect", lambda *_: 0)


def objects(workspace: Workspace) -> set[Path]:
    return {path for path in (workspace.root / ".dvc" / "cache" / "files").rglob("*") if path.is_file()}


def age(paths: set[Path], days: float) -> None:
    then = time.time() - days * 86400
    for path in paths:
        os.utime(path, (then, then))


@pytest.mark.usefixtures("empty_registry")
def test_objects_of_an_earlier_state_go_and_the_present_one_stays_whole(built: Workspace) -> None:
    before = objects(built)
    run(built, Selection(), ["quantize.percentile=99.5", "retention.days=1"])
    added = objects(built) - before
    age(objects(built), 3)
    [said] = collect(built)
    gone = before - objects(built)
    assert gone
    assert added <= objects(built)
    assert said.startswith(f"collected {len(gone)} objects from DVC's cache")
    shutil.rmtree(built.folder / "data")
    ran(built)
    assert set(run(built, Selection()).states.values()) == {"Restored"}
    assert ran(built) == []


@pytest.mark.usefixtures("empty_registry")
def test_objects_of_a_workspace_that_git_ignores_stay(built: Workspace) -> None:
    subprocess.run(["git", "init", "-q"], cwd=built.root, check=True)
    other = shutil.copytree(built.folder, built.root / "models" / "ignored")
    run(built, Selection(), ["quantize.percentile=99.5", "retention.days=1"])
    (built.root / ".gitignore").write_text("models/ignored/\n")
    age(objects(built), 3)
    assert collect(built) == []
    shutil.rmtree(other)
    [said] = collect(built)
    assert said.startswith("collected ")


def entries(workspace: Workspace) -> set[Path]:
    return {path for path in (workspace.root / ".dvc" / "cache" / "runs").rglob("*") if path.is_file()}


@pytest.mark.usefixtures("empty_registry")
def test_what_the_run_cache_says_goes_with_what_it_names(built: Workspace) -> None:
    before = entries(built)
    run(built, Selection(), ["quantize.percentile=99.5", "retention.days=1"])
    added = entries(built) - before
    stale = {path for path in before if command_of(path) in {command_of(path) for path in added}}
    unread = sorted(before - stale)[0]
    unread.write_text("altered")
    age(objects(built), 3)
    [_] = collect(built)
    assert entries(built) == before | added  # young
    age(entries(built), 3)
    assert collect(built) == [f"collected {len(stale)} entries from its run cache"]
    assert entries(built) == before - stale | added
    assert stale
    assert unread.exists()  # left for `eibert verify` to report
    assert collect(built) == []


def command_of(entry: Path) -> str:
    """The first line of a run cache entry."""
    return entry.read_text().split("\n", 1)[0]


def commit(workspace: Workspace) -> str:
    """Commits everything; returns the commit."""
    git = ["git", "-C", str(workspace.root)]
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "all"], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.usefixtures("empty_registry")
def test_young_objects_and_those_of_a_commit_stay(built: Workspace) -> None:
    commit(built)
    before = objects(built)
    run(built, Selection(), ["quantize.percentile=99.5", "retention.days=1"])
    run(built, Selection(), ["quantize.percentile=99.25"])
    young = objects(built)
    assert collect(built) == []
    age(young, 3)
    [_] = collect(built)
    assert before <= objects(built)  # the branch names them
    assert objects(built) < young


@pytest.mark.usefixtures("empty_registry")
def test_cache_is_left_alone_while_a_run_is_at_work(built: Workspace) -> None:
    set_params(built.folder, ["retention.days=0"])
    age(objects(built), 3)
    shutil.rmtree(built.folder / "data")
    (built.folder / "dvc.lock").unlink()
    before = objects(built)
    with alone(built, wait=False):
        assert collect(built, running=True) == []
    assert objects(built) == before
    assert collect(built) != []


@pytest.mark.usefixtures("empty_registry")
def test_cache_outside_the_repository_is_left_to_those_who_share_it(built: Workspace, tmp_path: Path) -> None:
    set_params(built.folder, ["retention.days=0"])
    shared = tmp_path / "shared"
    shutil.copytree(built.root / ".dvc" / "cache", shared)
    foreign = shared / "files" / "md5" / "00" / ("0" * 30)
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("of another project")
    age({path for path in shared.rglob("*") if path.is_file()}, 3)
    (built.root / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {shared}\n")
    assert collect(built) == []
    assert foreign.exists()
    (built.root / ".dvc" / "config.local").unlink()


def test_old_versions_are_discarded_one_by_one_and_nobody_rolls_back_meanwhile(
    unbuilt: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    known = [Version(n, f"{n}", now - timedelta(days=60 - n), "run", {}, ()) for n in range(1, 13)]
    known[0] = Version(1, "1", now - timedelta(days=90), "run", {}, ("champion",))
    gone: list[int] = []
    kept_out: list[bool] = []

    def versions(*_: object) -> list[Version]:
        kept_out.append(at_work(unbuilt, retrainings=False))
        return known

    def discard(_root: Path, _name: str, number: int) -> None:
        kept_out.append(at_work(unbuilt, retrainings=False))
        gone.append(number)

    monkeypatch.setattr(registry, "versions", versions)
    monkeypatch.setattr(registry, "discard", discard)
    monkeypatch.setattr(runs, "collect", lambda *_: 0)
    monkeypatch.setattr(retention, "_collect_cache", lambda *_: "")
    said = collect(unbuilt)
    assert gone == [2]  # ten are kept, plus the one in service
    assert kept_out == [True, True]
    assert said == [f"collected version 2 of {now - timedelta(days=58):%Y-%m-%d}"]


CONFLICT = "<<<<<<< ours\nschema: '2.0'\n=======\nschema: '1.0'\n>>>>>>> theirs\n"


@pytest.fixture
def due(unbuilt: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a version and an object of the cache that are due to be removed."""
    now = datetime.now(UTC)
    known = [Version(n, f"{n}", now - timedelta(days=60 - n), "run", {}, ()) for n in range(1, 12)]
    monkeypatch.setattr(registry, "versions", lambda *_: known)
    monkeypatch.setattr(registry, "discard", lambda _root, _name, number: known.remove(known[number - 1]))
    monkeypatch.setattr(runs, "collect", lambda *_: 0)
    unused = unbuilt.root / ".dvc" / "cache" / "files" / "md5" / "00" / ("0" * 30)
    unused.parent.mkdir(parents=True)
    unused.write_text("unused")
    age({unused}, 400)
    sibling = unbuilt.root / "models" / "v"
    sibling.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(unbuilt.folder / name, sibling / name)
    return unbuilt


def gone(days: int) -> str:
    return f"collected version 1 of {datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}"


@pytest.mark.parametrize("name", ["v/dvc.lock", "v/dvc.yaml", "w/dvc.lock"])
def test_cache_stays_while_a_workspace_cannot_be_read_and_what_went_is_told(
    name: str, due: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(due.root)
    path = due.root / "models" / name
    before, good = objects(due), path.read_bytes() if path.exists() else None
    path.write_text(CONFLICT)
    assert collect(due) == [
        gone(59),
        f"not collected: DVC's cache: unable to read: 'models/{name}', YAML file structure is corrupted; "
        "mend it (`eibert run` there repairs a dvc.lock), then repeat the command",
    ]
    assert objects(due) == before
    assert path.read_text() == CONFLICT
    path.unlink() if good is None else path.write_bytes(good)
    assert collect(due) == ["collected 1 objects from DVC's cache, 6 bytes"]
    assert objects(due) == set()


def test_command_goes_on_with_other_models_and_ends_with_one(due: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(due.root)
    (due.root / "models" / "v" / "dvc.lock").write_text(CONFLICT)
    (due.root / "models" / "u").mkdir()
    (due.root / "models" / "u" / "params.yaml").write_text("seed: none\n")
    shutil.copy(due.folder / "dvc.yaml", due.root / "models" / "u" / "dvc.yaml")
    done = CliRunner().invoke(cli.app, ["collect", "--all", "--json"], catch_exceptions=False)
    assert done.exit_code == 1
    found = {Path(folder).name: lines for folder, lines in json.loads(done.stdout)["collected"].items()}
    unread = "not collected: DVC's cache: unable to read: 'models/v/dvc.lock'"
    assert [line.partition(":")[0] for line in found["u"]] == ["not collected"]
    assert [line.partition(", ")[0] for line in found["v"]] == [gone(59), unread]
    assert [line.partition(", ")[0] for line in found["w"]] == [unread]
    (due.root / "models" / "v" / "dvc.lock").unlink()
    done = CliRunner().invoke(cli.app, ["collect", "-C", str(due.folder)], catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (0, f"{due.folder}: collected 1 objects from DVC's cache, 6 bytes\n")


def test_cache_stays_while_a_branch_cannot_be_read(due: Workspace) -> None:
    git = ["git", "-C", str(due.root)]
    commit(due)
    subprocess.run([*git, "checkout", "-qb", "other"], check=True)
    (due.root / "models" / "v" / "dvc.lock").write_text(CONFLICT)
    bad = commit(due)
    subprocess.run([*git, "checkout", "-q", "-"], check=True)
    before = objects(due)
    assert collect(due) == [
        gone(59),
        f"not collected: DVC's cache: unable to read: 'models/v/dvc.lock', YAML file structure is corrupted, in "
        f"other,{bad}; mend or delete that branch or tag, a mere commit counts only for `retention.days`",
    ]
    assert objects(due) == before
    subprocess.run([*git, "branch", "-qD", "other"], check=True)
    assert collect(due) == ["collected 1 objects from DVC's cache, 6 bytes"]


@pytest.mark.usefixtures("empty_registry")
def test_cache_of_a_repository_that_dvc_cannot_open_is_told(unbuilt: Workspace) -> None:
    (unbuilt.root / ".dvc" / "config.local").write_text("[core\n")
    [said] = collect(unbuilt)
    assert said.startswith(f"not collected: {unbuilt.root / '.dvc'}: rejected by DVC: ")


def test_retraining_leaves_versions_for_another_time_while_a_run_is_at_work(
    unbuilt: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    known = [Version(n, f"{n}", now - timedelta(days=60 - n), "run", {}, ()) for n in range(1, 13)]
    gone: list[int] = []
    monkeypatch.setattr(registry, "versions", lambda *_: known)
    monkeypatch.setattr(registry, "discard", lambda _root, _name, number: gone.append(number))
    monkeypatch.setattr(runs, "collect", lambda *_: 0)
    with retraining(unbuilt, wait=False):
        with alone(unbuilt, wait=False):
            assert collect(unbuilt, running=True) == []
        assert gone == []
        assert len(collect(unbuilt, running=True)) == 2
    assert gone == [1, 2]
