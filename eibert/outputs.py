"""What a teacher that does not learn said of some rows, on disk by content: the same rows are read once.

An output may be lost at any time and is then computed anew; one that was altered is not used.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from eibert.artifact import read_json, sha256, write_json
from eibert.batches import Encoded
from eibert.errors import EibertError
from eibert.teacher import Teacher

LIMIT_BYTES = 4 << 30
"""Disk that all outputs of a folder may take; the ones used longest ago go first."""
_DESCRIPTION = ".json"


class Outputs:
    """Files by key, each complete or absent.

    Args:
        folder: Where they lie; made when first written.
        limit_bytes: Most bytes of all files together, but for the one just written.
    """

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes

    def find(self, key: str) -> Path | None:
        """Returns the file of a key; None where there is none, or it is not what was written, which removes it."""
        path = self._folder / key
        description = path.with_suffix(_DESCRIPTION)
        try:
            if sha256(path) == read_json(description)["sha256"]:
                os.utime(path)
                return path
        except (OSError, EibertError, KeyError, TypeError):
            pass
        path.unlink(missing_ok=True)
        description.unlink(missing_ok=True)
        return None

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Yields a path to write to; on success it becomes the file of the key, else nothing is left of it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f".{key}.part-{os.getpid()}"
        try:
            yield part
            self._trim(part.stat().st_size)
            write_json((self._folder / key).with_suffix(_DESCRIPTION), {"sha256": sha256(part)})
            part.replace(self._folder / key)
        finally:
            part.unlink(missing_ok=True)

    def clear_parts(self) -> None:
        """Removes what killed processes left half written."""
        for part in self._folder.glob(".*.part-*"):
            if not _alive(int(part.name.rpartition("-")[2])):
                part.unlink(missing_ok=True)

    def _trim(self, coming: int) -> None:
        self.clear_parts()
        files = [path for path in self._folder.iterdir() if not path.name.startswith(".") and not path.suffix]
        files.sort(key=lambda path: path.stat().st_mtime)
        room = min(self._limit_bytes, sum(x.stat().st_size for x in files) + shutil.disk_usage(self._folder).free // 2)
        taken = coming + sum(path.stat().st_size for path in files)
        for path in files:
            if taken <= room:
                break
            taken -= path.stat().st_size
            path.with_suffix(_DESCRIPTION).unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def key_of(teacher: Teacher, rows: Encoded, *conditions: object) -> str:
    """Returns the digest of all that shapes a teacher's outputs, 64 hexadecimal digits.

    Args:
        teacher: Its weights count, not where they came from.
        rows: Their tokens count.
        conditions: What else shapes the outputs: precision, batch size and the like.
    """
    digest = hashlib.sha256(repr((conditions, teacher.pooling, torch.__version__, torch.get_num_threads())).encode())
    for name, value in teacher.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    for arrays in (rows.ids, rows.segments):
        digest.update(rows.lengths.tobytes())
        for array in arrays:
            digest.update(array.tobytes())
    return digest.hexdigest()


def _alive(process: int) -> bool:
    with contextlib.suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
