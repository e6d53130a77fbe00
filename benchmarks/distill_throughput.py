"""Distillation throughput in examples per second: eibert's second phase against a plain Hugging Face Trainer.

    pip install -c constraints.txt -e '.[pipeline,benchmarks]'
    python benchmarks/distill_throughput.py --rows 2000 --epochs 1 3 5

Both train the same student with the same losses from the same frozen teacher on the same rows of the built-in sample,
with equal batch size and threads: once with all four losses, as the presets do, and once without the word loss. Both
compute in fp32; with `--precision auto`, eibert uses its presets' precision. The Trainer runs the teacher in every step
and pads each random batch to its longest row; eibert computes the teacher's outputs once and batches by length.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments

from eibert import sample
from eibert.batches import Batch, Encoded, encode
from eibert.checkpoint import Checkpoint
from eibert.corpus import Split, TaskSpec
from eibert.distill import with_head
from eibert.following import Weights, follow
from eibert.lessons import Lessons
from eibert.losses import logits_divergence, representation_distance, task_loss
from eibert.params.load import Params, load
from eibert.params.section import Precision
from eibert.pretrain import initial_student
from eibert.room import Room
from eibert.student import Student
from eibert.teacher import Teacher
from eibert.teacher_files import load_base, locate
from eibert.words import shared, word_means

ROOT = Path(__file__).resolve().parents[1]
LOSSES = {"with words, as presets": 1.0, "without words": 0.0}
"""`distill.token_weight` of each measurement; the other losses have weight 1."""
MAX_TOKENS = 64
SENTENCE_SCALE, TOKEN_SCALE = 0.05, 0.5
"""Stand-ins for the variances of the teacher's sentence and token vectors, which eibert estimates from the rows."""


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Rows as tokenized for each of the two models, the word of each token, and the class."""

    def __init__(self, room: Room) -> None:
        self._student, self._teacher, self._targets = room.rows, room.rows_teacher, room.lessons.targets
        self._teacher_words, self._student_words = room.words

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {
            "student": self._student.ids[row], "teacher": self._teacher.ids[row], "target": self._targets[row],
            "student_words": self._student_words[row], "teacher_words": self._teacher_words[row],
        }  # fmt: skip


def padded(rows: list[np.ndarray[Any, Any]]) -> Batch:
    """Returns rows padded to the longest one."""
    segments = [np.zeros_like(row) for row in rows]
    return Encoded(rows, segments).batch(range(len(rows)))


def places(rows: list[np.ndarray[Any, Any]]) -> Tensor:
    """Returns the word index of each token of the padded rows, int64 (B, T); -1: none."""
    width = max(len(row) for row in rows)
    return torch.from_numpy(np.stack([np.pad(row, (0, width - len(row)), constant_values=-1) for row in rows])).long()


def collated(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Collates rows into the model's arguments."""
    return {
        "student": padded([row["student"] for row in rows]),
        "teacher": padded([row["teacher"] for row in rows]),
        "targets": torch.stack([row["target"] for row in rows]),
        "student_words": places([row["student_words"] for row in rows]),
        "teacher_words": places([row["teacher_words"] for row in rows]),
    }


