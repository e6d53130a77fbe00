"""What an answer costs, counted rather than measured: the same on every machine. `eibert bench` measures."""

from dataclasses import dataclass

from torch import nn

from eibert.student import Student
from eibert.teacher import Teacher

TOKENS = 32
"""Length of the text whose arithmetic is counted, special tokens included."""


@dataclass(frozen=True)
class Cost:
    """What a model holds and does.

    Attributes:
        parameters: Numbers in its tables, matrices and vectors.
        multiply_adds: Multiplications, each with its addition, for one text of TOKENS tokens.
    """

    parameters: int
    multiply_adds: int


def cost_of(model: Student | Teacher) -> Cost:
    """Returns the cost of a model with its task head, T·Σ(in·out) + 2·L·T²·H + Σ(in·out) of the head.

    The first sum is over all linear maps that see every token, the second term over the scores and the mixing of L
    layers of width H. Choice: matrix products only, as is usual; look-ups, norms, softmax and activations, a few per
    cent of them, are left out.
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
