"""Examples a second of distillation: eibert's second phase against a plain Hugging Face Trainer, in one run.

    pip install -c constraints.txt -e '.[pipeline,benchmarks]'
    python benchmarks/distill_throughput.py --rows 2000 --epochs 1 3 5

Both teach the same student by the same three losses from the same fixed teacher, on the same rows of the built-in
sample, in the same batch size, precision and threads. The Trainer runs the teacher beside the student in every step and
pads each random batch to its longest row; eibert reads the teacher's answers once and draws batches of similar length.
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
from eibert.distill import Weights, learn, with_head
from eibert.lessons import Lessons
from eibert.losses import logits_divergence, representation_distance, task_loss
from eibert.params.load import Params, load
from eibert.params.section import Precision
from eibert.pretrain import initial_student
from eibert.room import Room
from eibert.student import Student
from eibert.teacher import Teacher, load_base, locate

ROOT = Path(__file__).resolve().parents[1]


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Rows as each of the two models sees them, with the class."""

    def __init__(self, student: Encoded, teacher: Encoded, targets: Tensor) -> None:
        self._student, self._teacher, self._targets = student, teacher, targets

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"student": self._student.ids[row], "teacher": self._teacher.ids[row], "target": self._targets[row]}


def padded(rows: list[np.ndarray[Any, Any]]) -> Batch:
    """Returns rows padded to the longest of them."""
    segments = [np.zeros_like(row) for row in rows]
    return Encoded(rows, segments).batch(range(len(rows)))


def collated(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns a batch of the data set as the model's arguments."""
    return {
        "student": padded([row["student"] for row in rows]),
        "teacher": padded([row["teacher"] for row in rows]),
        "targets": torch.stack([row["target"] for row in rows]),
    }


class Distilling(nn.Module):
    """Student and fixed teacher, the loss of both as the output."""

    def __init__(self, student: Student, teacher: Teacher, temperature: float) -> None:
        super().__init__()
        self.student, self.teacher, self.temperature = student, teacher, temperature

    def train(self, mode: bool = True) -> "Distilling":
        """Puts the student in training mode; the teacher stays as it is."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, student: Batch, teacher: Batch, targets: Tensor) -> dict[str, Tensor]:
        """Returns the loss."""
        with torch.no_grad():
            guide_pooled = self.teacher(teacher)[1]
            guide = self.teacher.answer(guide_pooled)
        pooled = self.student.project(self.student(student)[1])
        logits = self.student.head(pooled)  # type: ignore[misc]
        loss = task_loss(logits, targets, regression=False)
        loss = loss + logits_divergence(logits, guide, temperature=self.temperature, regression=False)
        return {"loss": loss + representation_distance(pooled, guide_pooled, scale=0.05)}


def room_of(params: Params, rows: int) -> tuple[Room, Student]:
    """Returns rows of the sample, the base teacher with a new head, and a student that has learnt nothing yet."""
    generated = sample.generate(params.seed).train[:rows]
    labels = sorted({label for _, label in generated})
    targets = np.array([labels.index(label) for _, label in generated])
    spec = TaskSpec("sample", pair=False, labels=tuple(labels), metric="accuracy")
    train = Split([text for text, _ in generated], None, targets)
    base = load_base(locate(params.teacher, ROOT), params.teacher.pooling)
    torch.manual_seed(params.seed)
    teacher = Teacher(base.encoder, base.tokenizer, base.pooling, outputs=spec.outputs).eval().requires_grad_(False)
    plain = encode(teacher.tokenizer, train.texts, None, max_tokens=64)
    student = initial_student(teacher, plain, params.pretrain)
    lessons = Lessons(train.texts, None, torch.from_numpy(targets), len(train))
    dev = train.take(range(32))
    rows_student = lessons.encoded(student, params.distill.max_tokens)
    same = params.distill.model_copy(update={"token_weight": 0.0})
    return Room(teacher, spec, dev, lessons, rows_student, plain, same, params.seed, torch.device("cpu")), student


def eibert_seconds(room: Room, student: Student) -> float:
    """Returns the seconds of eibert's own loop, the teacher's reading included."""
    learner = with_head(student, room, reuse=True)
    started = time.perf_counter()
    learn(learner, room.teacher_says(), room, Weights(1.0, 1.0, 1.0, 0.0), Checkpoint(None))
    return time.perf_counter() - started


def trainer_seconds(room: Room, student: Student) -> float:
    """Returns the seconds of a plain Trainer."""
    params = room.params
    model = Distilling(with_head(student, room, reuse=True), room.teacher, params.temperature)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=params.epochs, per_device_train_batch_size=params.batch_size,
            learning_rate=params.learning_rate, weight_decay=params.weight_decay, use_cpu=True, report_to=[],
            save_strategy="no", logging_strategy="no", remove_unused_columns=False, seed=room.seed, disable_tqdm=True,
        )  # fmt: skip
        data = Rows(room.rows, room.rows_teacher, room.lessons.targets)
        trainer = Trainer(model, arguments, train_dataset=data, data_collator=collated)
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


def main() -> None:
    """Prints one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 3, 5])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    params = load(ROOT / "params.yaml")
    torch.set_num_threads(arguments.threads)
    print("| epochs | eibert, examples/s | Trainer, examples/s | ratio |\n|---|---|---|---|")
    alike = {"threads": arguments.threads, "precision": Precision.FP32}
    room, student = room_of(params, arguments.rows)
    for epochs in arguments.epochs:
        room = replace(room, params=params.distill.model_copy(update={"epochs": epochs} | alike))
        rates = [epochs * arguments.rows / seconds(room, student) for seconds in (eibert_seconds, trainer_seconds)]
        print(f"| {epochs} | {rates[0]:.0f} | {rates[1]:.0f} | {rates[0] / rates[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
