"""Initialises the student from the teacher's weights: the teacher's own attention heads and neurons, narrowed.

Choice: the paper's initialisation is not known. The teacher's representations are projected onto their principal
directions; each student layer inherits the most important heads and neurons of one teacher layer; output matrices and
norms are fitted by least squares to the teacher's projected representations (decision 0008).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 — torch's own custom

from eibert.batches import Batch, Encoded
from eibert.bert import BertLayer, bert_layers
from eibert.least_squares import fit_linear, fit_norm, solve
from eibert.narrow import Basis, narrowed_scores, narrowed_value
from eibert.params.section import Pooling
from eibert.student import MASKED, Layer, Student
from eibert.teacher import Teacher

_BATCH_ROWS = 64
_SMALLEST_SPREAD = 1e-12
"""In place of the variance of a single text, which is 0."""


class Sample:
    """The teacher's hidden states of some rows, as one flat sequence of M tokens without padding."""

    def __init__(self, teacher: Teacher, batches: list[Batch]) -> None:
        self._masks, self._pooling = [batch.mask.bool() for batch in batches], teacher.pooling
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
        """Returns flat tokens (M, H) as batches (B, T, H), each with its attention bias (B, 1, 1, T)."""
        batches = []
        for mask, values in zip(self._masks, torch.split(flat, [int(mask.sum()) for mask in self._masks]), strict=True):
            batch = flat.new_zeros(*mask.shape, flat.shape[1])
            batch[mask] = values
            batches.append((batch, (~mask)[:, None, None, :] * MASKED))
        return batches

    def sentences(self, flat: Tensor) -> Tensor:
        """Returns each row's representation, (N, H): the mean of its tokens or the first one, as in the teacher."""
        parts = torch.split(flat, [int(count) for mask in self._masks for count in mask.sum(dim=1)])
        return torch.stack([part.mean(dim=0) if self._pooling is Pooling.MEAN else part[0] for part in parts])


@torch.no_grad()
def inherit(student: Student, teacher: Teacher, rows: Encoded, *, tokens: int, seed: int) -> dict[str, float] | None:
    """Initialises a new student, in place, with the teacher's weights as far as they fit.

    Args:
        student: Its token embeddings are low-rank coordinates of the teacher's (`weighted_svd`).
        teacher: The teacher.
        rows: Texts to fit on.
        tokens: Tokens of text used, sampled by seed.
        seed: Seed of the sample and of the subspace's orientation.

    Returns:
        Squared distances of tokens and sentences to the teacher on these texts, in units of its variance; None, with
        the student unchanged, if the teacher is not built like BERT or is narrower than the student.
    """
    student.eval()  # its own attention is fitted to, without dropout
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
    fit_linear(projection, hidden, states[-1])
    found = projection(hidden)
    return {
        "token": _distance(found, states[-1]),
        "sentence": _distance(sample.sentences(found), sample.sentences(states[-1])),
    }


def _drawn(rows: Encoded, tokens: int, seed: int) -> list[Batch]:
    order = np.random.default_rng([seed, 4]).permutation(len(rows))
    enough = max(2, int(np.searchsorted(np.cumsum(rows.lengths[order]), tokens)) + 1)  # one row has no variance
    chosen = order[:enough]
    chosen = chosen[np.argsort(rows.lengths[chosen], kind="stable")]
    return [rows.batch(chosen[first : first + _BATCH_ROWS]) for first in range(0, len(chosen), _BATCH_ROWS)]


