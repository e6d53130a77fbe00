"""The student: folding, padding, files."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from eibert.batches import encode
from eibert.errors import CorruptArtifactError, ShapeError
from eibert.student import Student, load_student, save_student


def test_folded_head_gives_the_logits_of_projection_and_head(student: Student) -> None:
    rows = encode(student.tokenizer, ["play the song", "stop"], None, max_tokens=32)
    batch = rows.batch([0, 1])
    folded = copy.deepcopy(student)
    folded.fold()
    assert torch.allclose(student.logits(batch), folded.logits(batch), atol=1e-5)
    assert folded.head.weight.shape == (3, 12)


def test_padding_does_not_change_an_answer(student: Student) -> None:
    rows = encode(student.tokenizer, ["stop", "play the song now please mum call the light"], None, max_tokens=32)
    assert torch.allclose(student.logits(rows.batch([0]))[0], student.logits(rows.batch([0, 1]))[0], atol=1e-5)


def test_saved_student_answers_alike_folded_or_not(student: Student, tmp_path: Path) -> None:
    batch = encode(student.tokenizer, ["turn off the light"], None, max_tokens=32).batch([0])
    for fold in (False, True):
        if fold:
            student.fold()
        save_student(student, tmp_path)
        assert torch.equal(load_student(tmp_path).logits(batch), student.logits(batch))


def test_rows_longer_than_the_positions_are_refused(student: Student) -> None:
    rows = encode(student.tokenizer, ["play " * 60], None, max_tokens=50)
    with pytest.raises(ShapeError, match="50-token rows exceed the student's 32"):
        student.logits(rows.batch([0]))


def test_weights_that_do_not_fit_the_shape_are_refused(student: Student, tmp_path: Path) -> None:
    save_student(student, tmp_path)
    state = load_file(tmp_path / "student.safetensors")
    save_file(state | {"table.weight": torch.zeros(3, 6)}, tmp_path / "student.safetensors")
    with pytest.raises(CorruptArtifactError, match="does not fit"):
        load_student(tmp_path)


def test_a_shape_with_other_keys_is_refused(student: Student, tmp_path: Path) -> None:
    save_student(student, tmp_path)
    (tmp_path / "student.json").write_text('{"layers": 2, "depth": 3}')
    with pytest.raises(CorruptArtifactError, match=r"student\.json"):
        load_student(tmp_path)


def test_attention_matches_torch_own_transformer_layer(student: Student) -> None:
    layer = student.layers[0]
    other = torch.nn.TransformerEncoderLayer(12, 3, 24, 0.0, "gelu", layer_norm_eps=1e-12, batch_first=True).eval()
    other.load_state_dict({
        "self_attn.in_proj_weight": layer.qkv.weight, "self_attn.in_proj_bias": layer.qkv.bias,
        "self_attn.out_proj.weight": layer.attention_output.weight,
        "self_attn.out_proj.bias": layer.attention_output.bias,
        "linear1.weight": layer.feed_forward_input.weight, "linear1.bias": layer.feed_forward_input.bias,
        "linear2.weight": layer.feed_forward_output.weight, "linear2.bias": layer.feed_forward_output.bias,
        "norm1.weight": layer.attention_norm.weight, "norm1.bias": layer.attention_norm.bias,
        "norm2.weight": layer.feed_forward_norm.weight, "norm2.bias": layer.feed_forward_norm.bias,
    })  # fmt: skip
    hidden = torch.randn(2, 5, 12)
    with torch.no_grad():
        expected = other(hidden, src_key_padding_mask=torch.tensor([[False] * 5, [False] * 3 + [True] * 2]))
        mask = torch.tensor([[1.0] * 5, [1.0] * 3 + [0.0] * 2])
        found = layer(hidden, (1 - mask)[:, None, None, :] * -10000.0)
    assert torch.allclose(found[0], expected[0], atol=1e-5)
    assert torch.allclose(found[1, :3], expected[1, :3], atol=1e-5)


def test_attention_within_bf16_is_that_of_fp32_in_answers_and_gradients(student: Student) -> None:
    layer, bias = student.layers[0], torch.tensor([[0.0] * 5, [0.0] * 3 + [-10000.0] * 2])[:, None, None, :]
    hidden = torch.randn(2, 5, 12).to(torch.bfloat16)
    found = []
    for kind in (torch.float32, torch.bfloat16):
        given = hidden.to(kind, copy=True).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=kind is torch.bfloat16):
            mixed = layer.context(given, bias)
        assert mixed.dtype is kind
        mixed.float().square().sum().backward()
        found.append((mixed.float(), given.grad.float()))
    for plain, rounded in zip(*found, strict=True):
        assert torch.allclose(plain, rounded, rtol=0.05, atol=0.02 * float(plain.detach().abs().max()))
