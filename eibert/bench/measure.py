"""Interleaved benchmarks of all models on the same texts: latencies and ratios, start-up and peak memory."""

import itertools
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eibert.bench.worker import Kind
from eibert.bench.workers import Contestant, Worker, working
from eibert.params.bench import BenchParams
from eibert.progress import Report, silent

BUNDLE = "bundle"
REFERENCE_TOKENS = 32
"""Text length for reading memory; the nearest measured length is used."""

BARE = Contestant("import onnxruntime", Kind.NOTHING, Path())


@dataclass(frozen=True)
class Latency:
    """Latency of one model for one batch, in ms.

    Attributes:
        p50_ms: Median of tokenization and inference together.
        p95_ms: 95th percentile of both together.
        encode_ms: Median of tokenization.
        forward_ms: Median of inference.
        ratio: Latency relative to the bundle: median over rounds of the ratio of both models' medians in the round.
    """

    p50_ms: float
    p95_ms: float
    encode_ms: float
    forward_ms: float
    ratio: float


@dataclass(frozen=True)
class Cell:
    """One combination of length, batch and threads.

    Attributes:
        length: Tokens per text, by the bundle's tokenizer.
        batch: Texts per batch.
        threads: Threads per forward pass.
        rounds: Turns of each model.
        models: Name → latency.
    """

    length: int
    batch: int
    threads: int
    rounds: int
    models: dict[str, Latency]


@dataclass(frozen=True)
class Start:
    """Start-up cost of a fresh process for a model; medians.

    Attributes:
        import_ms: Time to import the packages it needs.
        load_ms: Time to load the model.
        memory_mb: Peak resident memory after answering texts one by one, 10⁶ bytes.
        above_import_mb: Excess over the peak memory of a process that only imports onnxruntime.
    """

    import_ms: float
    load_ms: float
    memory_mb: float
    above_import_mb: float


def measure_cells(
    contestants: Sequence[Contestant], texts: Mapping[int, Sequence[Any]], params: BenchParams, report: Report = silent
) -> list[Cell]:
    """Returns the latencies for every combination of length, batch and threads.

    Args:
        contestants: The bundle, named BUNDLE, and others.
        texts: Length → texts of that length.
        params: Section `bench`.
        report: Called after each cell.

    Raises:
        RunError: a model's process failed.
    """
    wanted = list(itertools.product(texts, params.batches, params.threads))
    cells = []
    with ExitStack() as stack:
        workers = {one.name: stack.enter_context(working(one)) for one in contestants}
        for length, batch, threads in wanted:
            cells.append(_cell(workers, texts[length], length, batch, threads, params))
            report(len(cells), len(wanted), bundle_ms=cells[-1].models[BUNDLE].p50_ms)
    return cells


def measure_starts(
    contestants: Sequence[Contestant], texts: Mapping[int, Sequence[Any]], params: BenchParams, report: Report = silent
) -> dict[str, Start]:
    """Returns the start-up cost by model, including `BARE`, which imports onnxruntime and loads nothing.

    Each process answers the texts of the length nearest to REFERENCE_TOKENS one by one before its memory is read.

    Raises:
        RunError: a model's process failed.
    """
    singles = [[text] for text in texts[min(texts, key=lambda length: abs(length - REFERENCE_TOKENS))]]
    everyone, total = [BARE, *contestants], params.starts * (len(contestants) + 1)
    found: dict[str, list[dict[str, float]]] = {one.name: [] for one in everyone}
    for at in range(params.starts):
        for place, one in enumerate(everyone):
            with working(one) as process:
                found[one.name].append(process.started | process.take_turn(singles, threads=1))
            report(at * len(everyone) + place + 1, total)
    bare = _median(found[BARE.name], "memory_mb")
    return {name: _start(starts, bare) for name, starts in found.items()}


def _cell(
    workers: Mapping[str, Worker], texts: Sequence[Any], length: int, batch: int, threads: int, params: BenchParams
) -> Cell:
    names, stream = list(workers), itertools.cycle(texts)
    seconds: dict[str, list[Any]] = {name: [] for name in names}  # per round: float (2, batches)
    until, rounds = time.monotonic() + params.cell_seconds, 0
    for name in names:
        workers[name].take_turn([list(itertools.islice(stream, batch))], threads=threads)
    while rounds < params.rounds and (rounds == 0 or time.monotonic() < until):
        batches = [list(itertools.islice(stream, batch)) for _ in range(max(1, params.turn // batch))]
        for place in range(len(names)):
            name = names[(rounds + place) % len(names)]  # rotates, so that none always follows the same one
            taken = workers[name].take_turn(batches, threads=threads)
            seconds[name].append(np.array([taken["encode"], taken["forward"]]))
        rounds += 1
    own = _round_medians(seconds[BUNDLE])
    return Cell(length, batch, threads, rounds, {
        name: _latency(found, float(np.median(_round_medians(found) / own))) for name, found in seconds.items()
    })  # fmt: skip


def _start(starts: Sequence[Mapping[str, float]], bare_mb: float) -> Start:
    memory_mb = _median(starts, "memory_mb")
    return Start(_median(starts, "import_ms"), _median(starts, "load_ms"), memory_mb, memory_mb - bare_mb)


def _latency(rounds: Sequence[Any], ratio: float) -> Latency:
    encode, forward = np.concatenate(rounds, axis=1) * 1000
    p50, p95 = np.quantile(encode + forward, [0.5, 0.95])
    return Latency(float(p50), float(p95), float(np.median(encode)), float(np.median(forward)), ratio)


def _round_medians(rounds: Sequence[Any]) -> Any:
    return np.array([np.median(taken.sum(axis=0)) for taken in rounds])


def _median(starts: Sequence[Mapping[str, float]], key: str) -> float:
    return float(np.median([start[key] for start in starts]))
