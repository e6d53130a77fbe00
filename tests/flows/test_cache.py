"""Objects in DVC's cache are checked against their names before use; corrupt ones are quarantined."""

import errno
import json
import logging
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

import pytest
from dvc.rwlock import rwlock

from eibert.errors import RunError
from flows.cache import folder_digest
from flows.diff import diff
from flows.findings import Verdict
from flows.graph import opened, read_graph
from flows.run import Selection, run
from flows.status import causes
from flows.verify import verify
from flows.workspace import Workspace, set_params
from tests.flows.conftest import STAGES, ran
from tests.recorded import commit

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")


def cached(workspace: Workspace, stage: str, file: str | None) -> Path:
    """The cache object of one file of an output, or of its directory listing."""
    import yaml

    lock = yaml.safe_load((workspace.folder / "dvc.lock").read_text())
    name = lock["stages"][stage]["outs"][0]["md5"]
    place = workspace.root / ".dvc" / "cache" / "files" / "md5"
    listing = place / name[:2] / name[2:]
    if file is None:
        return listing
    [oid] = [entry["md5"] for entry in json.loads(listing.read_text()) if entry["relpath"] == file]
    return place / oid[:2] / oid[2:]


def spoil(path: Path, *, writable: bool) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"17", b"71") + b" ")
    path.chmod(0o644 if writable else 0o444)


def quarantined(workspace: Workspace) -> list[Path]:
    return sorted((workspace.root / ".eibert" / "quarantine").glob("*[!n]"))


def runs_of(workspace: Workspace, stage: str) -> list[Path]:
    entries = (workspace.root / ".dvc" / "cache" / "runs").rglob("*")
    return [path for path in entries if path.is_file() and f"stub.py {stage}" in path.read_text()]


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("file", ["value.json", "manifest.json", None])
def test_altered_object_is_set_aside_and_the_stage_rebuilt(
    workspace: Workspace, file: str | None, writable: bool
) -> None:
    path = cached(workspace, "quantize", file)
    spoil(path, writable=writable)
    bad = path.read_bytes()
    shutil.rmtree(workspace.folder / "data" / "quantize")
    result = run(workspace, Selection())
    assert result.states == dict.fromkeys(STAGES, "Cached") | {"quantize": "Completed"}
    assert ran(workspace) == ["quantize"]
    [aside] = [found for found in quarantined(workspace) if not found.name.endswith(".json") or found.suffix == ""]
    assert aside.read_bytes() == bad
    note = json.loads(aside.with_name(f"{aside.name}.note.json").read_text())
    assert note["from"] == str(path.relative_to(workspace.root))
    assert note["why"].startswith("altered")
    assert path.read_bytes() != bad
    shutil.rmtree(workspace.folder / "data" / "quantize")
    assert run(workspace, Selection()).states["quantize"] == "Restored"


def test_altered_object_of_earlier_parameters_is_not_served(workspace: Workspace) -> None:
    path = cached(workspace, "quantize", "value.json")
    run(workspace, Selection(), ["quantize.percentile=99.5"])
    spoil(path, writable=False)
    ran(workspace)
    result = run(workspace, Selection(), ["quantize.percentile=99.99"])
    assert [result.states[stage] for stage in STAGES[3:]] == ["Completed", "Restored", "Restored"]
    assert len(quarantined(workspace)) == 1


@pytest.mark.parametrize("file", ["value.json", None])
def test_missing_object_is_put_back_from_the_sound_output(workspace: Workspace, file: str | None) -> None:
    path = cached(workspace, "quantize", file)
    content = path.read_bytes()
    path.unlink()
    result = run(workspace, Selection())
    assert result.states == dict.fromkeys(STAGES, "Cached") | {"quantize": "Restored"}
    assert ran(workspace) == []
    assert path.read_bytes() == content


def test_altered_entry_of_the_run_cache_is_not_believed(workspace: Workspace) -> None:
    [entry] = runs_of(workspace, "quantize")
    other = cached(workspace, "export", None)
    entry.write_text(entry.read_text().replace(cached(workspace, "quantize", None).name, other.name))
    run(workspace, Selection(), ["quantize.percentile=99.5"])
    ran(workspace)
    states = run(workspace, Selection(), ["quantize.percentile=99.99"]).states
    assert states["quantize"] == "Completed"
    assert len(quarantined(workspace)) == 1
    assert ran(workspace) == ["quantize"]


@pytest.mark.parametrize("text", ["", "\0\0\0", "schema: '2.0'\nstages:\n  ing", "{"])
def test_torn_lock_file_is_set_aside_and_all_comes_back_without_running(workspace: Workspace, text: str) -> None:
    (workspace.folder / "dvc.lock").write_text(text)
    result = run(workspace, Selection())
    assert result.error == ""
    assert set(result.states.values()) == {"Restored"}
    assert ran(workspace) == []
    assert [path.read_text() for path in quarantined(workspace)] == [text]


