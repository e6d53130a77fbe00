"""Hard token pruning: score vocabulary entries → select → slice the student's embedding table and vocabulary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from eibert.batches import Encoded, by_length, encode
from eibert.characters import stands_alone
from eibert.errors import ParamsError
from eibert.params.prune import Importance, PruneParams
from eibert.progress import Report, silent
from eibert.runtime.tokenizer import SPECIALS, UNKNOWN
from eibert.student import Student, student_of
from eibert.teacher import Teacher

CONTINUES = "##"
_CELLS = 64 * 128 * 128
"""Attention weights per head and layer in one batch; those of all heads and layers are in memory together."""
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Importances:
    """Statistics of each vocabulary entry over the texts: attention received (V,) and occurrences (V,)."""

    attention: Array
    counts: Array

    def ranked_by(self, importance: Importance) -> Array:
        """Returns the score of each entry, float64 (V,)."""
        match importance:
            case Importance.ATTENTION:
                return self.attention
            case Importance.MEAN_ATTENTION:
                return self.attention / np.maximum(self.counts, 1)
            case Importance.FREQUENCY:
                return self.counts.astype(np.float64)


@torch.no_grad()
def token_importance(teacher: Teacher, rows: Encoded, params: PruneParams, report: Report = silent) -> Importances:
    """Returns the attention that every vocabulary entry receives over layers, heads and sentences.

    Source: EI-BERT section on hard token pruning, as reported: attention as association between tokens, aggregated
    over layers, heads and sentences.
    Choice: I(v) = 1/(L·N) Σ_l Σ_s Σ_{j: x_s[j] = v} mean over heads and queries i of A(l,h,s)[i,j]; special tokens
    are excluded as queries, and always kept (decision 0006).

    Args:
        teacher: Loaded with `attentions=True`.
        rows: Tokenized texts.
        params: Section `prune`.
        report: Called after each batch.

    Returns:
        Importances over the teacher's vocabulary; the counts exclude padding and special tokens.
    """
    size = len(teacher.tokens)
    specials = torch.tensor([teacher.tokenizer.token_to_id(token) for token in SPECIALS])
    attention, counts = torch.zeros(size, dtype=torch.float64), torch.zeros(size, dtype=torch.int64)
    batches = _batches(rows.lengths, params.batch_size)
    for position, batch_rows in enumerate(batches):
        batch = rows.batch(batch_rows)
        output = teacher.encoder(
            input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.segments, output_attentions=True
        )
        asks = (batch.mask.bool() & ~torch.isin(batch.ids, specials)).float()  # (B, T): queries
        received = torch.stack([_received(layer, asks) for layer in output.attentions]).mean(dim=0)
        real = batch.mask.bool()
        attention.index_add_(0, batch.ids[real], received[real].double())
        counts += torch.bincount(batch.ids[real], minlength=size)
        report(position + 1, len(batches))
    counts[specials] = 0  # two in every text, always kept: they would mask the loss of words
    return Importances((attention / max(1, len(rows))).numpy(), counts.numpy())


def _batches(lengths: Array, batch_size: int) -> list[Array]:
    """Returns row indices in batches of increasing length, with fewer rows per batch if they are long."""
    found = []
    for rows in by_length(lengths, batch_size):
        count = max(1, _CELLS // int(lengths[rows].max()) ** 2)
        found += [rows[first : first + count] for first in range(0, len(rows), count)]
    return found


def _received(layer: torch.Tensor, asks: torch.Tensor) -> torch.Tensor:
    """Returns the mean attention each position receives: (B, heads, T, T) and (B, T) → (B, T)."""
    over_queries = torch.einsum("bhij,bi->bhj", layer, asks) / asks.sum(dim=1).clamp(min=1.0)[:, None, None]
    return over_queries.mean(dim=1)


def essential(tokens: Sequence[str]) -> Array:
    """Returns which entries must stay, bool (V,): special tokens, characters, and what characters cannot spell.

    If every character has both forms, word-initial and continuation, these entries can spell every word that the whole
    vocabulary can: a dropped entry is split into kept characters, and no new [UNK] arises.
    """
    known = set(tokens)
    keep = []
    for token in tokens:
        pieces = _spelled(token)
        keep.append(token in SPECIALS or len(pieces) == 1 or not known.issuperset(pieces))
    return np.array(keep)


def _spelled(token: str) -> list[str]:
    """Returns an entry as entries of one character each: `ab` as `a` and `##b`, `##ab` as `##a` and `##b`."""
    continues = token.startswith(CONTINUES) and len(token) > len(CONTINUES)
    letters = token.removeprefix(CONTINUES) if continues else token
    return [CONTINUES + letter if continues or index else letter for index, letter in enumerate(letters)]


def choose(tokens: Sequence[str], scores: Array, row_bytes: int, params: PruneParams) -> Array:
    """Returns the ids kept, int64 (K,), ascending: all that must stay, and the best of the rest.

    Choice: `keep` entries by score; or with `vocabulary_bytes` by score per byte, where an entry costs its row and its
    line in vocab.txt. Ties are broken by id, and entries that no text can contain, like `[unused1]` or `##!`, are never
    chosen (decision 0006).

    Args:
        tokens: Vocabulary, V entries.
        scores: Score of each entry, float (V,).
        row_bytes: Bytes per row of the embedding table as shipped.
        params: Section `prune`.

    Raises:
        ParamsError: the entries that must stay exceed `keep` or `vocabulary_bytes`.
    """
    musts = needed(tokens, characters=params.keep_characters)
    free = np.flatnonzero(~musts & ~_unusable(tokens))
    costs = costs_of(tokens, row_bytes, params)
    limit = params.keep if params.vocabulary_bytes is None else params.vocabulary_bytes
    least = int(costs[musts].sum())
    room = limit - least
    if room < 0:
        key, unit = ("keep", "entries") if params.vocabulary_bytes is None else ("vocabulary_bytes", "bytes")
        kinds, other = "special tokens", ""
        if params.keep_characters:
            kinds, other = "special tokens and characters", ", or set prune.keep_characters to false"
        raise ParamsError(
            f"prune.{key}: {limit:,} {unit}, expected at least {least:,} for the {kinds} alone; raise it{other}"
        )
    ranked = free[np.lexsort((free, -scores[free] / costs[free]))]
    return np.sort(np.concatenate([np.flatnonzero(musts), ranked[np.cumsum(costs[ranked]) <= room]]))


def costs_of(tokens: Sequence[str], row_bytes: int, params: PruneParams) -> Array:
    """Returns the cost of each entry, float (V,): its bytes if these are limited, else 1."""
    if params.vocabulary_bytes is None:
        return np.ones(len(tokens))
    return np.array([row_bytes + len(token.encode()) + 1 for token in tokens], np.float64)


def needed(tokens: Sequence[str], *, characters: bool = True) -> Array:
    """Returns which entries are always kept, bool (V,): special tokens and, with `characters`, all essential ones."""
    if not characters:
        return np.array([token in SPECIALS for token in tokens])
    return essential(tokens) & ~_unusable(tokens)


def _unusable(tokens: Sequence[str]) -> Array:
    """Returns which entries no text can contain, bool (V,): placeholders, and those the tokenizer always splits."""
    return np.array(
        [
            token not in SPECIALS and len(token) > 1 and any(stands_alone(piece[-1]) for piece in _spelled(token))
            for token in tokens
        ]
    )


def slice_student(student: Student, kept_ids: Array) -> Student:
    """Returns a copy of the student restricted to the kept entries; all other weights are unchanged."""
    tokens = [student.tokens[index] for index in kept_ids]
    state = student.state_dict()
    return student_of(
        student.shape, tokens, state | {"table.weight": state["table.weight"][torch.from_numpy(kept_ids)]}
    )


@dataclass(frozen=True)
class Coverage:
    """How a vocabulary writes some texts, untruncated.

    Attributes:
        unknown: Share of tokens that are [UNK].
        tokens_per_text: Mean tokens per text, special tokens included.
    """

    unknown: float
    tokens_per_text: float


def coverage(tokenizer: Tokenizer, texts: Sequence[str]) -> Coverage:
    """Returns how a tokenizer writes texts."""
    rows = encode(tokenizer, texts, None, max_tokens=100_000)
    unknown = tokenizer.token_to_id(UNKNOWN)
    total = int(rows.lengths.sum())
    return Coverage(sum(int((row == unknown).sum()) for row in rows.ids) / max(1, total), total / len(rows))


def coverage_curve(
    tokens: Sequence[str],
    found: Importances,
    make: Callable[[Sequence[str]], Tokenizer],
    texts: Sequence[str],
    musts: Array,
    costs: Array,
    sizes: Sequence[int],
) -> list[dict[str, Any]]:
    """Returns the share of token occurrences covered and the mean tokens per text for each importance and size.

    Args:
        tokens: Vocabulary, V entries.
        found: Statistics of these entries.
        make: Builds the tokenizer of a vocabulary.
        texts: Texts to tokenize.
        musts: Entries always kept, bool (V,).
        costs: Cost of each entry, float (V,).
        sizes: Numbers of entries kept.
    """
    curve = []
    for importance in Importance:
        scores = found.ranked_by(importance)
        order = np.lexsort((np.arange(len(scores)), -scores / costs, ~musts))
        seen = np.cumsum(found.counts[order]) / max(1, found.counts.sum())
        for size in sizes:
            kept = [tokens[index] for index in np.sort(order[:size])]
            covered = float(seen[min(size, len(seen)) - 1])
            written = {"covered": covered, "tokens_per_text": coverage(make(kept), texts).tokens_per_text}
            curve.append({"importance": importance.value, "kept": int(size), **written})
    return curve
