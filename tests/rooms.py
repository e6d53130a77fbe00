"""Teacher, student and rows of the toy task in one `Room`, for tests of the training loops."""

from pathlib import Path

import torch

from eibert.checkpoint import Checkpoint
from eibert.corpus import Pretraining, Split, TaskSpec, Text
from eibert.distill import Distilled, distill
from eibert.matching import HeldOut
from eibert.outputs import Outputs
from eibert.params.load import Params
from eibert.pretrain import Pretrained, pretrain
from eibert.room import Room
from eibert.student import Student
from eibert.teacher import Teacher

NOWHERE = Checkpoint(None)


class StopError(Exception):
    """Stands for a kill."""


def room(young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params, **changes: object) -> Room:
    params = quick.distill.model_copy(update=changes)
    return Room.of(young, fine, spec, rows, rows, ["stop mum now"], HeldOut(), params, seed=3)


def learnt(young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params, **changes: object) -> Distilled:
    return distill(young, room(young, fine, spec, rows, quick, **changes), checkpoints=lambda _: NOWHERE)


def pretrained(teacher: Teacher, texts: list[Text], quick: Params, scratch: Path, *, pairs: bool = False) -> Pretrained:
    corpus = Pretraining(texts, pairs, HeldOut())
    return pretrain(teacher, corpus, quick.pretrain, seed=3, outputs=Outputs(scratch), checkpoint=NOWHERE)


def lone(texts: list[str]) -> list[Text]:
    return [(text, None) for text in texts]


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
