"""The parent's side of the workers: one process per model, called in turns."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import eibert
from eibert.bench import worker
from eibert.bench.worker import Kind
from eibert.errors import RunError

_ONE_THREAD = {
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
}  # fmt: skip


@dataclass(frozen=True)
class Contestant:
    """A model to benchmark.

    Attributes:
        name: Short name, as in the figures.
        kind: How its folder is loaded.
        folder: Its folder.
    """

    name: str
    kind: Kind
    folder: Path

    @property
    def size_bytes(self) -> int:
        """Total bytes of its files."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())


class Worker:
    """A process that holds one model.

    Attributes:
        started: `import_ms` and `load_ms` of the process.
    """

    def __init__(self, contestant: Contestant, process: "subprocess.Popen[str]") -> None:
        self._contestant = contestant
        self._process = process
        self.started: dict[str, float] = self._answer()

    def take_turn(self, batches: Sequence[Sequence[Any]], *, threads: int) -> dict[str, Any]:
        """Returns the seconds of each batch in `encode` and `forward`, and the process's peak memory so far.

        Raises:
            RunError: the process failed.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # reported below, with its last output
            self._process.stdin.write(json.dumps({"batches": batches, "threads": threads}) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        said = self._process.communicate()[1].strip().splitlines() or [f"exit code {self._process.returncode}"]
        raise RunError(f"{self._contestant.folder}: its benchmark process failed ({said[-1]}); check the model")


@contextlib.contextmanager
def working(contestant: Contestant) -> Iterator[Worker]:
    """Yields a fresh process with the model loaded, and kills it at the end.

    Raises:
        RunError: the model cannot be loaded.
    """
    root = str(Path(eibert.__file__).parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(  # noqa: S603 — our own module
        [sys.executable, "-m", worker.__name__, contestant.kind.value, str(contestant.folder.resolve())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
    )  # fmt: skip
    with process:
        try:
            yield Worker(contestant, process)
        finally:
            process.kill()
