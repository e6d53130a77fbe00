"""Quarantine for files with the wrong content: out of the way, but not lost."""

import contextlib
import time
from pathlib import Path

from eibert.artifact import write_json
from flows.workspace import PRIVATE
from tasks.progress import say

QUARANTINE = f"{PRIVATE}/quarantine"
"""Folder in the repository's root."""


def set_aside(root: Path, path: Path, why: str) -> None:
    """Moves a file of the repository into quarantine, with a note of its path and the reason, and reports it."""
    folder = root / QUARANTINE
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{time.time_ns()}-{path.name}"
    place = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    note = {"from": place, "why": why, "when": time.strftime("%Y-%m-%d %H:%M:%S")}
    write_json(target.with_name(f"{target.name}.note.json"), note)
    with contextlib.suppress(FileNotFoundError):  # another process was faster
        path.rename(target)
        say("cache", f"{place}: {why}; set aside as {target.relative_to(root)}")
