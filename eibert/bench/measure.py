"""All models on the same texts in turns: latencies and their ratios, starts and peak memory of fresh processes."""

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
"""Length at which memory is read: of the lengths measured the one nearest to it."""

BARE = Contestant("import onnxruntime", Kind.NOTHING, Path())


@dataclass(frozen=True)
class Latency:
    """How long one model takes for one batch, in ms.

    Attributes:
        p50_ms: Median, tokenization and inference together.
        p95_ms: Within which 95 % of answers stay.
        encode_ms: Median of the tokenization.
        forward_ms: Median of the inference.
        ratio: How many times the bundle's median that is: the median over the rounds, each with its own bundle.
    """

    p50_ms: float
    p95_ms: float
    encode_ms: float
    forward_ms: float
    ratio: float


@dataclass(frozen=True)
class Cell:
    """One length, batch and number of threads.

    Attributes:
        length: Tokens of each text, by the bundle's tokenizer.
        batch: Texts answered at once.
        threads: Of one forward pass.
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
    """What a fresh process of a model takes; medians.

    Attributes:
        import_ms: Of the packages it needs, numpy and onnxruntime included.
        load_ms: Of the model.
        memory_mb: Peak resident memory after answers one by one, 10⁶ bytes.
        above_import_mb: Of these, what a process that only imports onnxruntime does not have.
    """

    import_ms: float
    load_ms: float
    memory_mb: float
    above_import_mb: float


def measure_cells(
    contestants: Sequence[Contestant], texts: Mapping[int, Sequence[Any]], params: BenchParams, report: Report = silent
) -> list[Cell]:
    """Returns the latencies for every length, batch and number of threads.

    Args:
        contestants: The bundle, named BUNDLE, and others.
        texts: Length → texts of that length.
        params: Section `bench`.
        report: Told after each cell.

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
    """Returns what fresh processes take, by model, `BARE` being one that imports onnxruntime and loads nothing.

    Each answers the texts nearest to REFERENCE_TOKENS one by one before its memory is read.

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
    seconds: dict[str, list[Any]] = {name: [] for name in names}  # of each round: float (2, turn)
    until, rounds = time.monotonic() + params.cell_seconds, 0
    for name in names:
        workers[name].take_turn([list(itertools.islice(stream, batch))], threads=threads)
    while rounds < params.rounds and (rounds == 0 or time.monotonic() < until):
        batches = [list(itertools.islice(stream, batch)) for _ in range(max(1, params.turn // batch))]
        for place in range(len(names)):
            name = names[(rounds + place) % len(names)]  # nobody always follows the same one
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
