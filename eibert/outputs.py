"""A content-addressed disk cache of a frozen teacher's outputs: equal rows are read only once.

Entries may vanish at any time and are then recomputed; altered ones are never used.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock

from eibert import atomic, optimize
from eibert.artifact import read_json, sha256, write_json
from eibert.batches import Encoded
from eibert.errors import EibertError
from eibert.params.section import Precision
from eibert.teacher import Teacher

LIMIT_BYTES = 4 << 30
"""Disk space for a folder's outputs, not counting a new one larger than that; evicts oversized files, then LRU."""
_DESCRIPTION = ".json"


class Outputs:
    """Files by key, each complete or absent.

    Args:
        folder: Folder of the files; created on first write.
        limit_bytes: Maximum total bytes, except for a single file that is larger by itself.
        made_by: Digests of the code and libraries that write them; part of every key.
    """

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES, *, made_by: str = "") -> None:
        self.folder = folder
        self.made_by = made_by
        self._limit_bytes = limit_bytes

    def key_of(self, teacher: Teacher, rows: Encoded, precision: Precision, *conditions: object) -> str:
        """Returns the SHA-256 of everything a teacher's outputs depend on, 64 hexadecimal digits.

        Args:
            teacher: Hashed by weights, configuration and pooling, not by origin.
            rows: Hashed by their tokens.
            precision: Hashed as it resolves on this machine.
            conditions: What else the outputs depend on: their kind, the batch size.
        """
        device = next(teacher.parameters()).device
        how = (device.type, optimize.is_bf16(precision, device), torch.__version__, torch.get_num_threads())
        config = teacher.encoder.config.to_dict()  # type: ignore[operator, union-attr]
        config = sorted(entry for entry in config.items() if entry[0] != "_name_or_path")  # the folder it came from
        digest = hashlib.sha256(repr((self.made_by, how, config, teacher.pooling, conditions)).encode())
        for name, value in teacher.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        digest.update(rows.lengths.tobytes())
        for arrays in (rows.ids, rows.segments):
            for array in arrays:
                digest.update(array.tobytes())
        return digest.hexdigest()

    def find(self, key: str) -> Path | None:
        """Returns the file of a key; None if there is none or it was altered, in which case it is removed."""
        path = self.folder / key
        try:
            sound = sha256(path) == read_json(path.with_suffix(_DESCRIPTION))["sha256"]
        except (OSError, EibertError, KeyError, TypeError):
            sound = False
        with contextlib.suppress(OSError):  # another user's, or read-only
            if sound:
                os.utime(path)
            else:
                _remove(path)
        return path if sound else None

    @contextmanager
    def writing(self, key: str, size_bytes: int) -> Iterator[Path]:
        """Yields a preallocated file of `size_bytes`; on success it becomes the key's file, else it is removed.

        Raises:
            OSError: the folder is not writable, or the disk is full, which is detected before the body runs.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_room(size_bytes)
        with atomic.file(self.folder / key) as part:
            with part.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, size_bytes))
            yield part
            write_json((self.folder / key).with_suffix(_DESCRIPTION), {"sha256": sha256(part)})

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Locks a key against other processes, if the folder allows a lock file."""
        lock = FileLock(self.folder / f".{key}.lock")
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _make_room(self, coming: int) -> None:
        atomic.clear(self.folder)
        found = []
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process made room too
                if not path.name.startswith(".") and not path.suffix:
                    found.append((path.stat().st_mtime, path.stat().st_size, path))
        taken, free = sum(size for _, size, _ in found), _free_bytes(self.folder)
        most = self._limit_bytes + (coming if coming > self._limit_bytes else 0)
        for _, size, path in sorted(found, key=lambda file: (file[1] <= self._limit_bytes, file)):
            if taken + coming <= most and coming < free:
                break
            _remove(path)
            path.with_name(f".{path.name}.lock").unlink(missing_ok=True)
            taken, free = taken - size, free + size


def _remove(path: Path) -> None:
    path.with_suffix(_DESCRIPTION).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
