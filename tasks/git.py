"""Queries git about a folder; the results are None or empty outside a repository."""

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eibert.artifact import sha256

_SECONDS = 20
_ESCAPED = "backslashreplace"
_SUBMODULES = "--ignore-submodules=none"  # a new file in one is a change, whatever the user's settings
_LINK = b"160000 "
_DIFFERENCE = ("diff", "--binary", "--no-renames", "--no-ext-diff", "--no-textconv")


def answer(folder: Path, *arguments: str, seconds: float | None = _SECONDS) -> str | None:
    """Returns the output of a git command, with bytes that are not UTF-8 escaped; None if it fails.

    Args:
        folder: Where to run it.
        arguments: The command.
        seconds: Timeout; None for commands that read or write arbitrarily many files.
    """
    found = _output(folder, *arguments, seconds=seconds)
    return None if found is None else found.decode(errors=_ESCAPED).strip()


def identity(folder: Path) -> str | None:
    """Returns name and e-mail address of the committer; None if git has neither."""
    name = os.environ.get("GIT_AUTHOR_NAME") or answer(folder, "config", "user.name")
    email = os.environ.get("GIT_AUTHOR_EMAIL") or answer(folder, "config", "user.email")
    return " ".join(part for part in (name, f"<{email}>" if email else "") if part) or None


def state(root: Path, paths: Sequence[str]) -> dict[str, Any]:
    """Returns whether some files are as committed in HEAD.

    Args:
        root: Folder in the repository.
        paths: Files and folders relative to it; ignored files in them do not count.

    Returns:
        `commit` (None: there is none), `dirty`, and if dirty, `changed` (paths) and `diff_sha256`: the SHA-256 of the
        diff against HEAD followed by a line for each untracked file. If git fails, the state counts as dirty and lacks
        these two.
    """
    commit = answer(root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": True}
    paths = _known_to_git(root, paths)
    changed = _listed(
        root, "diff", "--name-only", "-z", "--no-renames", _SUBMODULES, "--relative", "HEAD", "--", *paths
    )
    unknown = _listed(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *paths)
    if changed == [] and unknown == []:
        return {"commit": commit, "dirty": False}
    difference = _output(root, *_DIFFERENCE, _SUBMODULES, "HEAD", "--", *paths, seconds=None)
    if changed is None or unknown is None or difference is None:
        return {"commit": commit, "dirty": True}
    digest = hashlib.sha256(difference.strip())
    for name in unknown:
        path = root / os.fsdecode(name)
        if path.is_file():
            digest.update(f"{sha256(path)}  ".encode() + name + b"\n")
    names = sorted(name.decode(errors=_ESCAPED) for name in changed + unknown)
    return {"commit": commit, "dirty": True, "changed": names, "diff_sha256": digest.hexdigest()}


def _known_to_git(root: Path, paths: Sequence[str]) -> list[str]:
    """Replaces paths below a submodule, at which `git diff` does not look, by the submodule."""
    entries = _listed(root, "ls-files", "--stage", "-z") or []
    links = [os.fsdecode(entry.partition(b"\t")[2]) for entry in entries if entry.startswith(_LINK)]
    return [next((link for link in links if Path(path).is_relative_to(link)), path) for path in paths]


def told(state: Mapping[str, Any]) -> str:
    """Describes how a dirty state differs from its commit."""
    unknown = "git could not list them" if state["commit"] else "nothing was committed"
    return ", ".join(state.get("changed", [])) or unknown


def _listed(root: Path, *arguments: str) -> list[bytes] | None:
    found = _output(root, *arguments, seconds=None)
    return None if found is None else [name for name in found.split(b"\0") if name]


def _output(folder: Path, *arguments: str, seconds: float | None) -> bytes | None:
    try:
        done = subprocess.run(  # noqa: S603 — fixed arguments
            ["git", *arguments],  # noqa: S607 — the user's git
            cwd=folder, capture_output=True, timeout=seconds, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
