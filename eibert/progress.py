"""How long work tells how far it is, without knowing who listens."""

from typing import Protocol


class Report(Protocol):
    """Takes the number of steps done, the number of all steps, and named figures of the moment."""

    def __call__(self, step: int, total: int, **values: float) -> None:
        """Takes one report."""


def silent(step: int, total: int, **values: float) -> None:
    """Takes a report and does nothing with it."""