class Distilling(nn.Module):
    """Student and frozen teacher; the output is the distillation loss."""

    def __init__(self, student: Student, room: Room) -> None:
        super().__init__()
        self.student, self.teacher = student, room.teacher
        self.temperature, self.follows_words = room.params.temperature, bool(room.params.token_weight)

    def train(self, mode: bool = True) -> "Distilling":
        """Switches the student to training mode; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(
        self, student: Batch, teacher: Batch, targets: Tensor, student_words: Tensor, teacher_words: Tensor
    ) -> dict[str, Tensor]:
        """Returns the loss."""
        with torch.no_grad():
            guide_tokens, guide_pooled = self.teacher(teacher)
            guide = self.teacher.answer(guide_pooled)
        tokens, pooled = self.student(student)
        pooled = self.student.project(pooled)
        logits = self.student.head(pooled)  # type: ignore[misc]
        loss = task_loss(logits, targets, regression=False)
        loss = loss + logits_divergence(logits, guide, temperature=self.temperature, regression=False)
        loss = loss + representation_distance(pooled, guide_pooled, scale=SENTENCE_SCALE)
        if self.follows_words:
            loss = loss + self.word_distance(tokens, student_words, guide_tokens, teacher_words)
        return {"loss": loss}

    def word_distance(self, tokens: Tensor, ours: Tensor, guide_tokens: Tensor, theirs: Tensor) -> Tensor:
        """Returns the distance between student's and teacher's words: tokens float (B, T, H), words int64 (B, T)."""
        words = 1 + int(ours.max())
        present = (ours.unsqueeze(-1) == torch.arange(words)).any(dim=1)  # (B, T) → (B, words)
        learnt = self.student.project(word_means(tokens, ours, words))
        taught = word_means(guide_tokens, theirs, words)
        return representation_distance(learnt, taught, scale=TOKEN_SCALE, keep=present)


def room_of(params: Params, rows: int) -> tuple[Room, Student]:
    """Returns rows of the sample with the base teacher under a new head, and an untrained student."""
    generated = sample.generate(params.seed).train[:rows]
    labels = sorted({label for _, label in generated})
    targets = np.array([labels.index(label) for _, label in generated])
    spec = TaskSpec("sample", pair=False, labels=tuple(labels), metric="accuracy")
    train = Split([text for text, _ in generated], None, targets)
    base = load_base(locate(params.teacher, ROOT), params.teacher.pooling)
    torch.manual_seed(params.seed)
    teacher = Teacher(base.encoder, base.tokenizer, base.pooling, outputs=spec.outputs).eval().requires_grad_(False)
    plain = encode(teacher.tokenizer, train.texts, None, max_tokens=MAX_TOKENS)
    student = initial_student(teacher, plain, params.pretrain)
    lessons = Lessons(train.texts, None, torch.from_numpy(targets), len(train))
    dev = train.take(range(32))
    rows_student = lessons.encoded(student, params.distill.max_tokens)
    words = shared(lessons.words(teacher, MAX_TOKENS), lessons.words(student, params.distill.max_tokens))
    device = torch.device("cpu")
    return Room(teacher, spec, dev, lessons, rows_student, plain, params.distill, params.seed, device, words), student


def eibert_seconds(room: Room, student: Student) -> float:
    """Returns the seconds of eibert's own loop, including the teacher's forward passes."""
    learner = with_head(student, room, reuse=True)
    started = time.perf_counter()
    weights = Weights(1.0, 1.0, 1.0, room.params.token_weight)
    follow(learner, room.teacher_says(), room, weights, Checkpoint(None))
    return time.perf_counter() - started


def trainer_seconds(room: Room, student: Student) -> float:
    """Returns the seconds of a plain Trainer."""
    params = room.params
    model = Distilling(with_head(student, room, reuse=True), room)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=params.epochs, per_device_train_batch_size=params.batch_size,
            learning_rate=params.learning_rate, weight_decay=params.weight_decay, use_cpu=True, report_to=[],
            save_strategy="no", logging_strategy="no", remove_unused_columns=False, seed=room.seed, disable_tqdm=True,
        )  # fmt: skip
        trainer = Trainer(model, arguments, train_dataset=Rows(room), data_collator=collated)
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


def main() -> None:
    """Prints one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 3, 5])
    parser.add_argument("--threads", type=int, default=1)
    told = "eibert's; `auto`, as in presets, takes bf16 where the processor has it; the Trainer's is fp32"
    parser.add_argument("--precision", type=Precision, choices=list(Precision), default=Precision.FP32, help=told)
    arguments = parser.parse_args()
    params = load(ROOT / "params.yaml")
    torch.set_num_threads(arguments.threads)
    print("| losses | epochs | eibert, examples/s | Trainer, examples/s | ratio |\n|---|---|---|---|---|")
    alike = {"threads": arguments.threads, "precision": arguments.precision}
    room, student = room_of(params, arguments.rows)
    for losses, token_weight in LOSSES.items():
        for epochs in arguments.epochs:
            update = {"epochs": epochs, "token_weight": token_weight} | alike
            room = replace(room, params=params.distill.model_copy(update=update))
            rates = [epochs * arguments.rows / seconds(room, student) for seconds in (eibert_seconds, trainer_seconds)]
            cells = (losses, epochs, *(f"{rate:.0f}" for rate in rates), f"{rates[0] / rates[1]:.2f}")
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
