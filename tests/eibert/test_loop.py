"""The training loop on a linear model, against the same steps written out in plain torch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eibert.checkpoint import Checkpoint
from eibert.errors import RunError
from eibert.loop import Loop, Selection
from eibert.optimize import adamw, rate_factor
from eibert.schedule import Schedule
from tests.rooms import NOWHERE, StopError, same, weights

INPUTS = torch.linspace(-1.0, 1.0, 40).reshape(20, 2)
TARGETS = INPUTS.sum(dim=1, keepdim=True)
PLAN = Schedule(np.full(20, 3), 5, epochs=3, rows_limit=55, seed=7)
"""Four batches an epoch; the last epoch ends after three."""
RATE, DECAY, WARMUP = 0.05, 0.1, 0.3
SQUARE = {"square": 1.0, "absolute": 0.0}


def fresh() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(2, 1)


def loop_of(model: nn.Linear, checkpoint: Checkpoint = NOWHERE, **changes: Any) -> Loop:
    optimizer = adamw([(model.parameters(), RATE)], weight_decay=DECAY)
    return Loop(model, PLAN, [optimizer], WARMUP, 3, "lower it", checkpoint, **changes)


def errors(model: nn.Linear, rows: np.ndarray[Any, Any]) -> dict[str, Tensor]:
    off = model(INPUTS[rows]) - TARGETS[rows]
    return {"square": off.square().mean(), "absolute": off.abs().mean()}


@pytest.mark.parametrize("decay", [True, False])
def test_a_loop_takes_the_steps_of_plain_torch(decay: bool) -> None:
    model, other = fresh(), fresh()
    history = loop_of(model, decay=decay).run(
        lambda rows: errors(model, rows), lambda step: {"square": 2.0, "absolute": 0.1 * step}
    )
    reference = torch.optim.AdamW(
        [{"params": [other.weight], "weight_decay": DECAY}, {"params": [other.bias], "weight_decay": 0.0}], lr=RATE
    )
    seen = []
    for step, rows in enumerate(PLAN.batches()):
        found = errors(other, rows)
        (2.0 * found["square"] + 0.1 * step * found["absolute"]).backward()
        nn.utils.clip_grad_norm_(other.parameters(), 1.0)
        for group in reference.param_groups:
            group["lr"] = RATE * rate_factor(step, 11, WARMUP, decay=decay)
        reference.step()
        reference.zero_grad()
        seen.append(float(found["square"].detach()))
    torch.testing.assert_close(model.state_dict(), other.state_dict())
    assert [entry["step"] for entry in history] == [4, 8, 11]
    means = [np.mean(seen[:4]), np.mean(seen[4:8]), np.mean(seen[8:])]
    assert [entry["square"] for entry in history] == pytest.approx(means, rel=1e-5)


@pytest.mark.parametrize(
    ("scores", "patience", "intervals", "selected"),
    [
        ([0.1, 0.5, 0.5], None, 3, 3),  # the last of ties
        ([0.9393527, 0.9393488, 0.9393488], None, 3, 3),  # differ by rounding
        ([0.5, 0.4, 0.3], None, 3, 1),
        ([0.5, 0.4998, 0.4996], None, 3, 1),
        ([0.5, 0.49995, 0.4998], 1, 3, 2),
        ([0.5, 0.4, 0.9], 1, 2, 1),  # ends before the best one
        ([0.5, 0.4, 0.9], 2, 3, 3),
        ([0.5, 0.5, 0.4], 1, 3, 2),  # a tie keeps it going
    ],
)
def test_the_best_interval_is_selected_until_patience_ends(
    scores: list[float], patience: int | None, intervals: int, selected: int
) -> None:
    model, best = fresh(), fresh()
    states, given = [], iter(scores)

    def dev_score() -> float:
        states.append(weights(model))
        return next(given)

    loop = loop_of(model)
    history = loop.run(lambda rows: errors(model, rows), lambda _: SQUARE, Selection(best, dev_score, patience))
    assert [entry["dev_score"] for entry in history] == scores[:intervals]
    assert same(weights(best), states[selected - 1])


@pytest.mark.parametrize("killed_at", [2, 5, 8, 11])
def test_a_killed_loop_resumes_both_models_both_optimizers_and_dropout(killed_at: int, tmp_path: Path) -> None:
    def run(checkpoint: Checkpoint, kill: int | None) -> tuple[Any, ...]:
        model, other = fresh(), fresh()
        optimizers = [adamw([(one.parameters(), RATE)], weight_decay=DECAY) for one in (model, other)]

        def terms(rows: np.ndarray[Any, Any]) -> dict[str, Tensor]:
            masked = nn.functional.dropout(INPUTS[rows], 0.5)
            return {"own": (model(masked) - other(masked)).square().mean(), "its": errors(other, rows)["square"]}

        def report(step: int, _total: int, **_: float) -> None:
            if step == kill:
                raise StopError

        loop = Loop(model, PLAN, optimizers, WARMUP, 3, "", checkpoint, report, others={"other": other})
        return loop.run(terms, lambda _: {"own": 1.0, "its": 1.0}), weights(model), weights(other)

    kept = Checkpoint(tmp_path / "state.safetensors", "key")
    straight = run(NOWHERE, None)
    with pytest.raises(StopError):
        run(kept, killed_at)
    resumed = run(kept, None)
    assert resumed[0] == straight[0]
    assert same(resumed[1], straight[1])
    assert same(resumed[2], straight[2])


def test_divergence_names_the_remedy_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    model = fresh()
    kept = Checkpoint(tmp_path / "state.safetensors", "key")
    worth = iter([1.0] * 6 + [float("nan")])
    with pytest.raises(RunError, match=r"training diverged: .* not finite; lower it$"):
        loop_of(model, kept).run(lambda rows: errors(model, rows), lambda _: {"square": next(worth), "absolute": 0.0})
    assert kept.restore({"model": fresh()}, [])[0] == 1
