"""Statistics of a labelled data set from which no text can be recovered.

A profile is stored with each version of a model, so that later data can be compared with what it was trained on.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from eibert.batches import by_length, encode
from eibert.corpus import Split, TaskSpec
from eibert.errors import CorruptArtifactError
from eibert.teacher import Teacher

Array = np.ndarray[Any, Any]

FORMAT = 1
LENGTH_EDGES = tuple(2.0 ** (half / 2) for half in range(1, 27))
"""Upper ends of the length bins, in characters: half powers of two, up to 8192."""

_NUMBER_BINS = 10
_FIELD_END = "\x1f"
_FIELD_ESCAPE = str.maketrans({"\\": "\\\\", _FIELD_END: "\\u"})


@dataclass(frozen=True)
class Profile:
    """Statistics of some rows.

    Attributes:
        rows: Number of rows N.
        labels: Class → rows; for regression, bin → rows.
        edges: Inner edges of the target bins; empty for classes.
        lengths: Rows in each bin of LENGTH_EDGES, int64.
        pieces: Occurrences of each of the teacher's word pieces, int64 (V,).
        embedded: Number of sampled rows that were embedded.
        mean: Mean of the embeddings, float64 (H,).
        spread: Their standard deviation per dimension, float64 (H,).
        teacher: SHA-256 of the weights of the teacher that embedded them.
    """

    rows: int
    labels: dict[str, int]
    edges: tuple[float, ...]
    lengths: Array
    pieces: Array
    embedded: int
    mean: Array
    spread: Array
    teacher: str


@dataclass(frozen=True)
class Judged:
    """How often a model's answers agreed with labels it was not trained on.

    Attributes:
        rows: Number of rows.
        agreed: Rows answered with their label; for regression, within `tolerance` of it.
        tolerance: Largest difference that counts as agreement; 0 for classes.
    """

    rows: int
    agreed: int
    tolerance: float = 0.0


@dataclass(frozen=True)
class Reference:
    """What is kept about the data of one version.

    Attributes:
        profile: Profile of its training rows.
        digests: Digests of all its rows, uint64, sorted.
        judged: Agreement of its own answers on its test rows.
    """

    profile: Profile
    digests: Array
    judged: Judged


def measure(
    rows: Split,
    spec: TaskSpec,
    teacher: Teacher,
    *,
    sample_rows: int,
    batch_size: int,
    max_tokens: int,
    seed: int,
    identity: str,
    edges: Sequence[float] | None = None,
) -> Profile:
    """Returns the profile of some rows.

    Args:
        rows: At least one row.
        spec: The task.
        teacher: The base teacher; its tokenizer yields the pieces, its sentence representations are the embeddings.
        sample_rows: Maximum rows embedded.
        batch_size: Rows per forward pass.
        max_tokens: Maximum tokens per row.
        seed: Seed of the sample.
        identity: SHA-256 of the teacher's weights.
        edges: Inner edges of the target bins; None: deciles of these rows.
    """
    if spec.regression:
        tenths = np.quantile(rows.targets.astype(np.float64), np.linspace(0.0, 1.0, _NUMBER_BINS + 1)[1:-1])
        edges = tuple(float(edge) for edge in (np.unique(tenths) if edges is None else edges))
        counts = np.bincount(np.searchsorted(edges, rows.targets, side="right"), minlength=len(edges) + 1)
        labels = {str(position): int(count) for position, count in enumerate(counts)}
    else:
        edges = ()
        found = Counter(rows.targets.tolist())
        labels = {label: found[index] for index, label in enumerate(spec.labels)}
    mean, spread, embedded = _embedding(rows, teacher, sample_rows, batch_size, max_tokens, seed)
    lengths = [len(text) + len(other or "") for text, other in rows.pairs]
    return Profile(
        rows=len(rows),
        labels=labels,
        edges=edges,
        lengths=np.bincount(np.searchsorted(LENGTH_EDGES, lengths), minlength=len(LENGTH_EDGES) + 1).astype(np.int64),
        pieces=_pieces(rows, teacher),
        embedded=embedded,
        mean=mean,
        spread=spread,
        teacher=identity,
    )


def digests(rows: Split, labels: Sequence[object]) -> Array:
    """Returns a digest of each row's texts and label, uint64 (N,).

    Args:
        rows: The rows.
        labels: Labels as in the source, class names or numbers.
    """
    found = (_digest((text, other or "", str(label))) for (text, other), label in zip(rows.pairs, labels, strict=True))
    return np.fromiter(found, np.uint64, len(rows))


def save(reference: Reference, path: Path) -> None:
    """Writes a reference as one safetensors file."""
    profile = asdict(reference.profile)
    arrays = {name: profile.pop(name) for name in ("lengths", "pieces", "mean", "spread")}
    facts = {"format": FORMAT, "profile": profile, "judged": asdict(reference.judged)}
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True)
    save_file(arrays | {"digests": reference.digests}, path, metadata={"facts": text})


def load(path: Path) -> Reference:
    """Returns what `save` wrote.

    Raises:
        CorruptArtifactError: the file is missing, damaged or of another format.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads(file.metadata()["facts"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 — no mapping
        if facts["format"] != FORMAT:
            raise CorruptArtifactError(f"{path}: profile format {facts['format']}, expected {FORMAT}")
        return _reference(facts, arrays)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CorruptArtifactError(f"{path}: unreadable profile ({type(error).__name__}: {error})") from error


def _reference(facts: Mapping[str, Any], arrays: dict[str, Array]) -> Reference:
    known = arrays.pop("digests")
    values: dict[str, Any] = {**facts["profile"], "edges": tuple(facts["profile"]["edges"]), **arrays}
    return Reference(Profile(**values), known, Judged(**facts["judged"]))


def _pieces(rows: Split, teacher: Teacher) -> Array:
    """Returns the occurrences of each word piece in the untruncated texts, without special tokens."""
    counts = np.zeros(len(teacher.tokens), np.int64)
    teacher.tokenizer.no_truncation()
    teacher.tokenizer.no_padding()
    texts = [text for pair in rows.pairs for text in pair if text is not None]
    for found in teacher.tokenizer.encode_batch_fast(texts, add_special_tokens=False):
        np.add.at(counts, found.ids, 1)
    return counts


@torch.no_grad()
def _embedding(
    rows: Split, teacher: Teacher, sample_rows: int, batch_size: int, max_tokens: int, seed: int
) -> tuple[Array, Array, int]:
    """Returns mean and standard deviation of a sample's sentence representations, and the sample's size."""
    chosen = np.random.default_rng(seed).permutation(len(rows))[:sample_rows]
    sample = rows.take(np.sort(chosen))
    limit = min(max_tokens, teacher.max_tokens)
    encoded = encode(teacher.tokenizer, sample.texts, sample.texts_b, max_tokens=limit)
    batches = by_length(encoded.lengths, batch_size)
    vectors = torch.cat([teacher(encoded.batch(batch, "cpu"))[1].double() for batch in batches]).numpy()
    return vectors.mean(axis=0), vectors.std(axis=0), len(sample)


def _digest(fields: tuple[str, ...]) -> int:
    key = _FIELD_END.join(field.translate(_FIELD_ESCAPE) for field in fields)
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
