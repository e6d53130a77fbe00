"""Makes DVC write files atomically: an interrupted write leaves the old file intact."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dvc.fs import LocalFileSystem

from eibert import atomic

_IN_PLACE = {"w+": True, "w": False}
"""Mode in which DVC 3.67 rewrites dvc.lock and dvc.yaml, then its rwlock → whether the text must survive a power cut,
which ends the rwlock's readers and writers too."""


class WholeFiles(LocalFileSystem):  # type: ignore[misc]
    """The local file system, where a rewritten file takes its name only once complete."""

    def open(self, path: str | os.PathLike[str], mode: str = "r", **options: Any) -> Any:
        """Returns the file as a context manager."""
        return _anew(Path(path), mode, options) if mode in _IN_PLACE else super().open(path, mode, **options)


@contextmanager
def _anew(path: Path, mode: str, options: dict[str, Any]) -> Iterator[IO[str]]:
    with atomic.file(path, durable=_IN_PLACE[mode]) as part, part.open(mode, **options) as file:
        yield file
