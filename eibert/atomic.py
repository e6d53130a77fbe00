"""Atomic writes: files and folders appear under their names only when complete.

Each is written next to its target, as `.<name>.part-<pid>`, and renamed. Leftovers of a killed process are removed when
the next one writes under the same name; those of a live process are left alone.
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
    """Yields a path to write a file to, which replaces `path` at the end; on an error nothing changes.

    Args:
        path: The target; its folder exists.
        durable: Whether the file and its name must survive a power loss from then on.
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
    """Writes a file atomically; see `file`."""
    with file(path, durable=durable) as part:
        part.write_bytes(content)


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder, which replaces `path` at the end; on an error nothing changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part_of(path)
    shutil.rmtree(part, ignore_errors=True)  # left by a killed process with the same pid
    part.mkdir()
    try:
        yield part
        take_place(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def take_place(part: Path, target: Path) -> None:
    """Moves a complete folder to its target, replacing an earlier one if present."""
    earlier = part.with_name(f"{part.name}-earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if target.exists():
        target.replace(earlier)
    part.replace(target)
    shutil.rmtree(earlier, ignore_errors=True)


def clear(folder: Path, name: str | None = None) -> None:
    """Removes partial files and folders of dead processes from a folder, for one name or for all."""
    for path in folder.iterdir():
        found = _PART.fullmatch(path.name)
        if found and name in (None, found["name"]) and not _is_alive(int(found["process"])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Returns once a file, or the names in a folder, would survive a power loss."""
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
