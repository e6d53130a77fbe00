"""What a bundle costs: time and memory, measured in a process of its own.

`python -m eibert.runtime.probe BUNDLE WARMUP_ROWS < texts.json` prints one JSON object; the texts are a JSON list.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import onnxruntime as ort  # the memory above this import is the bundle's

MB = 10**6


def peak_memory_mb() -> float:
    """Returns the peak resident memory of this process, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would still hold the peak of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / MB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def measure(bundle: Path, texts: list[Any], warmup_rows: int) -> dict[str, Any]:
    """Returns the cost of a bundle that predicts texts one by one with one thread, tokenization included.

    Args:
        bundle: Folder of the bundle.
        texts: Inputs; lists of two are pairs.
        warmup_rows: Inputs predicted before timing starts.

    Returns:
        `seconds` of each text, `load_seconds`, `memory_mb` (peak), `memory_above_import_mb` (above onnxruntime alone).
    """
    baseline = peak_memory_mb()
    start = time.perf_counter()
    from eibert.runtime.model import Model  # here, so that its imports count as the bundle's

    model = Model.load(bundle)
    load_seconds = time.perf_counter() - start
    inputs = [tuple(text) if isinstance(text, list) else text for text in texts]
    for index in range(warmup_rows):
        model.predict([inputs[index % len(inputs)]])
    seconds = []
    for text in inputs:
        start = time.perf_counter()
        model.predict([text])
        seconds.append(time.perf_counter() - start)
    peak = peak_memory_mb()
    return {
        "seconds": seconds, "load_seconds": load_seconds, "memory_mb": peak,
        "memory_above_import_mb": peak - baseline, "onnxruntime": ort.__version__,
    }  # fmt: skip


if __name__ == "__main__":
    json.dump(measure(Path(sys.argv[1]), json.load(sys.stdin), int(sys.argv[2])), sys.stdout)
