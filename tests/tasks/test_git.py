"""What git reports about a folder, even if names and contents are not UTF-8, or if git fails."""

import os
import subprocess
from pathlib import Path

import pytest

from eibert import trail
from tasks import git
from tests.recorded import commit


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one committed file in Latin-1."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "rows.csv").write_bytes("text\ncafé\n".encode("latin-1"))
    commit(tmp_path)
    return tmp_path


def test_a_file_whose_name_is_no_utf8_counts(root: Path) -> None:
    assert git.state(root, ["."])["dirty"] is False
    (root / os.fsdecode(b"\xe9.py")).write_text("x")
    first = git.state(root, ["."])
    assert (first["dirty"], first["changed"]) == (True, ["\\xe9.py"])
    trail.canonical(first)  # can be recorded
    (root / os.fsdecode(b"\xe9.py")).write_text("y")
    assert git.state(root, ["."])["diff_sha256"] != first["diff_sha256"]


def test_edits_that_are_no_utf8_have_digests_of_their_own(root: Path) -> None:
    digests = set()
    for word in ("thé", "grün"):
        (root / "rows.csv").write_bytes(f"text\n{word}\n".encode("latin-1"))
        digests.add(git.state(root, ["."])["diff_sha256"])
    assert len(digests) == 2
    assert trail.sha256(b"") not in digests


def test_digest_is_that_of_gits_own_difference_and_the_files_it_does_not_know(root: Path) -> None:
    (root / "rows.csv").write_text("text\nother\n")
    (root / "more.txt").write_text("more")
    command = '{ printf %s "$(git diff --binary HEAD)"; sha256sum more.txt; } | sha256sum'
    said = subprocess.run(command, shell=True, cwd=root, capture_output=True, text=True, check=True)
    assert git.state(root, ["."])["diff_sha256"] == said.stdout.split()[0]


@pytest.mark.parametrize("change", ["edited", "new"])
def test_a_change_within_a_submodule_counts(root: Path, tmp_path: Path, change: str) -> None:
    inner = root / "datasets"
    subprocess.run(["git", "init", "-q", str(inner)], check=True)
    (inner / "train.csv").write_text("text\n")
    commit(inner)
    commit(root)  # as a link: without an address of its own, but otherwise a submodule
    subprocess.run(["git", "config", "diff.ignoreSubmodules", "all"], cwd=root, check=True)
    assert git.state(root, ["datasets/train.csv"])["dirty"] is False
    (inner / ("train.csv" if change == "edited" else "dev.csv")).write_text("other\n")
    found = git.state(root, ["datasets/train.csv", "rows.csv"])
    assert (found["dirty"], found["changed"]) == (True, ["datasets"])


@pytest.mark.parametrize("failing", ["diff --name-only", "ls-files", "diff --binary"])
def test_what_git_cannot_tell_is_not_clean(root: Path, failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if failing == "diff --binary":
        (root / "rows.csv").write_text("other")
    run = subprocess.run

    def fail(command: list[str], **options: object) -> object:
        if " ".join(command).startswith(f"git {failing}"):
            raise subprocess.TimeoutExpired(command, 20)
        return run(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", fail)
    found = git.state(root, ["."])
    assert found["dirty"] is True
    assert "diff_sha256" not in found
    assert git.told(found) == "git could not list them"


def test_only_short_questions_have_a_time_limit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: dict[str, object] = {}
    run = subprocess.run

    def note(command: list[str], **options: object) -> object:
        limits[command[3] if command[1] == "-c" else command[1]] = options["timeout"]
        return run(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", note)
    from flows.worktree import checked_out

    head = git.answer(root, "rev-parse", "HEAD")
    assert head
    git.state(root, ["."])
    with checked_out(root, head, []):
        pass
    assert (limits["diff"], limits["ls-files"], limits["worktree"]) == (None, None, None)
    assert limits["rev-parse"] is not None