def _level(place: int, count: int, available: int) -> int:
    """Returns the teacher layer for a student layer: evenly spaced, the last for the last."""
    return -(-(place + 1) * available // count) - 1


def _inherit_embeddings(student: Student, teacher: Teacher, basis: Basis, sample: Sample) -> Tensor:
    embeddings: Any = teacher.encoder.embeddings
    table = student.table.weight
    seen = torch.bincount(sample.ids, minlength=len(table)).float().sqrt().unsqueeze(-1) + 0.1
    projected = teacher.table @ basis.directions
    student.embedding_projection.weight.copy_(solve((table * seen).double(), (projected * seen).double()))
    for own, given in (
        (student.positions.weight, embeddings.position_embeddings.weight),
        (student.segments.weight, embeddings.token_type_embeddings.weight),
    ):
        count = min(len(own), len(given))
        own[:count] = given[:count] @ basis.directions
    summed = student.embedding_projection(student.table(sample.ids))
    summed = summed + student.positions(sample.positions) + student.segments(sample.segments)
    return fit_norm(student.embedding_norm, summed, sample.states[0] @ basis.directions)


def _inherit_attention(
    layer: Layer, source: BertLayer, basis: Basis, sample: Sample, state: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the representations after attention: the teacher's (M, H_T) and the student's (M, H)."""
    contexts = sample.flat([source.context(values, bias) for values, bias in sample.padded(state)])
    width, size = contexts.shape[1] // source.heads, hidden.shape[1] // layer.heads
    output = basis.directions.T @ source.attention_output.weight  # (H, heads · d_T)
    parts = torch.split(contexts, width, dim=1), torch.split(output, width, dim=1)
    worth = torch.stack([(part @ into.T).var(dim=0).sum() for part, into in zip(*parts, strict=True)])
    query, key, value = (basis.augmented(part) for part in (source.query, source.key, source.value))
    rows = layer.qkv.weight.view(3, layer.heads, size, -1), layer.qkv.bias.view(3, layer.heads, size)
    for place, head in enumerate(_largest(worth, layer.heads)):
        part = slice(head * width, (head + 1) * width)
        asked, offered = narrowed_scores(query[part], key[part], size)
        carried = narrowed_value(value[part], output[:, part], size)
        rows[0][1, place, len(offered) :] = rows[1][1, place, len(offered) :] = 0.0  # unused query rows meet zero keys
        for kind, found in enumerate((asked, offered, carried)):
            rows[0][kind, place, : len(found)] = found[:, :-1]
            rows[1][kind, place, : len(found)] = found[:, -1]
    before = state + source.attention_output(contexts)
    own = sample.flat([layer.context(values, bias) for values, bias in sample.padded(hidden)])
    fit_linear(layer.attention_output, own, before @ basis.directions - hidden)
    after: Tensor = source.attention_norm(before)
    return after, fit_norm(layer.attention_norm, hidden + layer.attention_output(own), after @ basis.directions)


def _inherit_feed_forward(
    layer: Layer, source: BertLayer, basis: Basis, mixed: Tensor, state: Tensor, hidden: Tensor
) -> Tensor:
    """Returns the student's layer output, (M, H); `mixed` and `state` are the teacher's before and after this block."""
    active = source.activation(source.feed_forward_input(mixed))
    into = basis.directions.T @ source.feed_forward_output.weight  # (H, F_T)
    chosen = _largest(active.var(dim=0) * into.square().sum(dim=0), layer.feed_forward_input.out_features)
    weight, bias = basis.narrow(source.feed_forward_input)
    layer.feed_forward_input.weight[: len(chosen)] = weight[chosen]
    layer.feed_forward_input.bias[: len(chosen)] = bias[chosen]
    before = mixed + source.feed_forward_output(active)
    own = F.gelu(layer.feed_forward_input(hidden))
    fit_linear(layer.feed_forward_output, own, before @ basis.directions - hidden)
    return fit_norm(layer.feed_forward_norm, hidden + layer.feed_forward_output(own), state @ basis.directions)


def _largest(worth: Tensor, count: int) -> list[int]:
    return sorted(worth.argsort(descending=True, stable=True)[:count].tolist())


def _distance(found: Tensor, wanted: Tensor) -> float:
    spread = float((wanted - wanted.mean(dim=0)).square().sum())
    return float((found - wanted).square().sum()) / max(spread, _SMALLEST_SPREAD)
