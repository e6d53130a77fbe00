"""What distillation works with: teacher, task, the same rows under both tokenizers, and the dev score."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from eibert import optimize
from eibert.augment import Variants, draw
from eibert.batches import Encoded, predict
from eibert.corpus import Split, TaskSpec
from eibert.lessons import Answers, Lessons, answers, gather
from eibert.matching import HeldOut
from eibert.outputs import Outputs
from eibert.params.distill import DistillParams
from eibert.progress import Report, silent
from eibert.scores import score
from eibert.student import Student
from eibert.teacher import Teacher
from eibert.token_targets import TokenTargets
from eibert.unit import NO_UNIT, Unit
from eibert.words import Places, WordTargets, shared


@dataclass(frozen=True)
class Room:
    """The setting of distillation: teacher, task, the rows as each model tokenizes them, parameters and seed.

    `words` maps tokens to words in all rows, for the teacher and for the student; empty if word losses are off.
    `outputs` caches the teacher's answers on disk; without it they stay in memory. For regression, targets and the
    teacher's answers are in standard units, and `unit` converts back.
    """

    teacher: Teacher
    spec: TaskSpec
    dev: Split
    lessons: Lessons
    rows: Encoded
    rows_teacher: Encoded
    params: DistillParams
    seed: int
    device: torch.device
    words: tuple[Places, Places] = ([], [])
    outputs: Outputs | None = None
    unit: Unit = NO_UNIT

    @classmethod
    def of(
        cls,
        student: Student,
        teacher: Teacher,
        spec: TaskSpec,
        train: Split,
        dev: Split,
        unlabelled: list[str],
        held_out: HeldOut,
        params: DistillParams,
        *,
        seed: int,
        outputs: Outputs | None = None,
    ) -> "Room":
        """Returns the room; deterministic in its arguments.

        Args:
            student: Its tokenizer reads the rows.
            teacher: Fine-tuned; its encoder is shared, its head is copied.
            spec: The task.
            train: Labelled rows.
            dev: Rows for selecting the best interval and bounding the teacher's drift.
            unlabelled: Texts for the teacher to label.
            held_out: Rows of dev and test, which no variant may equal.
            params: Section `distill`.
            seed: Seed of variants, order, dropout and new weights.
            outputs: Cache of the teacher's answers; None: in memory.
        """
        device = optimize.prepare(params.threads)
        generator = np.random.default_rng([seed, 2])
        corpus = [*train.texts, *(train.texts_b or [])]
        make = Variants(corpus, teacher, generator, held_out)
        some = draw(unlabelled, params.unlabelled_limit, generator)
        unit = Unit.of(spec, train.targets)
        standard = dataclasses.replace(train, targets=unit.standard(train.targets))
        lessons = gather(spec, standard, some, make, variants=params.variants, generator=generator)
        lessons = lessons.drawn(params.rows_limit, generator)
        limit = min(params.max_tokens, teacher.max_tokens)
        rows_teacher, rows = lessons.encoded(teacher, limit), lessons.encoded(student, params.max_tokens)
        words: tuple[Places, Places] = [], []
        if params.token_weight:
            words = shared(lessons.words(teacher, limit), lessons.words(student, params.max_tokens))
        assert teacher.head is not None
        guide = teacher.with_head(unit.standardized(teacher.head)).to(device)
        return cls(guide, spec, dev, lessons, rows, rows_teacher, params, seed, device, words, outputs, unit)

    def teacher_says(self, report: Report = silent) -> Answers:
        """Returns the current teacher's answers to every row, with word targets if they carry weight."""
        params, teacher = self.params, self.teacher
        if not params.token_weight:
            return answers(
                teacher, self.rows_teacher, precision=params.precision,
                outputs=self.outputs, report=report,
            )  # fmt: skip
        tokens = TokenTargets.read(
            teacher, self.rows_teacher, precision=params.precision, outputs=self.outputs,
            fewer="distill.rows_limit", report=report,
        )  # fmt: skip
        pooled = tokens.sentences()
        with torch.no_grad():
            logits = teacher.answer(pooled.float().to(self.device)).cpu()
        return Answers(logits, pooled, WordTargets(tokens, *self.words))

    def dev_score(self, model: Teacher | Student) -> float:
        """Returns the task's metric of a model on dev."""
        limit = min(self.params.max_tokens, model.max_tokens)
        logits = predict(model, self.dev, batch_size=self.params.batch_size, max_tokens=limit)
        return score(self.spec.metric, logits, self.dev.targets)
