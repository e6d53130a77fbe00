"""Standardised regression targets: losses work in standard units, saved models answer in the target's own units.

Choice: mean and standard deviation of train; learning rates, loss weights and initialisation are then independent of
the target's unit (decision 0004).
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
    """Location and scale of the targets: number = standard · deviation + mean. Classes have none.

    Attributes:
        mean: Mean of the targets.
        deviation: Their standard deviation; 0: all are equal, and the saved model always answers that value.
    """

    mean: float
    deviation: float

    @classmethod
    def of(cls, spec: TaskSpec, targets: Array) -> "Unit":
        """Returns the unit of training targets (N,)."""
        if not spec.regression:
            return NO_UNIT
        equal = np.ptp(targets) == 0  # the deviation of equal numbers is a rounding error, not 0
        return cls(float(targets.mean(dtype=np.float64)), 0.0 if equal else float(targets.std(dtype=np.float64)))

    @property
    def divisor(self) -> float:
        """Divisor that turns a difference into standard units."""
        return self.deviation or 1.0

    def standard(self, targets: Array) -> Array:
        """Returns targets in standard units, of the same dtype."""
        if self == NO_UNIT:
            return targets
        return ((targets.astype(np.float64) - self.mean) / self.divisor).astype(targets.dtype)

    def standardized(self, head: nn.Linear) -> nn.Linear:
        """Converts a head that answers in the target's own units to standard units; returns a copy."""
        return _mapped(head, 1.0 / self.divisor, -self.mean / self.divisor)

    def restored(self, head: nn.Linear) -> nn.Linear:
        """Converts a head that answers in standard units to the target's own units; returns a copy."""
        return _mapped(head, self.deviation, self.mean)


NO_UNIT = Unit(0.0, 1.0)
"""The identity, for classes."""


@torch.no_grad()
def _mapped(head: nn.Linear, factor: float, offset: float) -> nn.Linear:
    found = copy.deepcopy(head)
    found.weight.copy_(head.weight.double() * factor)
    found.bias.copy_(head.bias.double() * factor + offset)
    return found
