"""Cost of inference, counted rather than measured, so the same on every machine; `eibert bench` measures it."""

from dataclasses import dataclass

from torch import nn

from eibert.student import Student
from eibert.teacher import Teacher

TOKENS = 32
"""Text length for counting operations, special tokens included."""


@dataclass(frozen=True)
class Cost:
    """Size and arithmetic cost of a model.

    Attributes:
        parameters: Number of parameters.
        multiply_adds: Multiply-adds for one text of TOKENS tokens.
    """

    parameters: int
    multiply_adds: int


def cost_of(model: Student | Teacher) -> Cost:
    """Returns the cost of a model with its task head, T·Σ(in·out) + 2·L·T²·H + Σ(in·out) of the head.

    The first sum covers the linear layers applied to every token, the second term attention scores and weighted sums in
    L layers of width H. Choice: matrix products only, as usual; look-ups, norms, softmax and activations, a few per
    cent of the total, are left out.
    """
    if isinstance(model, Student):
        layers, hidden = model.shape.layers, model.shape.hidden
        heads = [part for part in (model.projection, model.head) if part is not None]
    else:
        layers, hidden = _depth(model.encoder), model.hidden
        heads = [model.head] if model.head is not None else []
    maps = [part for part in model.modules() if isinstance(part, nn.Linear) and part not in heads]
    products = TOKENS * sum(map(_products, maps)) + 2 * layers * TOKENS**2 * hidden + sum(map(_products, heads))
    return Cost(sum(parameter.numel() for parameter in model.parameters()), products)


def _products(part: nn.Linear) -> int:
    return part.in_features * part.out_features


def _depth(encoder: nn.Module) -> int:
    found: int = encoder.config.num_hidden_layers  # type: ignore[union-attr, assignment]
    return found
