"""A worker process that holds one model, answers on request and times itself.

`python -m eibert.bench.worker KIND FOLDER` prints one JSON line when the model is loaded, then one for each turn, a
JSON line on its standard input.
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
    """How to load a model's folder."""

    BUNDLE = "bundle"
    ONNX = "onnx"
    LINEAR = "linear"
    NOTHING = "nothing"  # imports onnxruntime, loads nothing


class Answering(Protocol):
    """Texts in, logits out, in two steps."""

    def encode(self, texts: Sequence[Any]) -> Any:
        """Returns the input of `forward`."""

    def forward(self, rows: Any) -> Any:
        """Returns logits."""


def peak_memory_mb() -> float:
    """Returns the peak resident memory of this process, in MB (10⁶ bytes)."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would include the parent's peak
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / MB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def loader(kind: Kind) -> Callable[[Path, int], Answering | None]:
    """Imports only what a kind of model needs; returns a function that loads one with a number of threads."""
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
    """Answers batches one after another; returns the seconds each takes in tokenization and in inference."""
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
    """Loads the model, reports how long that took, and serves turns until standard input ends."""
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
