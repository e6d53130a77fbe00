"""A process that holds one model and answers when it is asked, timing itself.

`python -m eibert.bench.worker KIND FOLDER` prints one JSON line when the model is loaded; each JSON line on its
standard input is a turn, and is answered by a line.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

MB = 10**6


class Kind(StrEnum):
    """How a model's folder is to be read."""

    BUNDLE = "bundle"
    ONNX = "onnx"
    LINEAR = "linear"
    NOTHING = "nothing"  # onnxruntime is imported, nothing is loaded


class Answering(Protocol):
    """Texts in, logits out, in two steps."""

    def encode(self, texts: Sequence[Any]) -> Any:
        """Returns what `forward` takes."""

    def forward(self, rows: Any) -> Any:
        """Returns logits."""


def peak_memory_mb() -> float:
    """Returns the peak resident memory of this process, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would still hold the peak of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / MB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def loader(kind: Kind) -> Callable[[Path, int], Answering | None]:
    """Imports what a kind of model needs and no more, and returns what loads one with so many threads."""
    match kind:
        case Kind.BUNDLE:
            from eibert.runtime.model import Model

            return lambda folder, threads: Model.load(folder, threads=threads)
        case Kind.ONNX:
            from eibert.bench.onnx_model import OnnxModel

            return lambda folder, threads: OnnxModel.load(folder, threads=threads)
        case Kind.LINEAR:
            from eibert.bench.linear import Linear

            return lambda folder, _: Linear.load(folder)
        case Kind.NOTHING:
            import onnxruntime  # noqa: F401

            return lambda *_: None


def turn(model: Answering, batches: Sequence[Sequence[Any]]) -> dict[str, list[float]]:
    """Answers batches one after the other; returns the seconds of each in tokenization and in inference."""
    seconds: dict[str, list[float]] = {"encode": [], "forward": []}
    for texts in batches:
        start = time.perf_counter()
        rows = model.encode(texts)
        middle = time.perf_counter()
        model.forward(rows)
        seconds["encode"].append(middle - start)
        seconds["forward"].append(time.perf_counter() - middle)
    return seconds


def main(kind: Kind, folder: Path) -> None:
    """Loads the model, says what that took, and takes turns until standard input ends."""
    start = time.perf_counter()
    load = loader(kind)
    imported = time.perf_counter()
    model = load(folder, 1)
    loaded = time.perf_counter()
    _say({"import_ms": (imported - start) * 1000, "load_ms": (loaded - imported) * 1000})
    models = {1: model}
    for line in sys.stdin:
        asked = json.loads(line)
        threads = asked["threads"]
        if threads not in models:
            models[threads] = load(folder, threads)
        found = models[threads]
        answered = turn(found, asked["batches"]) if found is not None else {}
        _say(answered | {"memory_mb": peak_memory_mb()})


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Kind(sys.argv[1]), Path(sys.argv[2]))
