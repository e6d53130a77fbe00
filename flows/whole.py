"""The disk as DVC is to write to it: what a kill cuts off leaves the file that was there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dvc.fs import LocalFileSystem

from eibert import atomic

_IN_PLACE = {"w+": True, "w": False}
"""How DVC 3.67 opens dvc.lock and dvc.yaml, then its list of readers and writers, to write them anew; whether the text
is to survive a loss of power, which ends the readers and writers too."""


class WholeFiles(LocalFileSystem):  # type: ignore[misc]
    """The local disk, on which a text that is written anew takes its name when it is complete."""

    def open(self, path: str | os.PathLike[str], mode: str = "r", **options: Any) -> Any:
        """Returns the file as a context manager."""
        return _anew(Path(path), mode, options) if mode in _IN_PLACE else super().open(path, mode, **options)


@contextmanager
def _anew(path: Path, mode: str, options: dict[str, Any]) -> Iterator[IO[str]]:
    with atomic.file(path, durable=_IN_PLACE[mode]) as part, part.open(mode, **options) as file:
        yield file
