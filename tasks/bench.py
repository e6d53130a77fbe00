"""`eibert bench`: benchmarks a workspace's models in fresh processes, interleaved, and writes JSON and an HTML page.

Not a stage: the measurements belong to one machine at one moment and go into no artifact.
"""

import importlib.metadata
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eibert import __version__, artifact, atomic
from eibert.bench.measure import BARE, BUNDLE, REFERENCE_TOKENS, Start, measure_cells, measure_starts
from eibert.bench.profile import profile
from eibert.bench.texts import of_length
from eibert.bench.worker import Kind
from eibert.bench.workers import Contestant
from eibert.corpus import read_spec, read_split
from eibert.errors import ArtifactError, BundleError
from eibert.params.bench import BenchParams
from eibert.params.section import Shared
from eibert.runtime.bundle import CONFIGURATION, GRAPH, VOCABULARY, Bundle, read_bundle
from eibert.runtime.tokenizer import SPECIALS, Encoder
from tasks import plots
from tasks.machine import machine
from tasks.progress import reporting

STAGE = "bench"
FIGURES, PAGE = "bench.json", "bench.html"
MODELS = {
    BUNDLE: "Bundle", "teacher": "Teacher, dynamic INT8", "tiny": "BERT-tiny, dynamic INT8",
    "tfidf": "TF-IDF + linear, INT8", BARE.name: "onnxruntime alone",
}  # fmt: skip
_LIBRARIES = ("numpy", "onnxruntime", "tokenizers")
_PROFILE_ROUNDS = 300


@dataclass
class Field:
    """The models to compare.

    Attributes:
        contestants: The models, the bundle first.
        absent: Model → why it is not measured.
        words: Words from which the input texts are built.
    """

    contestants: list[Contestant]
    absent: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)


def bench(
    workspace: Path | None, bundle: Path, params: BenchParams, shared: Shared, out: Path, *, profiled: bool
) -> dict[str, Any]:
    """Measures, writes FIGURES and PAGE into a folder, and returns the figures.

    Args:
        workspace: Holds the bundle's teacher, rows and evaluation; None: only the bundle is measured.
        bundle: Folder of the bundle.
        params: Section `bench`.
        shared: Provides the seed.
        out: Output folder, created if missing.
        profiled: Also break down the bundle's latency.

    Raises:
        BundleError: the bundle is missing, altered or of an unknown format.
        ArtifactError: an artifact of the workspace is altered.
        RunError: a model's process failed.
    """
    if not bundle.is_dir():
        raise BundleError(f"{bundle}: no bundle there; run `eibert run`, or name one with --bundle")
    described = read_bundle(bundle)[0]
    with _gathered(workspace, bundle, described, shared.seed) as found:
        texts = _texts(described, found.words, params, shared.seed)
        with reporting(STAGE, "cold starts") as report:
            starts = measure_starts(found.contestants, texts, params, report)
        with reporting(STAGE, "latencies") as report:
            cells = measure_cells(found.contestants, texts, params, report)
        figures: dict[str, Any] = {
            "name": described.name,
            "machine": machine(),
            "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
            "params": params.model_dump(mode="json"),
            "bytes": {one.name: _size(one) for one in found.contestants},
            "starts": {name: asdict(start) for name, start in starts.items()},
            "ratios": _ratios(found.contestants, starts),
            "cells": [asdict(cell) for cell in cells],
            "absent": found.absent,
            "lengths_left_out": {
                str(length): f"the bundle reads at most {described.max_tokens} tokens"
                for length in params.lengths
                if length not in texts
            },
        }
    if profiled:
        tokens = min(texts, key=lambda length: abs(length - REFERENCE_TOKENS))
        figures["profile"] = asdict(profile(bundle, tokens=tokens, rounds=_PROFILE_ROUNDS))
    out.mkdir(parents=True, exist_ok=True)
    artifact.write_json(out / FIGURES, figures)
    atomic.write(out / PAGE, render(figures).encode())
    return figures


def reference(figures: dict[str, Any]) -> dict[str, Any]:
    """Returns the cell with the smallest batch and the fewest threads whose length is nearest to REFERENCE_TOKENS."""
    found: dict[str, Any] = min(
        figures["cells"], key=lambda cell: (cell["batch"], cell["threads"], abs(cell["length"] - REFERENCE_TOKENS))
    )
    return found


