"""The unit of the numbers that a model predicts: losses see standard units, what is saved answers in the target's own.

Choice: mean and standard deviation of train; no rate, no weight and no start depends on the unit (decision 0004).
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from eibert.corpus import TaskSpec

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Unit:
    """Where the targets lie: number = standard · deviation + mean. Classes have none.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation; 0: all are equal, and what is saved answers just that.
    """

    mean: float
    deviation: float

    @classmethod
    def of(cls, spec: TaskSpec, targets: Array) -> "Unit":
        """Returns the unit of the targets of train, (N,)."""
        if not spec.regression:
            return NO_UNIT
        equal = np.ptp(targets) == 0  # the deviation of equal numbers is a rounding error, not 0
        return cls(float(targets.mean(dtype=np.float64)), 0.0 if equal else float(targets.std(dtype=np.float64)))

    @property
    def divisor(self) -> float:
        """What a difference is divided by to be in standard units."""
        return self.deviation or 1.0

    def standard(self, targets: Array) -> Array:
        """Returns targets in standard units, of the same type."""
        if self == NO_UNIT:
            return targets
        return ((targets.astype(np.float64) - self.mean) / self.divisor).astype(targets.dtype)

    def standardized(self, head: nn.Linear) -> nn.Linear:
        """Returns a copy of a head that answers in standard units, of one that answers in the target's own."""
        return _mapped(head, 1.0 / self.divisor, -self.mean / self.divisor)

    def restored(self, head: nn.Linear) -> nn.Linear:
        """Returns a copy of a head that answers in the target's own units, of one that answers in standard ones."""
        return _mapped(head, self.deviation, self.mean)


NO_UNIT = Unit(0.0, 1.0)
"""That of classes."""


@torch.no_grad()
def _mapped(head: nn.Linear, factor: float, offset: float) -> nn.Linear:
    found = copy.deepcopy(head)
    found.weight.copy_(head.weight.double() * factor)
    found.bias.copy_(head.bias.double() * factor + offset)
    return found