def test_write_of_dvc_lock_that_is_cut_off_leaves_the_one_that_was_there(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (workspace.folder / "dvc.lock").read_text()
    half_written = []

    def cut_off(_: object, stream: TextIO) -> None:
        stream.write(before[: len(before) // 2])
        stream.flush()
        half_written.append(stream.name)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("dvc.utils.serialize._yaml._dump", cut_off)
        assert "No space left" in run(workspace, Selection(), ["quantize.percentile=98.5"]).error
    assert half_written
    assert (workspace.folder / "dvc.lock").read_text() == before
    assert not [path for path in workspace.folder.iterdir() if path.name.endswith(".part")]
    assert run(workspace, Selection()).error == ""


def test_write_of_dvcs_list_that_is_cut_off_leaves_those_at_work(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(_: object, stream: TextIO) -> None:
        stream.write('{"write": {"/da')
        stream.flush()
        raise KeyboardInterrupt

    with opened(workspace) as repo:
        path, locked = Path(repo.tmp_dir, "rwlock"), partial(rwlock, repo.tmp_dir, repo.fs, read=[], hardlink=False)
        with locked("one", write=[str(workspace.folder / "data" / "ingest")]):
            before = path.read_text()
            another = locked("another", write=[str(workspace.folder / "data" / "finetune")])
            monkeypatch.setattr("json.dump", cut_off)
            with pytest.raises(KeyboardInterrupt):
                another.__enter__()
            monkeypatch.undo()
            assert path.read_text() == before
            assert "data/ingest" in before


READERS: dict[str, Callable[[Workspace], object]] = {
    "status": lambda w: causes(w, read_graph(w)),
    "diff": lambda w: diff("HEAD", str(w.folder), w.folder),
    "verify": lambda w: verify(w.folder, everything=True),
}


def content(root: Path) -> dict[str, bytes]:
    """All files of a repository except those in .dvc/tmp/."""
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(".dvc/tmp/")}


@pytest.mark.parametrize("reader", list(READERS))
def test_who_only_looks_tells_a_torn_lock_file_and_moves_nothing(workspace: Workspace, reader: str) -> None:
    commit(workspace.root)
    (workspace.folder / "dvc.lock").write_text("{")
    (workspace.root / ".dvc" / "tmp" / "rwlock").write_text("")
    before = content(workspace.root)
    try:
        found = READERS[reader](workspace)
    except RunError as error:
        told = [str(error)]
    else:
        assert isinstance(found, Verdict)
        told = [str(finding) for finding in found.findings]
    [line] = told
    assert line.startswith(f"{workspace.folder / 'dvc.lock'}: ")
    assert "`eibert run`" in line
    assert content(workspace.root) == before
    assert (workspace.root / ".dvc" / "tmp" / "rwlock").read_text() == ""


def test_who_only_looks_leaves_an_altered_object_where_it_is(workspace: Workspace) -> None:
    path = cached(workspace, "quantize", None)
    spoil(path, writable=True)
    before = content(workspace.root)
    assert [cause.text for cause in causes(workspace, read_graph(workspace))["quantize"]] == [
        "output not in DVC's cache: data/quantize"
    ]
    assert content(workspace.root) == before


def test_who_only_looks_needs_no_right_to_write(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(lock: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(lock))

    monkeypatch.setattr("dvc.lock.Lock.lock", refused)
    assert not any(causes(workspace, read_graph(workspace)).values())
    assert verify(workspace.folder, everything=True).sound


@pytest.mark.parametrize("end", ["", "\n    cmd: python ../st"])
def test_lock_file_that_is_gone_or_cut_short_costs_no_work(workspace: Workspace, end: str) -> None:
    """Cut between two entries it still looks valid to DVC."""
    path = workspace.folder / "dvc.lock"
    path.unlink()
    if end:
        path.write_text(f"schema: '2.0'\nstages:\n  ingest:{end}")
    assert set(run(workspace, Selection()).states.values()) == {"Restored"}
    assert ran(workspace) == []


def test_torn_lock_file_of_another_workspace_disturbs_nobody(workspace: Workspace) -> None:
    other = workspace.root / "models" / "v"
    other.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(workspace.folder / name, other / name)
    (other / "dvc.lock").write_text("stages: [")
    set_params(workspace.folder, ["quantize.percentile=99.5"])
    assert run(workspace, Selection()).states["evaluate"] == "Completed"


def test_object_pulled_altered_from_a_remote_is_not_served(workspace: Workspace, tmp_path: Path) -> None:
    dvc = ["dvc", "--cd", str(workspace.folder)]
    for arguments in (["remote", "add", "-q", "-d", "store", str(tmp_path / "store")], ["push", "-q", "--run-cache"]):
        subprocess.run([*dvc, *arguments], check=True, capture_output=True)
    path = cached(workspace, "quantize", "value.json")
    good = path.read_bytes()
    spoil(tmp_path / "store" / path.relative_to(workspace.root / ".dvc" / "cache"), writable=False)
    shutil.rmtree(workspace.root / ".dvc" / "cache")
    shutil.rmtree(workspace.folder / "data")
    subprocess.run([*dvc, "pull", "-q", "--run-cache"], check=True, capture_output=True)
    result = run(workspace, Selection())
    assert (workspace.folder / "data" / "quantize" / "value.json").read_bytes() == good
    assert result.states["quantize"] == "Completed"
    assert ran(workspace) == ["quantize"]


def test_digest_of_a_folder_is_the_one_dvc_gives(workspace: Workspace) -> None:
    listing = cached(workspace, "export", None)
    assert folder_digest(workspace.folder / "data" / "export") == listing.parent.name + listing.name


def test_object_that_cannot_be_kept_is_told_without_a_traceback(workspace: Workspace) -> None:
    """DVC logs write errors with a traceback, which Prefect's root handler would print in full."""

    seen: list[logging.LogRecord] = []
    root = logging.Handler()
    root.emit = seen.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(root)
    try:
        with opened(workspace):
            for name in ("dvc.output", "dvc_data.hashfile.transfer", "dvc_objects.fs"):
                logging.getLogger(name).error("failed to transfer", exc_info=OSError(errno.ENOSPC, "full"))
    finally:
        logging.getLogger().removeHandler(root)
    assert [record for record in seen if record.name.startswith("dvc")] == []
