"""Batched teacher passes, against one row at a time."""

import torch

from eibert.batches import encode
from eibert.params.section import Precision
from eibert.passes import passes
from eibert.teacher import Teacher


def test_matrices_rounded_once_give_what_autocast_gives(teacher: Teacher) -> None:
    rows = encode(teacher.tokenizer, ["play the song", "turn on the light please"], None, max_tokens=16)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    [(chosen, tokens, pooled)] = passes(
        teacher, rows, batch_size=2, precision=Precision.BF16, report=lambda *_, **__: None
    )
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = teacher(rows.batch(chosen))
    assert torch.equal(tokens, expected[0])
    assert torch.equal(pooled, expected[1])
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert {value.dtype for value in teacher.state_dict().values()} == {torch.float32}


def test_every_row_is_read_once_without_dropout_or_gradient_and_then_told(teacher: Teacher) -> None:
    texts = ["play the song", "stop now", "turn on the light please", "call mum", "off"]
    rows = encode(teacher.tokenizer, texts, None, max_tokens=16)
    told: list[tuple[int, int]] = []
    found: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    teacher.train()
    for chosen, tokens, pooled in passes(
        teacher, rows, batch_size=2, precision=Precision.FP32, report=lambda *steps, **_: told.append(steps)
    ):
        assert len(told) == len(found) // 2  # reported after the yield, not before
        assert not pooled.requires_grad
        found |= {int(row): (tokens[at], pooled[at]) for at, row in enumerate(chosen)}
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert sorted(found) == list(range(5))
    for row, (tokens, pooled) in found.items():
        with torch.no_grad():
            alone = teacher(rows.batch([row]))
        assert torch.allclose(tokens[: rows.lengths[row]], alone[0][0], atol=1e-5)
        assert torch.allclose(pooled, alone[1][0], atol=1e-5)
