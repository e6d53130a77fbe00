"""The rows a student learns from: labelled ones, and unlabelled text and variants, which the teacher labels."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from eibert.augment import Variants, turns
from eibert.batches import Encoded, encode
from eibert.corpus import Split, TaskSpec
from eibert.outputs import Outputs
from eibert.params.section import Precision
from eibert.passes import ROWS, passes
from eibert.progress import Report, silent
from eibert.student import Student
from eibert.teacher import Teacher
from eibert.words import Places, WordTargets, word_places

_HEADER_BYTES = 4096


@dataclass(frozen=True)
class Lessons:
    """Rows for teacher and student, the labelled ones first.

    Attributes:
        texts: First texts, N of them.
        texts_b: Second texts of pairs, or None.
        targets: Class indices int64 (N,), -1 if unlabelled; or standardised numbers float32 (N,), NaN if unlabelled.
        labelled: Number of labelled rows.
    """

    texts: list[str]
    texts_b: list[str] | None
    targets: Tensor
    labelled: int

    def drawn(self, limit: int, generator: np.random.Generator) -> "Lessons":
        """Returns at most `limit` rows in their order, sampled in proportion from labelled and other rows."""
        count, labelled = len(self.texts), self.labelled
        if count <= limit:
            return self
        kept = max(1, round(limit * labelled / count), limit - (count - labelled))
        rows = np.concatenate(
            [
                np.sort(generator.choice(labelled, kept, replace=False)),
                np.sort(labelled + generator.choice(count - labelled, limit - kept, replace=False)),
            ]
        )
        texts_b = [self.texts_b[row] for row in rows] if self.texts_b is not None else None
        return Lessons([self.texts[row] for row in rows], texts_b, self.targets[rows], kept)

    def encoded(self, model: Teacher | Student, max_tokens: int) -> Encoded:
        """Returns all rows under a model's tokenizer."""
        return encode(model.tokenizer, self.texts, self.texts_b, max_tokens=max_tokens)

    def words(self, model: Teacher | Student, max_tokens: int) -> Places:
        """Returns the word that each of these tokens belongs to."""
        return word_places(model.tokenizer, self.texts, self.texts_b, max_tokens=max_tokens)


def gather(
    spec: TaskSpec,
    train: Split,
    unlabelled: Sequence[str],
    make: Variants,
    *,
    variants: int,
    generator: np.random.Generator,
) -> Lessons:
    """Returns train, then unlabelled text, then `variants` variants of training rows, cycling in a random order.

    Choice: for pairs, an unlabelled text is paired with a variant of itself or with another text, and a variant of a
    pair varies one side, derives the second text from the first, or replaces the second text (decision 0005).
    """
    texts, texts_b = list(train.texts), list(train.texts_b) if train.texts_b is not None else None
    if texts_b is None:
        texts += [*unlabelled, *(make.of(train.texts[row]) for row in turns(len(train), variants, generator))]
    else:
        for text in unlabelled:
            texts.append(text)
            texts_b.append(make.partner(text, unlabelled))
        sides = train.texts_b or []
        for row in turns(len(train), variants, generator):
            first, second = make.of_pair(train.texts[row], sides[row], sides)
            texts.append(first)
            texts_b.append(second)
    extra = len(texts) - len(train)
    unknown = np.full(extra, np.nan if spec.regression else -1, train.targets.dtype)
    return Lessons(texts, texts_b, torch.from_numpy(np.concatenate([train.targets, unknown])), len(train))


@dataclass(frozen=True)
class Answers:
    """A frozen teacher's outputs for every row.

    Attributes:
        logits: Float32 (N, C).
        pooled: Sentence representations, float16 (N, H).
        words: Word targets, if requested.
    """

    logits: Tensor
    pooled: Tensor
    words: WordTargets | None = None

    def confident(
        self, lessons: Lessons, threshold: float, *, regression: bool
    ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Returns the rows to train on: all labelled ones, and others if the teacher is confident enough."""
        sure = torch.ones(len(self.logits), dtype=torch.bool)
        if not regression:
            sure[lessons.labelled :] = self.logits[lessons.labelled :].softmax(dim=-1).amax(dim=-1) >= threshold
        return torch.nonzero(sure).squeeze(-1).numpy()


def answers(
    teacher: Teacher,
    rows: Encoded,
    *,
    precision: Precision,
    batch_size: int = ROWS,
    outputs: Outputs | None = None,
    report: Report = silent,
) -> Answers:
    """Returns the teacher's logits and representations of all rows, in order, from the cache on disk if possible."""

    def read() -> Answers:
        return _read(teacher, rows, batch_size=batch_size, precision=precision, report=report)

    if outputs is None:
        return read()
    key = outputs.key_of(teacher, rows, precision, "answers", batch_size)
    with outputs.alone(key):
        if path := outputs.find(key):
            return Answers(**load_file(path))
        found = read()
        size = sum(tensor.numel() * tensor.element_size() for tensor in (found.logits, found.pooled)) + _HEADER_BYTES
        with contextlib.suppress(OSError, SafetensorError), outputs.writing(key, size) as part:  # else not cached
            save_file({"logits": found.logits, "pooled": found.pooled}, part)
        return found


@torch.no_grad()
def _read(teacher: Teacher, rows: Encoded, *, batch_size: int, precision: Precision, report: Report) -> Answers:
    assert teacher.head is not None
    logits = torch.empty(len(rows), teacher.head.out_features)
    pooled = torch.empty(len(rows), teacher.hidden, dtype=torch.float16)
    for chosen, _, found in passes(teacher, rows, batch_size=batch_size, precision=precision, report=report):
        pooled[chosen] = found.half().cpu()
        logits[chosen] = teacher.answer(found.float()).cpu()
    return Answers(logits, pooled)
