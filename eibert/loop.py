"""The training loop of `finetune`, `pretrain` and `distill`: intervals that end with a dev score and a checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eibert import optimize
from eibert.checkpoint import Checkpoint
from eibert.losses import weighted
from eibert.progress import Report, silent
from eibert.schedule import Schedule

Terms = Callable[[np.ndarray[Any, Any]], Mapping[str, Tensor]]
"""From a batch's row indices, int (B,), to the unweighted terms of its loss: scalars by name."""
WeightsAt = Callable[[int], Mapping[str, float]]
"""From a step (0-based) to the weight of each term; those of other names are ignored."""
Record = dict[str, float]
"""Of an interval: `step`, the means of the terms, and `dev_score` if there is one."""

_TIE = 1e-4
"""Choice: dev scores this close are ties. Rank correlations differ by less where equal answers differ by rounding."""


@dataclass(frozen=True)
class Selection:
    """How the best interval is selected.

    Attributes:
        best: Receives the model's weights after the best interval on dev (the last of ties).
        dev_score: Returns the model's score on dev; higher is better.
        patience: Training ends after as many intervals in a row without a best score; None: never early.
    """

    best: nn.Module
    dev_score: Callable[[], float]
    patience: int | None = None

    def ends(self, history: Sequence[Record]) -> bool:
        """Returns whether patience has run out."""
        scores = [entry["dev_score"] for entry in history]
        return self.patience is not None and bool(scores) and len(scores) - 1 - _best(scores) >= self.patience


@dataclass(frozen=True)
class Loop:
    """A training loop; an interrupted one resumes from its last complete interval, to the same weights.

    Attributes:
        model: Trained in place, in training mode.
        plan: Batches of every interval.
        optimizers: Each steps once per batch and clips its own gradients.
        warmup_share: Share of the steps in which the rate rises.
        seed: Seed of dropout.
        remedy: Which parameters to change if training diverges; ends the error message.
        checkpoint: Saves the state after each interval.
        report: Called after each batch.
        decay: Whether the rate falls to zero after the warm-up, or stays.
        others: Modules trained with it, in a mode of their own.
    """

    model: nn.Module
    plan: Schedule
    optimizers: Sequence[torch.optim.Optimizer]
    warmup_share: float
    seed: int
    remedy: str
    checkpoint: Checkpoint
    report: Report = silent
    decay: bool = True
    others: Mapping[str, nn.Module] = field(default_factory=dict)

    def run(self, terms: Terms, weights: WeightsAt, selection: Selection | None = None) -> list[Record]:
        """Minimises the weighted sum of the terms until schedule or patience ends; returns one record per interval.

        Raises:
            RunError: training diverged.
        """
        modules = {"model": self.model, **self.others} | ({"best": selection.best} if selection else {})
        done, memory = self.checkpoint.restore(modules, self.optimizers)
        history: list[Record] = memory.get("history", [])
        while done < self.plan.intervals and not (selection and selection.ends(history)):
            means = self._interval(done, terms, weights)
            done += 1
            history.append({"step": self.plan.start(done), **means})
            if selection:
                history[-1]["dev_score"] = selection.dev_score()
                if _best([entry["dev_score"] for entry in history]) == done - 1:
                    selection.best.load_state_dict(self.model.state_dict())
            self.checkpoint.save(done, modules, self.optimizers, {"history": history})
        return history

    def _interval(self, number: int, terms: Terms, weights: WeightsAt) -> Record:
        """Trains on the batches of one interval; returns the mean of each term."""
        torch.manual_seed(self.seed + number)
        self.model.train()
        sums: Record = {}
        batches = self.plan.interval(number)
        for step, rows in enumerate(batches, self.plan.start(number)):
            found = terms(rows)
            weighted(found, weights(step)).backward()  # type: ignore[no-untyped-call]
            factor = optimize.rate_factor(step, self.plan.total, self.warmup_share, decay=self.decay)
            for optimizer in self.optimizers:
                optimize.step(optimizer, factor, self.remedy)
            values = {name: float(term.detach()) for name, term in found.items()}
            sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
            self.report(step + 1, self.plan.total, **values)
        return {name: value / len(batches) for name, value in sums.items()}


def _best(scores: Sequence[float]) -> int:
    """The place of the best score, the last of ties."""
    return max(place for place, score in enumerate(scores) if score >= max(scores) - _TIE)
