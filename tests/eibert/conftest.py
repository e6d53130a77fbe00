"""Teacher and student of the toy task, with parameters under which they learn it quickly."""

from pathlib import Path

import pytest

from eibert.corpus import Split, TaskSpec
from eibert.finetune import finetune
from eibert.params.load import Params
from eibert.params.section import Precision
from eibert.student import Student
from eibert.teacher import Teacher
from eibert.teacher_files import load_base
from tests.rooms import NOWHERE, lone, pretrained


@pytest.fixture
def quick(params: Params) -> Params:
    fine = params.finetune.model_copy(
        update={"epochs": 8, "patience": 8, "batch_size": 16, "learning_rate": 5e-3, "max_tokens": 24, "threads": 1}
    )
    shape = params.pretrain.student.model_copy(
        update={"layers": 2, "hidden": 12, "heads": 3, "feed_forward": 24, "embedding": 8, "positions": 32}
    )
    pre = params.pretrain.model_copy(
        update={"student": shape, "epochs": 3, "batch_size": 16, "learning_rate": 5e-3, "texts_min": 200, "threads": 1,
                "max_tokens": 24}
    )  # fmt: skip
    learn = params.distill.model_copy(
        update={"epochs": 10, "batch_size": 16, "learning_rate": 1e-2, "teacher_rows": 64, "teacher_layers": 1,
                "max_tokens": 24, "threads": 1, "variants": 90}
    )  # fmt: skip
    exact = {"precision": Precision.FP32}  # on every machine
    sections = {"finetune": fine, "pretrain": pre, "distill": learn}
    return params.model_copy(update={name: section.model_copy(update=exact) for name, section in sections.items()})


@pytest.fixture
def fine(teacher: Teacher, spec: TaskSpec, rows: Split, quick: Params) -> Teacher:
    return finetune(teacher, spec, rows, rows, quick.finetune, seed=3, checkpoint=NOWHERE).teacher


@pytest.fixture
def young(teacher_folder: Path, teacher: Teacher, rows: Split, quick: Params, tmp_path: Path) -> Student:
    base = load_base(teacher_folder, teacher.pooling)
    return pretrained(base, lone(rows.texts), quick, tmp_path).student
