"""What git knows of a folder; None or nothing outside git."""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eibert.artifact import sha256

_SECONDS = 20


def answer(folder: Path, *arguments: str) -> str | None:
    """Returns what a git command says in a folder; None where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 — fixed arguments
            ["git", *arguments],  # noqa: S607 — the user's git
            cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()


def identity(folder: Path) -> str | None:
    """Returns name and address of whoever commits here; None where git was not told."""
    name = os.environ.get("GIT_AUTHOR_NAME") or answer(folder, "config", "user.name")
    email = os.environ.get("GIT_AUTHOR_EMAIL") or answer(folder, "config", "user.email")
    return " ".join(part for part in (name, f"<{email}>" if email else "") if part) or None


def state(root: Path, paths: Sequence[str]) -> dict[str, Any]:
    """Returns whether the commit holds some files as they are.

    Args:
        root: Folder in the repository.
        paths: Files and folders from there; what git is told to ignore in them does not count.

    Returns:
        `commit` (None: there is none), `dirty`, and where dirty `changed` (paths) and `diff_sha256`: the SHA-256 of
        the difference from the commit, followed by a line for each file that git does not know.
    """
    commit = answer(root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": True}
    changed = _listed(root, "diff", "--name-only", "-z", "--no-renames", "--relative", "HEAD", "--", *paths)
    unknown = _listed(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *paths)
    if not changed and not unknown:
        return {"commit": commit, "dirty": False}
    difference = answer(root, "diff", "--binary", "--no-renames", "--no-ext-diff", "HEAD", "--", *paths) or ""
    lines = [f"{sha256(root / name)}  {name}\n" for name in unknown if (root / name).is_file()]
    digest = hashlib.sha256("".join([difference, *lines]).encode()).hexdigest()
    return {"commit": commit, "dirty": True, "changed": sorted(changed + unknown), "diff_sha256": digest}


def _listed(root: Path, *arguments: str) -> list[str]:
    return [name for name in (answer(root, *arguments) or "").split("\0") if name]
