"""What a teacher that does not learn said of some rows, on disk by content: the same rows are read once.

An output may be lost at any time and is then computed anew; one that was altered is not used.
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
"""Disk that the outputs of a folder may take beside one that is larger by itself; those used longest ago go first."""
_DESCRIPTION = ".json"


class Outputs:
    """Files by key, each complete or absent.

    Args:
        folder: Where they lie; made when first written.
        limit_bytes: Most bytes of all files together, but for one that is larger than that by itself.
        made_by: Digests of the code and the libraries that write them; what others wrote is not found.
    """

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES, *, made_by: str = "") -> None:
        self.folder = folder
        self.made_by = made_by
        self._limit_bytes = limit_bytes

    def key_of(self, teacher: Teacher, rows: Encoded, precision: Precision, *conditions: object) -> str:
        """Returns the digest of all that shapes a teacher's outputs, 64 hexadecimal digits.

        Args:
            teacher: Its weights and configuration count, not where they came from.
            rows: Their tokens count.
            precision: Counts as what it comes to on this machine.
            conditions: What else shapes the outputs: the kind of output, the batch size.
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
        """Returns the file of a key; None where there is none, or it is not what was written, which removes it."""
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
        """Yields a file of `size_bytes` to write to; on success it becomes the file of the key, else nothing is left.

        Raises:
            OSError: the folder cannot be written to, or the disk is full, which shows before the body starts.
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
        """Keeps other processes with the same key waiting, where the folder allows a lock."""
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
