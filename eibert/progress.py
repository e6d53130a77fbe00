"""How long-running work reports progress without knowing who listens."""

from typing import Protocol


class Report(Protocol):
    """A callback taking the steps done, the total steps, and named current values."""

    def __call__(self, step: int, total: int, **values: float) -> None:
        """Receives one report."""


def silent(step: int, total: int, **values: float) -> None:
    """Ignores a report."""
