"""The student's first weights from the teacher's: its own attention heads and neurons in a narrower space.

Choice: how the student starts is not known of the paper. The teacher's representations are projected onto their
principal directions; each student layer takes over the heads and neurons that matter most in one teacher layer; output
matrices and norms are fitted by least squares to the teacher's projected representations (decision 0008).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 — torch's own custom

from eibert.batches import Batch, Encoded
from eibert.bert import BertLayer, bert_layers
from eibert.student import MASKED, Layer, Student
from eibert.teacher import Teacher

_RIDGE = 1e-3
"""Penalty of the least squares in units of the inputs' mean square."""
_BATCH_ROWS = 64


@dataclass(frozen=True)
class Basis:
    """A narrow space of the teacher's representations: x ≈ x' @ directions.T + offset, with x' = x @ directions.

    Attributes:
        directions: Float (H_T, H). The coordinates of x' sum to zero, so a layer norm's centring leaves them alone.
        offset: The mean outside the space, float (H_T,).
    """

    directions: Tensor
    offset: Tensor

    @classmethod
    def of(cls, states: list[Tensor], width: int, seed: int) -> "Basis":
        """Returns the space that keeps most variance of states, float (M, H_T) each, in `width` coordinates."""
        mean = torch.stack([state.double().mean(dim=0) for state in states]).mean(dim=0)
        second = torch.stack([_second_moment(state.double() - mean) for state in states]).sum(dim=0)
        principal = torch.linalg.eigh(second).eigenvectors.flip(-1)[:, : width - 1]
        principal = principal * principal.gather(0, principal.abs().argmax(dim=0, keepdim=True)).sign()
        frame = torch.randn(width, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        frame[:, 0] = 1.0
        turned = torch.linalg.qr(frame).Q[:, 1 : 1 + principal.shape[1]]  # orthonormal columns, each sums to zero
        outside = mean - principal @ (principal.T @ mean)
        return cls((principal @ turned.T).float(), outside.float())

    def narrow(self, linear: nn.Linear) -> tuple[Tensor, Tensor]:
        """Returns weight (O, H) and bias (O,) of a linear map of the teacher that reads x' in place of x."""
        return linear.weight @ self.directions, linear.bias + linear.weight @ self.offset


class Sample:
    """Some rows through the teacher, their tokens in one flat sequence of M without padding."""

    def __init__(self, teacher: Teacher, batches: list[Batch]) -> None:
        self._masks = [batch.mask.bool() for batch in batches]
        found = [
            teacher.encoder(
                input_ids=batch.ids,
                attention_mask=batch.mask,
                token_type_ids=batch.segments,
                output_hidden_states=True,
            ).hidden_states
            for batch in batches
        ]
        self.states = [self.flat(list(level)) for level in zip(*found, strict=True)]
        self.ids = self.flat([batch.ids for batch in batches])
        self.segments = self.flat([batch.segments for batch in batches])
        self.positions = self.flat([torch.arange(mask.shape[1]).expand(mask.shape) for mask in self._masks])

    def flat(self, padded: list[Tensor]) -> Tensor:
        """Returns the real tokens, (M, ...), of padded batches (B, T, ...)."""
        return torch.cat([values[mask] for values, mask in zip(padded, self._masks, strict=True)])

    def padded(self, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Returns batches (B, T, H) of flat tokens (M, H), each with its bias of attention (B, 1, 1, T)."""
        batches = []
        for mask, values in zip(self._masks, torch.split(flat, [int(mask.sum()) for mask in self._masks]), strict=True):
            batch = flat.new_zeros(*mask.shape, flat.shape[1])
            batch[mask] = values
            batches.append((batch, (~mask)[:, None, None, :] * MASKED))
        return batches

    def sentences(self, flat: Tensor) -> Tensor:
        """Returns the mean over each row's tokens, (N, H)."""
        parts = torch.split(flat, [int(count) for mask in self._masks for count in mask.sum(dim=1)])
        return torch.stack([part.mean(dim=0) for part in parts])


@torch.no_grad()
def inherit(student: Student, teacher: Teacher, rows: Encoded, *, tokens: int, seed: int) -> dict[str, float] | None:
    """Gives a new student the teacher's weights, as far as they fit, in place.

    Args:
        student: Its token table holds coordinates of the teacher's (`weighted_svd`).
        teacher: The teacher.
        rows: Texts to fit to.
        tokens: Tokens of text used, drawn by seed.
        seed: Seed of the draw and of the space's orientation.

    Returns:
        Squared distance to the teacher on the texts used, in units of its variance, of tokens and sentences; None,
        and the student unchanged, where the teacher is not built like BERT or is narrower than the student.
    """
    layers = bert_layers(teacher.encoder)
    if layers is None or teacher.hidden < student.shape.hidden:
        return None
    sample = Sample(teacher, _drawn(rows, tokens, seed))
    states = sample.states
    basis = Basis.of([*states, states[-1]], student.shape.hidden, seed)
    hidden = _inherit_embeddings(student, teacher, basis, sample)
    for place, layer in enumerate(student.layers):
        assert isinstance(layer, Layer)
        level = _level(place, len(student.layers), len(layers))
        mixed, hidden = _inherit_attention(layer, layers[level], basis, sample, states[level], hidden)
        hidden = _inherit_feed_forward(layer, layers[level], basis, mixed, states[level + 1], hidden)
    projection = student.projection
    assert projection is not None
    _fit_linear(projection, hidden, states[-1])
    found = projection(hidden)
    return {
        "token": _distance(found, states[-1]),
        "sentence": _distance(sample.sentences(found), sample.sentences(states[-1])),
    }


def _drawn(rows: Encoded, tokens: int, seed: int) -> list[Batch]:
    order = np.random.default_rng([seed, 4]).permutation(len(rows))
    enough = int(np.searchsorted(np.cumsum(rows.lengths[order]), tokens)) + 1
    chosen = order[:enough]
    chosen = chosen[np.argsort(rows.lengths[chosen], kind="stable")]
    return [rows.batch(chosen[first : first + _BATCH_ROWS]) for first in range(0, len(chosen), _BATCH_ROWS)]


def _level(place: int, count: int, available: int) -> int:
    """Returns the teacher layer of a student layer: evenly spaced, the last one last."""
    return -(-(place + 1) * available // count) - 1


def _inherit_embeddings(student: Student, teacher: Teacher, basis: Basis, sample: Sample) -> Tensor:
    embeddings: Any = teacher.encoder.embeddings
    table = student.table.weight
    seen = torch.bincount(sample.ids, minlength=len(table)).float().sqrt().unsqueeze(-1) + 0.1
    projected = teacher.table @ basis.directions
    student.embedding_projection.weight.copy_(_least_squares((table * seen).double(), (projected * seen).double()))
    for own, given in (
        (student.positions.weight, embeddings.position_embeddings.weight),
        (student.segments.weight, embeddings.token_type_embeddings.weight),
    ):
        count = min(len(own), len(given))
        own[:count] = given[:count] @ basis.directions
    summed = student.embedding_projection(student.table(sample.ids))
    summed = summed + student.positions(sample.positions) + student.segments(sample.segments)
    return _fit_norm(student.embedding_norm, summed, sample.states[0] @ basis.directions)


def _inherit_attention(
    layer: Layer, source: BertLayer, basis: Basis, sample: Sample, state: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the representations after attention of the teacher, (M, H_T), and of the student, (M, H)."""
    contexts = sample.flat([source.context(values, bias) for values, bias in sample.padded(state)])
    width, size = contexts.shape[1] // source.heads, hidden.shape[1] // layer.heads
    output = basis.directions.T @ source.attention_output.weight  # (H, heads · d_T)
    parts = torch.split(contexts, width, dim=1), torch.split(output, width, dim=1)
    worth = torch.stack([(part @ into.T).var(dim=0).sum() for part, into in zip(*parts, strict=True)])
    query, key, value = (_with_bias(*basis.narrow(part)) for part in (source.query, source.key, source.value))
    rows = layer.qkv.weight.view(3, layer.heads, size, -1), layer.qkv.bias.view(3, layer.heads, size)
    for place, head in enumerate(_largest(worth, layer.heads)):
        part = slice(head * width, (head + 1) * width)
        asked, offered = _narrowed_scores(query[part], key[part], size)
        carried = _narrowed_value(value[part], output[:, part], size)
        for kind, found in enumerate((asked, offered, carried)):
            rows[0][kind, place, : len(found)] = found[:, :-1]
            rows[1][kind, place, : len(found)] = found[:, -1]
    before = state + source.attention_output(contexts)
    own = sample.flat([layer.context(values, bias) for values, bias in sample.padded(hidden)])
    _fit_linear(layer.attention_output, own, before @ basis.directions - hidden)
    after: Tensor = source.attention_norm(before)
    return after, _fit_norm(layer.attention_norm, hidden + layer.attention_output(own), after @ basis.directions)


def _inherit_feed_forward(
    layer: Layer, source: BertLayer, basis: Basis, mixed: Tensor, state: Tensor, hidden: Tensor
) -> Tensor:
    """Returns the student's representations after the layer, (M, H); `mixed`, `state`: the teacher's before, after."""
    active = source.activation(source.feed_forward_input(mixed))
    into = basis.directions.T @ source.feed_forward_output.weight  # (H, F_T)
    chosen = _largest(active.var(dim=0) * into.square().sum(dim=0), layer.feed_forward_input.out_features)
    weight, bias = basis.narrow(source.feed_forward_input)
    layer.feed_forward_input.weight[: len(chosen)] = weight[chosen]
    layer.feed_forward_input.bias[: len(chosen)] = bias[chosen]
    before = mixed + source.feed_forward_output(active)
    own = F.gelu(layer.feed_forward_input(hidden))
    _fit_linear(layer.feed_forward_output, own, before @ basis.directions - hidden)
    return _fit_norm(layer.feed_forward_norm, hidden + layer.feed_forward_output(own), state @ basis.directions)


def _largest(worth: Tensor, count: int) -> list[int]:
    return sorted(worth.argsort(descending=True, stable=True)[:count].tolist())


def _with_bias(weight: Tensor, bias: Tensor) -> Tensor:
    return torch.cat([weight, bias.unsqueeze(-1)], dim=1)


def _narrowed_scores(query: Tensor, key: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Returns at most `size` rows of query and key, (d, H + 1), whose scores q·k / √size are nearest to q·k / √d_T."""
    scale = (size / len(query)) ** 0.5
    if len(query) <= size:
        return query * scale, key
    left, values, right = torch.linalg.svd(query.double().T @ key.double(), full_matrices=False)
    root = (values[:size] * scale).sqrt().unsqueeze(-1)
    return (root * left.T[:size]).float(), (root * right[:size]).float()


def _narrowed_value(value: Tensor, output: Tensor, size: int) -> Tensor:
    """Returns at most `size` rows of the value map, (d, H + 1), that carry most of what reaches the output (H, d_T)."""
    if len(value) <= size:
        return value
    _, values, right = torch.linalg.svd(output.double() @ value.double(), full_matrices=False)
    narrowed: Tensor = values[:size].unsqueeze(-1) * right[:size]
    return narrowed.float()


def _fit_linear(linear: nn.Linear, inputs: Tensor, targets: Tensor) -> None:
    """Sets a linear map to the least squares of targets (M, O) from inputs (M, I)."""
    known, wanted = inputs.double(), targets.double()
    known_mean, wanted_mean = known.mean(dim=0), wanted.mean(dim=0)
    known, wanted = known - known_mean, wanted - wanted_mean
    weight = _least_squares(known, wanted)
    linear.weight.copy_(weight)
    linear.bias.copy_(wanted_mean - weight @ known_mean)


def _least_squares(known: Tensor, wanted: Tensor) -> Tensor:
    """Returns the map (O, I) from known (M, I) to wanted (M, O), with a little ridge.

    By normal equations: `torch.linalg.lstsq` gives other last bits from call to call.
    """
    second = _second_moment(known)
    second += _RIDGE * second.diagonal().mean() * torch.eye(len(second), dtype=second.dtype)
    weight: Tensor = torch.linalg.solve(second, known.T @ wanted / len(known)).T
    return weight


def _fit_norm(norm: nn.LayerNorm, inputs: Tensor, targets: Tensor) -> Tensor:
    """Sets gain and bias of each coordinate to the least squares of targets (M, H); returns the normed inputs."""
    plain, wanted = F.layer_norm(inputs, norm.normalized_shape, eps=norm.eps).double(), targets.double()
    plain_mean, wanted_mean = plain.mean(dim=0), wanted.mean(dim=0)
    spread = (plain - plain_mean).square().mean(dim=0).clamp(min=1e-12)
    gain = ((plain - plain_mean) * (wanted - wanted_mean)).mean(dim=0) / spread
    norm.weight.copy_(gain)
    norm.bias.copy_(wanted_mean - gain * plain_mean)
    found: Tensor = norm(inputs)
    return found


def _second_moment(values: Tensor) -> Tensor:
    moment: Tensor = values.T @ values / len(values)
    return moment


def _distance(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).square().sum() / (wanted - wanted.mean(dim=0)).square().sum())
