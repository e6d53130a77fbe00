"""The judgement of a challenger against the champion: gates, and the figures behind them.

Answers and targets in, numbers and verdicts out; knows neither folders nor a registry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Gate:
    """One condition of service.

    Attributes:
        name: One word.
        value: What was found; None: nothing to measure.
        bound: What it is held against; None: the gate is a yes or a no.
        passed: Whether the condition holds; None: not applicable, as without a champion.
        note: What stands behind it, for a person.
        at_least: Whether the bound is a least value rather than a largest.
    """

    name: str
    value: float | None
    bound: float | None
    passed: bool | None
    note: str = ""
    at_least: bool = False


@dataclass(frozen=True)
class Verdict:
    """What all gates said.

    Attributes:
        gates: In order.
        champion: Number of the version that the challenger was held against; None: there was none.
        override: Why a person lets the challenger pass where a gate keeps it out; None: nobody does.
        figures: What was measured besides: scores of both, their difference with its interval, McNemar's p, rows.
    """

    gates: tuple[Gate, ...]
    champion: int | None
    override: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether no gate keeps the challenger out, whatever a person says."""
        return all(gate.passed is not False for gate in self.gates)

    @property
    def reason(self) -> str:
        """The verdict in one line."""
        failed = [f"{gate.name}: {gate.note}" for gate in self.gates if gate.passed is False]
        if failed:
            return "; ".join(failed) + (f"; overridden: {self.override}" if self.override else "")
        return "every gate passed" if self.champion else "every gate passed that needs no champion; there is none yet"

    def as_object(self) -> dict[str, Any]:
        """Returns the verdict as JSON values."""
        return {
            "passed": self.passed,
            "champion": self.champion,
            "override": self.override,
            "reason": self.reason,
            "gates": [vars(gate) for gate in self.gates],
            "figures": dict(self.figures),
        }
