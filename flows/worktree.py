"""A temporary clean checkout of a commit, with whatever its workspace reads from outside linked into place."""

import contextlib
import os
import posixpath
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from eibert.errors import RunError
from tasks import git


@contextlib.contextmanager
def checked_out(root: Path, commit: str, outside: Sequence[str]) -> Iterator[Path]:
    """Yields the repository's root as of a commit; removed afterwards, even on Ctrl-C and SIGTERM.

    Args:
        root: The repository.
        commit: A commit it has.
        outside: Paths relative to the root that are read but may lie outside it or be ignored by git; in the checkout,
            the same relative paths link to what is there now, unless the commit holds them.

    Raises:
        RunError: git cannot check it out.
    """
    top = git.answer(root, "rev-parse", "--show-toplevel") or str(root)
    prefix = git.answer(root, "rev-parse", "--show-prefix") or ""
    paths = [posixpath.normpath(path) for path in outside]
    ups = max((path.split("/").count("..") for path in paths), default=0)
    with _ended_by_signals(), tempfile.TemporaryDirectory(prefix="eibert-rebuild-") as folder:
        # Deep enough that every `..` in a path stays within the folder.
        tree = Path(folder, *["up"] * ups, Path(top).name)
        tree.parent.mkdir(parents=True, exist_ok=True)
        try:
            if _worktree(root, "add", "--detach", "--force", str(tree), commit) is None:
                raise RunError(f"{root}: git cannot check out {commit[:12]} into a worktree; `git fsck` may show why")
            place = tree / prefix
            for path in paths:
                _link(place / path, root / path)
            yield place
        finally:
            _worktree(root, "remove", "--force", "--force", str(tree))
            shutil.rmtree(tree, ignore_errors=True)
            _worktree(root, "prune")


def _worktree(root: Path, *arguments: str) -> str | None:
    hooks = ("-c", "core.hooksPath=/dev/null")  # DVC's hooks would check out its files, too
    return git.answer(root, *hooks, "worktree", *arguments, seconds=None)


def _link(path: Path, target: Path) -> None:
    path = Path(os.path.normpath(path))
    if target.exists() and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target.resolve())


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Makes SIGTERM raise KeyboardInterrupt, so that everything is cleaned up."""

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 — the signal module's signature
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
