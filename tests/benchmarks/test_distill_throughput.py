"""Both sides of the comparison optimize the same losses."""

from typing import Any

import numpy as np
import pytest
import torch

from eibert.batches import encode
from eibert.corpus import Split, TaskSpec
from eibert.lessons import Lessons
from eibert.params.load import Params
from eibert.room import Room
from eibert.student import Student
from eibert.teacher import Teacher
from eibert.words import shared


@pytest.fixture
def script(benchmark: Any) -> Any:
    pytest.importorskip("accelerate", reason="the Trainer needs accelerate; pip install -e '.[benchmarks]'")
    return benchmark("distill_throughput")


@pytest.fixture
def room(teacher: Teacher, student: Student, spec: TaskSpec, rows: Split, params: Params) -> Room:
    lessons = Lessons(rows.texts, None, torch.from_numpy(rows.targets), len(rows))
    guide = Teacher(teacher.encoder, teacher.tokenizer, teacher.pooling, outputs=spec.outputs).eval()
    plain = encode(guide.tokenizer, rows.texts, None, max_tokens=16)
    words = shared(lessons.words(guide, 16), lessons.words(student, 16))
    ours = lessons.encoded(student, 16)
    section = params.distill.model_copy(update={"max_tokens": 16, "threads": 1})
    return Room(guide, spec, rows, lessons, ours, plain, section, 17, torch.device("cpu"), words)


def test_trainer_follows_words_as_eibert_does(script: Any, room: Room, student: Student) -> None:
    said, chosen = room.teacher_says(), np.arange(min(8, len(room.rows)))
    assert said.words is not None
    model = script.Distilling(student, room).eval()
    data = script.Rows(room)
    batch = script.collated([data[int(row)] for row in chosen])
    with torch.no_grad():
        tokens, guide = student(batch["student"])[0], room.teacher(batch["teacher"])[0]
        theirs = model.word_distance(tokens, batch["student_words"], guide, batch["teacher_words"])
        ours = said.words.distance(student, student(room.rows.batch(chosen))[0], chosen)
    scale = said.words.tokens.token_scale
    assert float(theirs) * script.TOKEN_SCALE == pytest.approx(float(ours) * scale, rel=1e-3)
    assert float(theirs) > 0


def test_the_loss_on_words_is_there_where_it_weighs(script: Any, room: Room, student: Student) -> None:
    data = script.Rows(room)
    batch = script.collated([data[0], data[1]])
    with torch.no_grad():
        whole = script.Distilling(student, room).eval()(**batch)["loss"]
        without = room.params.model_copy(update={"token_weight": 0.0})
        less = script.Distilling(student, script.replace(room, params=without)).eval()(**batch)["loss"]
    assert float(whole) > float(less)
