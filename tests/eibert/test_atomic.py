"""Writes are atomic, whichever process is killed meanwhile."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eibert import atomic

DEAD = 4194305
"""Above the largest possible process id."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("durable", [False, True])
def test_file_takes_its_place_when_it_is_complete(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with atomic.file(path, durable=durable) as part:
        part.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert names(tmp_path) == ["a.txt"]


def test_error_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    atomic.write(tmp_path / "a.txt", b"before")
    with pytest.raises(RuntimeError), atomic.file(tmp_path / "a.txt") as part:  # noqa: PT012
        part.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_bytes() == b"before"
    assert names(tmp_path) == ["a.txt"]


def test_error_leaves_the_earlier_folder_and_nothing_else(tmp_path: Path) -> None:
    with atomic.folder(tmp_path / "a") as part:
        (part / "whole.txt").write_text("before")
    with pytest.raises(RuntimeError), atomic.folder(tmp_path / "a") as part:  # noqa: PT012
        (part / "half.txt").write_text("half")
        raise RuntimeError
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["whole.txt"]


def test_folder_replaces_the_earlier_one_whole(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with atomic.folder(tmp_path / "deep" / "a") as part:
            (part / name).touch()
    assert names(tmp_path / "deep") == ["a"]
    assert names(tmp_path / "deep" / "a") == ["second"]


def test_what_killed_processes_left_goes_and_what_others_write_stays(tmp_path: Path) -> None:
    left = [f".a.part-{DEAD}", f".a.part-{DEAD}-earlier"]
    others = [f".a.part-{os.getppid()}", f".b.part-{DEAD}", ".a.part-", ".a.part-x", f"a.part-{DEAD}"]
    for name in left + others:
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
    atomic.write(tmp_path / "a", b"")
    assert names(tmp_path) == sorted(["a", *others])
    atomic.clear(tmp_path)
    assert names(tmp_path) == sorted(["a", *(name for name in others if name != f".b.part-{DEAD}")])


def test_folder_of_an_earlier_process_of_the_same_number_is_begun_anew(tmp_path: Path) -> None:
    stale = tmp_path / f".a.part-{os.getpid()}"
    stale.mkdir()
    (stale / "half").touch()
    with atomic.folder(tmp_path / "a"):
        pass
    assert names(tmp_path / "a") == []


def test_process_that_nobody_waited_for_counts_as_dead(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    part = tmp_path / f".a.part-{child.pid}"
    part.touch()
    atomic.write(tmp_path / "a", b"")
    assert part.exists()
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # now a zombie: dead, but still in the process table
    atomic.write(tmp_path / "a", b"")
    assert not part.exists()
    child.communicate()
