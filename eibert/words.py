"""Word-level distillation across two tokenizers: the student matches the teacher's representation of each word.

Source: TinyBERT (Jiao et al. 2020) fits the tokens of a fine-tuned teacher, where both share one vocabulary. Choice: a
pruned student splits rare words into more pieces, so the means over each word's pieces are compared (decision 0012).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from eibert.batches import moved
from eibert.losses import representation_distance
from eibert.student import Student
from eibert.token_targets import TokenTargets
from eibert.truncate import NO_WORD, truncated

Places = list[np.ndarray[Any, Any]]
"""For each row the word of each token, int32 (T_n,), -1: none; after `shared` int16, and only words in both models."""

_SECOND_TEXT = 1 << 16
"""Offset of the word numbers in a pair's second text."""


def word_places(
    tokenizer: Tokenizer, texts: Sequence[str], texts_b: Sequence[str] | None, *, max_tokens: int
) -> Places:
    """Returns the word of each token of texts, or of pairs, truncated as in `encode`; -1 for special tokens."""
    rows = truncated(tokenizer, texts, texts_b, max_tokens=max_tokens)
    return [np.where(row.second & (row.words != NO_WORD), row.words + _SECOND_TEXT, row.words) for row in rows]


def shared(teacher: Places, student: Places) -> tuple[Places, Places]:
    """Returns both models' places with the words they share renumbered 0, 1, … in each row."""
    found: tuple[Places, Places] = [], []
    for ours, theirs in zip(teacher, student, strict=True):
        common = np.intersect1d(ours, theirs)
        common = common[common >= 0]
        for part, places in zip(found, (ours, theirs), strict=True):
            known = np.isin(places, common)
            part.append(np.where(known, np.searchsorted(common, places), -1).astype(np.int16))
    return found


def word_means(tokens: Tensor, places: Tensor, words: int) -> Tensor:
    """Returns the mean over each word's tokens: float (B, T, H), places int64 (B, T) → (B, words, H); 0 if none."""
    rows = torch.arange(len(tokens), device=tokens.device).unsqueeze(-1) * (words + 1)
    slots = (rows + torch.where(places < 0, words, places)).flatten()  # the last slot of a row takes non-words
    sums = tokens.new_zeros(len(tokens) * (words + 1), tokens.shape[-1]).index_add(0, slots, tokens.flatten(0, 1))
    counts = torch.bincount(slots, minlength=len(sums)).clamp(min=1).to(tokens.dtype)
    return (sums / counts.unsqueeze(-1)).view(len(tokens), words + 1, -1)[:, :words]


@dataclass(frozen=True)
class WordTargets:
    """The teacher's token targets, and the word of each token in both models."""

    tokens: TokenTargets
    teacher: Places
    student: Places

    def distance(self, student: Student, hidden: Tensor, rows: np.ndarray[Any, Any]) -> Tensor:
        """Returns the distance of the student's word representations to the teacher's, in units of its variance.

        Args:
            student: Projects its representations into the teacher's space.
            hidden: The student's token representations of the rows, float (B, T, H).
            rows: Row indices, (B,).

        Returns:
            Scalar; 0 if the two share no word.
        """
        mask = self.tokens.rows.batch(rows, hidden.device).mask
        guide, _ = self.tokens.of(rows, mask)
        words = 1 + max(int(self.student[row].max(initial=-1)) for row in rows)
        ours = _padded(self.student, rows, hidden)
        present = (ours.unsqueeze(-1) == torch.arange(words, device=hidden.device)).any(dim=1)  # (B, T) → (B, words)
        learnt = student.project(word_means(hidden, ours, words)).float()
        taught = word_means(guide, _padded(self.teacher, rows, guide), words)
        return representation_distance(learnt, taught, scale=self.tokens.token_scale, keep=present)


def _padded(places: Places, rows: np.ndarray[Any, Any], like: Tensor) -> Tensor:
    found = np.full(like.shape[:2], -1, np.int64)
    for position, row in enumerate(rows):
        found[position, : len(places[row])] = places[row]
    return moved(torch.from_numpy(found), like.device)
