"""A frozen teacher's representation of every token of some rows, in half precision, usually memory-mapped."""

import errno
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eibert.batches import Encoded, by_length, moved
from eibert.errors import RunError
from eibert.losses import Spread, pool
from eibert.outputs import Outputs
from eibert.params.section import Pooling, Precision
from eibert.passes import ROWS, passes
from eibert.progress import Report, silent
from eibert.teacher import Teacher

_SCALE_ROWS = 2000
"""Rows used to estimate the variance of the teacher's representations."""


class TokenTargets:
    """The teacher's last-layer representations of every token of some rows.

    Args:
        memory: Float16 (M, H), the tokens of all rows concatenated.
        rows: The rows, M tokens in total.
        pooling: How the teacher pools a row into one vector.

    Attributes:
        rows: The rows.
        token_scale: Variance of token vectors.
        sentence_scale: Variance of sentence vectors.
    """

    def __init__(self, memory: np.ndarray[Any, Any], rows: Encoded, pooling: Pooling) -> None:
        self.rows = rows
        self._memory, self._pooling = memory, pooling
        self._starts = np.concatenate([[0], np.cumsum(rows.lengths)])
        sample = np.random.default_rng(0).permutation(len(rows))[:_SCALE_ROWS]
        tokens, sentences = Spread(), Spread()
        for start in range(0, len(sample), ROWS):  # all at once could take gigabytes
            mask = rows.batch(chosen := sample[start : start + ROWS]).mask
            padded, pooled = self.of(chosen, mask)
            tokens.add(padded[mask.bool()])
            sentences.add(pooled)
        self.token_scale, self.sentence_scale = tokens.variance, sentences.variance

    @classmethod
    def read(
        cls,
        teacher: Teacher,
        rows: Encoded,
        *,
        precision: Precision,
        outputs: Outputs | None,
        fewer: str,
        batch_size: int = ROWS,
        report: Report = silent,
    ) -> "TokenTargets":
        """Returns the teacher's outputs over all rows, from the cache if possible, else computed and cached.

        Args:
            teacher: On the device to run on.
            rows: Rows under the teacher's tokenizer.
            precision: Numeric precision of the passes.
            outputs: Disk cache, as the outputs may not fit in memory; None: in memory.
            fewer: Dotted key of the parameter that reduces their size, for the error message.
            batch_size: Rows per forward pass.
            report: Called after each batch.

        Raises:
            RunError: the outputs cannot be written to disk.
        """
        shape = (int(rows.lengths.sum()), teacher.hidden)
        if outputs is None:
            held = np.empty(shape, np.float16)
            _fill(held, teacher, rows, batch_size, precision, report)
            return cls(held, rows, teacher.pooling)
        key = outputs.key_of(teacher, rows, precision, "tokens", batch_size)
        size = shape[0] * shape[1] * np.dtype(np.float16).itemsize
        with outputs.alone(key):
            if path := outputs.find(key):
                return cls(np.memmap(path, np.float16, "r", shape=shape), rows, teacher.pooling)
            try:
                with outputs.writing(key, size) as part:
                    memory = np.memmap(part, np.float16, "r+", shape=shape)
                    _fill(memory, teacher, rows, batch_size, precision, report)
                    memory.flush()
            except OSError as error:
                raise RunError(f"{outputs.folder}: {_refused(error, size, fewer)}") from error
        return cls(memory, rows, teacher.pooling)

    def of(self, rows: np.ndarray[Any, Any], mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns padded token targets float (B, T, H) and sentence targets (B, H) of the rows with this mask."""
        found = np.zeros((*mask.shape, self._memory.shape[1]), np.float32)
        for position, row in enumerate(rows):
            values = self._memory[self._starts[row] : self._starts[row + 1]]
            found[position, : len(values)] = values
        tokens = moved(torch.from_numpy(found), mask.device)
        return tokens, pool(tokens, mask, self._pooling)

    def sentences(self) -> Tensor:
        """Returns the sentence vectors of all rows in order, float16 (N, H)."""
        found = torch.empty(len(self.rows), self._memory.shape[1], dtype=torch.float16)
        for chosen in by_length(self.rows.lengths, _SCALE_ROWS):
            found[chosen] = self.of(chosen, self.rows.batch(chosen).mask)[1].half()
        return found


def _refused(error: OSError, size: int, fewer: str) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"no space for {size:,} bytes of the teacher's outputs ({error.strerror}); free some, or lower {fewer}"
    return f"the teacher's outputs cannot be written there ({error.strerror}); make it a folder that can be written"


def _fill(
    memory: np.ndarray[Any, Any],
    teacher: Teacher,
    rows: Encoded,
    batch_size: int,
    precision: Precision,
    report: Report,
) -> None:
    lengths = rows.lengths
    starts = np.concatenate([[0], np.cumsum(lengths)])
    for chosen, tokens, _ in passes(teacher, rows, batch_size=batch_size, precision=precision, report=report):
        for row, values in zip(chosen, tokens.float().cpu().numpy(), strict=True):
            memory[starts[row] : starts[row + 1]] = values[: lengths[row]]
