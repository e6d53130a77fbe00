"""Which rows a training loop sees, epoch by epoch, within a budget of rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from eibert.batches import shuffled


@dataclass(frozen=True)
class Schedule:
    """Batches of every epoch, the same for the same seed whichever epoch is asked for first.

    Attributes:
        lengths: Tokens of each row, (N,).
        batch_size: Rows per batch.
        epochs: Most passes.
        rows_limit: Most rows over all passes; the last pass may be cut short.
        seed: Seed of the order.
    """

    lengths: np.ndarray[Any, Any]
    batch_size: int
    epochs: int
    rows_limit: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one whole pass."""
        return -(-len(self.lengths) // self.batch_size)  # a pool holds whole batches

    @property
    def total(self) -> int:
        """Batches of all passes."""
        allowed = max(1, self.rows_limit // self.batch_size)
        return min(self.epochs * self.steps_per_epoch, allowed)

    @property
    def passes(self) -> int:
        """Passes that have at least one batch."""
        return -(-self.total // self.steps_per_epoch)

    def epoch(self, number: int) -> list[np.ndarray[Any, Any]]:
        """Returns the batches of one epoch (0-based), cut where the budget ends."""
        batches = shuffled(self.lengths, self.batch_size, np.random.default_rng([self.seed, number]))
        return batches[: max(0, self.total - number * self.steps_per_epoch)]
