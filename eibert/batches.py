"""Token batches of similar length, and a model's predictions over them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from eibert.corpus import Split
from eibert.progress import Report, silent
from eibert.truncate import truncated

_POOL_BATCHES = 50
"""Shuffled rows are sorted by length within pools of this many batches: little padding, yet random."""


@dataclass(frozen=True)
class Batch:
    """Padded rows: token ids, mask of real tokens and segments, int64 (B, T) each."""

    ids: Tensor
    mask: Tensor
    segments: Tensor


@dataclass(frozen=True)
class Encoded:
    """Tokenized rows, unpadded: ids and segments, N arrays int32 (T_n,) each."""

    ids: list[np.ndarray[Any, Any]]
    segments: list[np.ndarray[Any, Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray[Any, Any]:
        """Tokens of each row, int64 (N,)."""
        return np.array([len(row) for row in self.ids], np.int64)

    def batch(self, rows: Sequence[int] | np.ndarray[Any, Any], device: torch.device | str = "cpu") -> Batch:
        """Returns the given rows padded to the longest; the padding id is 0."""
        width = max(len(self.ids[row]) for row in rows)
        arrays = np.zeros((3, len(rows), width), np.int64)
        for position, row in enumerate(rows):
            length = len(self.ids[row])
            arrays[0, position, :length] = self.ids[row]
            arrays[1, position, :length] = 1
            arrays[2, position, :length] = self.segments[row]
        ids, mask, segments = moved(torch.from_numpy(arrays), device)
        return Batch(ids, mask, segments)


def moved(rows: Tensor, device: torch.device | str) -> Tensor:
    """Returns a tensor on a device; copies to CUDA go through pinned memory and do not block."""
    if torch.device(device).type == "cuda" and rows.device.type == "cpu":
        return rows.pin_memory().to(device, non_blocking=True)
    return rows.to(device)


def encode(tokenizer: Tokenizer, texts: Sequence[str], texts_b: Sequence[str] | None, *, max_tokens: int) -> Encoded:
    """Returns the tokens of texts, or of pairs, truncated to max_tokens."""
    found = Encoded([], [])
    for row in truncated(tokenizer, texts, texts_b, max_tokens=max_tokens):
        found.ids.append(row.ids)
        found.segments.append(row.segments)
    return found


def shuffled(
    lengths: np.ndarray[Any, Any], batch_size: int, generator: np.random.Generator
) -> list[np.ndarray[Any, Any]]:
    """Returns row indices in random batches of similar length.

    Args:
        lengths: Tokens of each row, (N,).
        batch_size: Rows per batch; the last may have fewer.
        generator: Source of randomness.

    Returns:
        Arrays int64 (B,); each row is in exactly one.
    """
    order = generator.permutation(len(lengths))
    pool = batch_size * _POOL_BATCHES
    batches = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]
    return [batches[position] for position in generator.permutation(len(batches))]


def by_length(lengths: np.ndarray[Any, Any], batch_size: int) -> list[np.ndarray[Any, Any]]:
    """Returns row indices in batches of increasing length, for inference."""
    order = np.argsort(lengths, kind="stable")
    return [order[first : first + batch_size] for first in range(0, len(order), batch_size)]


class Classifier(Protocol):
    """A model that can tokenize rows and answer them."""

    tokenizer: Tokenizer
    max_tokens: int

    def logits(self, batch: Batch) -> Tensor:
        """Returns logits, float (B, C)."""

    def eval(self) -> object:
        """Turns dropout off."""


@torch.no_grad()
def predict(
    model: Classifier, split: Split, *, batch_size: int, max_tokens: int | None = None, report: Report = silent
) -> np.ndarray[Any, Any]:
    """Returns logits for every row of a split in order, float32 (N, C).

    Args:
        model: Runs on the device of its parameters.
        split: Rows.
        batch_size: Rows per forward pass.
        max_tokens: Maximum tokens per row; None: the model's own limit.
        report: Called after each batch.
    """
    model.eval()
    device = next(model.parameters()).device if isinstance(model, torch.nn.Module) else "cpu"
    encoded = encode(model.tokenizer, split.texts, split.texts_b, max_tokens=max_tokens or model.max_tokens)
    batches = by_length(encoded.lengths, batch_size)
    found: list[Tensor] = [model.logits(encoded.batch(rows, device)).float().cpu() for rows in _told(batches, report)]
    order = np.argsort(np.concatenate(batches), kind="stable")
    return torch.cat(found).numpy()[order]


def _told(batches: list[np.ndarray[Any, Any]], report: Report) -> Iterator[np.ndarray[Any, Any]]:
    for position, rows in enumerate(batches):
        yield rows
        report(position + 1, len(batches))
