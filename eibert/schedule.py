"""The batches of a training loop, interval by interval, within a row budget."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from eibert.batches import shuffled

INTERVAL = 2000
"""Maximum steps between dev evaluations and between checkpoints; longer epochs are divided."""


@dataclass(frozen=True)
class Schedule:
    """Batches of every interval, fixed by the seed in whatever order intervals are requested.

    An interval is an epoch, or an equal part of one with more than INTERVAL steps.

    Attributes:
        lengths: Tokens per row, (N,).
        batch_size: Rows per batch.
        epochs: Maximum number of epochs.
        rows_limit: Maximum rows over all epochs; the last epoch may be cut short.
        seed: Seed of the order.
    """

    lengths: np.ndarray[Any, Any]
    batch_size: int
    epochs: int
    rows_limit: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one full epoch."""
        return -(-len(self.lengths) // self.batch_size)  # pools hold whole batches

    @property
    def total(self) -> int:
        """Batches over all epochs."""
        allowed = max(1, self.rows_limit // self.batch_size)
        return min(self.epochs * self.steps_per_epoch, allowed)

    @property
    def _parts(self) -> int:
        return -(-self.steps_per_epoch // INTERVAL)

    @property
    def intervals(self) -> int:
        """Intervals with at least one batch."""
        whole = self.total // self.steps_per_epoch * self._parts
        return whole + sum(self.start(whole + part) < self.total for part in range(self._parts))

    def start(self, number: int) -> int:
        """Returns the first step of an interval (0-based); `total` for one beyond the last."""
        epoch, part = divmod(number, self._parts)
        return min(self.total, epoch * self.steps_per_epoch + part * self.steps_per_epoch // self._parts)

    def interval(self, number: int) -> list[np.ndarray[Any, Any]]:
        """Returns the batches of one interval (0-based), cut off where the budget ends."""
        epoch = number // self._parts
        batches = shuffled(self.lengths, self.batch_size, np.random.default_rng([self.seed, epoch]))
        before = epoch * self.steps_per_epoch
        return batches[max(0, self.start(number) - before) : max(0, self.start(number + 1) - before)]

    def batches(self) -> Iterator[np.ndarray[Any, Any]]:
        """Yields the batches of all intervals in order."""
        for number in range(self.intervals):
            yield from self.interval(number)
