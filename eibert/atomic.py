"""Files and folders that appear under their names only when they are complete.

Each is made beside its place, as `.<name>.part-<process>`, and renamed. What a killed process left there goes when the
next one writes under the same name; only files that a process still alive writes to are left alone.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_PART = re.compile(r"\.(?P<name>.+)\.part-(?P<process>\d+)(?:-earlier)?", re.DOTALL)


@contextmanager
def file(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yields a path to write a file to, which takes the place of `path` at the end; on an error nothing changes.

    Args:
        path: The place, in a folder that is there.
        durable: Whether the file and its name are to survive a loss of power from then on.
    """
    part = _part_of(path)
    try:
        yield part
        if durable:
            sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    if durable:
        sync(path.parent)


def write(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Writes a file, complete or not at all; see `file`."""
    with file(path, durable=durable) as part:
        part.write_bytes(content)


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder, which takes the place of `path` at the end; on an error nothing changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part_of(path)
    shutil.rmtree(part, ignore_errors=True)  # an earlier process of this number, killed
    part.mkdir()
    try:
        yield part
        take_place(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def take_place(part: Path, target: Path) -> None:
    """Puts a complete folder in the place of an earlier one, if there is one, which goes."""
    earlier = part.with_name(f"{part.name}-earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if target.exists():
        target.replace(earlier)
    part.replace(target)
    shutil.rmtree(earlier, ignore_errors=True)


def clear(folder: Path, name: str | None = None) -> None:
    """Removes from a folder what processes that are no more left half made, of one name or of all."""
    for path in folder.iterdir():
        found = _PART.fullmatch(path.name)
        if found and name in (None, found["name"]) and not _is_alive(int(found["process"])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Returns once a file, or the names in a folder, would survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _part_of(path: Path) -> Path:
    clear(path.parent, path.name)
    return path.with_name(f".{path.name}.part-{os.getpid()}")


def _is_alive(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