def render(figures: dict[str, Any]) -> str:
    """Returns the page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    cell = reference(figures)
    chosen = [one for one in figures["cells"] if (one["batch"], one["threads"]) == (cell["batch"], cell["threads"])]
    series = {
        name: [(float(one["length"]), one["models"][name]["p50_ms"]) for one in sorted(chosen, key=_length)]
        for name in cell["models"]
    }
    return environment.get_template("bench.html.j2").render(
        figures=figures, cell=cell, titles=MODELS, version=__version__, bare=BARE.name,
        plot=plots.latencies(series, MODELS),
    )  # fmt: skip


@contextmanager
def _gathered(workspace: Path | None, bundle: Path, described: Bundle, seed: int) -> Iterator[Field]:
    """Yields the models to compare; the rivals' files exist only within the body."""
    own = Contestant(BUNDLE, Kind.BUNDLE, bundle)
    words = [token for token in described.tokens if token not in SPECIALS and not token.startswith(("##", "["))]
    if workspace is None:
        reason = "it needs the workspace in which the bundle was built"
        yield Field([own], dict.fromkeys(("teacher", "tiny", "tfidf"), reason), words)
        return
    with tempfile.TemporaryDirectory() as place:
        yield _rivals(workspace, own, Path(place), seed)


def _rivals(workspace: Path, own: Contestant, place: Path, seed: int) -> Field:
    # Imported here: a bundle alone needs no torch.
    from eibert.bench.rivals import tiny, write_linear, write_teacher
    from eibert.evaluate.features import Grams
    from eibert.evaluate.rivals import fit_chosen
    from eibert.teacher_files import load_teacher

    artifact.verified(workspace, "ingest", "finetune")
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    test = read_split(ingest, "test", spec)
    found = Field([own], words=[word for text in test.texts for word in text.split()])
    folders = {name: place / name for name in ("teacher", "tiny", "tfidf")}
    for folder in folders.values():
        folder.mkdir()
    teacher = load_teacher(artifact.folder(workspace, "finetune"), attentions=True)
    write_teacher(teacher, folders["teacher"])
    write_teacher(tiny(teacher, spec.outputs, seed), folders["tiny"])
    found.contestants += [Contestant(name, Kind.ONNX, folders[name]) for name in ("teacher", "tiny")]
    try:
        chosen = artifact.read_json(artifact.folder(workspace, "evaluate") / artifact.METRICS)["tfidf"]
    except (ArtifactError, KeyError):
        found.absent["tfidf"] = "`evaluate` has not run; it chooses this model's settings"
        return found
    with reporting(STAGE, "linear rival") as report:
        train = read_split(ingest, "train", spec)
        rival = fit_chosen(
            spec, train,
            grams=Grams(chosen["grams"]), buckets=chosen["buckets"], regularization=chosen["regularization"],
        )  # fmt: skip
        report(1, 1)
    write_linear(rival, folders["tfidf"])
    found.contestants.append(Contestant("tfidf", Kind.LINEAR, folders["tfidf"]))
    return found


def _texts(bundle: Bundle, words: list[str], params: BenchParams, seed: int) -> dict[int, list[Any]]:
    encode = Encoder(
        bundle.tokens, lowercase=bundle.lowercase, strip_accents=bundle.strip_accents, max_tokens=bundle.max_tokens
    )
    lengths = [length for length in params.lengths if length <= bundle.max_tokens] or [bundle.max_tokens]
    count = lambda text: encode(text, None)[1] - 2  # noqa: E731
    return {
        length: of_length(length, words, count, texts=params.texts, pair=bundle.pair, seed=seed) for length in lengths
    }


def _ratios(contestants: list[Contestant], starts: Mapping[str, Start]) -> dict[str, dict[str, float]]:
    """Returns each model's cold load, peak memory and bytes as multiples of the bundle's."""
    own = contestants[0]
    return {
        one.name: {
            "load": starts[one.name].load_ms / starts[own.name].load_ms,
            "memory": starts[one.name].memory_mb / starts[own.name].memory_mb,
            "bytes": _size(one) / _size(own),
        }
        for one in contestants
    }


def _size(contestant: Contestant) -> int:
    """Bytes of a model's files; a bundle's signature is not counted."""
    if contestant.kind is Kind.BUNDLE:
        return sum((contestant.folder / name).stat().st_size for name in (GRAPH, VOCABULARY, CONFIGURATION))
    return contestant.size_bytes


def _length(cell: dict[str, Any]) -> int:
    length: int = cell["length"]
    return length
