"""Time and memory of a bundle, measured in a process that holds nothing else."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import eibert
from eibert.errors import RunError
from eibert.runtime import probe

_TIMEOUT_SECONDS = 600
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class Cost:
    """What one answer of a bundle costs, with one thread at batch 1, tokenization included.

    Attributes:
        p50_ms: Median latency.
        p95_ms: Latency that 95 % of answers stay within.
        load_ms: Time to import the run-time half, check and load the bundle.
        memory_mb: Peak resident memory of the process, in 10⁶ bytes.
        memory_above_import_mb: Of these, what `import onnxruntime` alone does not need.
        rows: Answers timed.
    """

    p50_ms: float
    p95_ms: float
    load_ms: float
    memory_mb: float
    memory_above_import_mb: float
    rows: int


def measure(bundle: Path, texts: list[Any], *, warmup_rows: int) -> Cost:
    """Returns the cost of a bundle over texts.

    Args:
        bundle: Folder of the bundle.
        texts: Inputs, at least one; pairs as tuples.
        warmup_rows: Inputs answered before timing starts.

    Raises:
        RunError: the process fails.
    """
    root = str(Path(eibert.__file__).parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", probe.__name__, str(bundle.resolve()), str(warmup_rows)]
    try:
        done = subprocess.run(  # noqa: S603 — our own module
            command, input=json.dumps(texts), capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RunError(
            f"{bundle}: {len(texts)} answers took over {_TIMEOUT_SECONDS} s; lower evaluate.latency_rows"
        ) from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RunError(f"{bundle}: the process that measures it failed ({reason}); try `eibert predict` on it")
    found = json.loads(done.stdout)
    p50, p95 = np.quantile(found["seconds"], [0.5, 0.95]) * 1000
    return Cost(
        float(p50), float(p95), found["load_seconds"] * 1000, found["memory_mb"], found["memory_above_import_mb"],
        len(texts),
    )  # fmt: skip


def median_ms(answer: Callable[[int], object], rows: Sequence[int]) -> float:
    """Returns the median time of answer(row) over rows, in ms, after one answer that is not timed."""
    answer(rows[0])
    seconds = []
    for row in rows:
        start = time.perf_counter()
        answer(row)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)) * 1000
