"""Weight inheritance: exact if the student has room for the whole teacher, an approximation otherwise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from eibert.batches import Encoded, encode
from eibert.bert import bert_layers
from eibert.corpus import Split
from eibert.inherit import inherit
from eibert.params.section import Pooling
from eibert.pretrain import weighted_svd
from eibert.student import Student, StudentShape
from eibert.teacher import Teacher
from tests.conftest import TOKENS

TEACHER_LAYERS = 3


@pytest.fixture
def grown(teacher: Teacher) -> Teacher:
    """A random teacher of three layers of width 24 with four heads, over the tiny vocabulary."""
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(TOKENS), hidden_size=24, num_hidden_layers=TEACHER_LAYERS, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=32, initializer_range=0.3,
    )  # fmt: skip
    return Teacher(BertModel(config, add_pooling_layer=False).eval(), teacher.tokenizer, Pooling.MEAN)


@pytest.fixture
def texts(teacher: Teacher, rows: Split) -> Encoded:
    return encode(teacher.tokenizer, rows.texts, None, max_tokens=32)


def started(teacher: Teacher, **changes: int) -> Student:
    torch.manual_seed(2)
    shape = StudentShape(
        TEACHER_LAYERS, 24, 4, 48, 24, 32, 0.0, teacher.hidden, 0, lowercase=True, strip_accents=None,
    )  # fmt: skip
    student = Student(replace(shape, **changes), TOKENS)
    with torch.no_grad():
        student.table.weight.copy_(weighted_svd(teacher.table, torch.ones(len(TOKENS)), student.shape.embedding)[0])
    return student.eval()


@torch.no_grad()
def distance(student: Student, teacher: Teacher, texts: Encoded) -> float:
    batch = texts.batch(range(len(texts)))
    mask = batch.mask.bool()
    found, wanted = student.project(student(batch)[0])[mask], teacher(batch)[0][mask]
    return float((found - wanted).square().sum() / (wanted - wanted.mean(dim=0)).square().sum())


def test_a_student_with_room_for_everything_is_the_teacher(grown: Teacher, texts: Encoded) -> None:
    student = started(grown)
    assert distance(student, grown, texts) > 0.9
    found = inherit(student, grown, texts, tokens=5000, seed=1)
    assert found is not None
    assert found["token"] < 0.01
    assert distance(student, grown, texts) == pytest.approx(found["token"], rel=1e-3)  # all texts were used


@pytest.mark.parametrize("count", [1, 90])
def test_distances_of_a_text_or_two_are_numbers(grown: Teacher, texts: Encoded, count: int) -> None:
    few = Encoded(texts.ids[:count], texts.segments[:count])
    found = inherit(started(grown), grown, few, tokens=1, seed=1)
    assert found is not None
    assert np.isfinite(list(found.values())).all()


def test_a_student_pools_as_its_teacher_does(grown: Teacher, texts: Encoded) -> None:
    grown.pooling = Pooling.CLS
    student = started(grown)
    student.shape = replace(student.shape, pooling=Pooling.CLS)
    found = inherit(student, grown, texts, tokens=5000, seed=1)
    assert found is not None
    assert found["token"] < 0.01
    assert found["sentence"] < 0.05
    batch = texts.batch(range(len(texts)))
    with torch.no_grad():
        learnt, taught = student.project(student(batch)[1]), grown(batch)[1]
    distance = float((learnt - taught).square().sum() / (taught - taught.mean(dim=0)).square().sum())
    assert distance == pytest.approx(found["sentence"], rel=1e-3)


def test_what_wider_heads_ask_besides_finds_nothing(grown: Teacher, texts: Encoded) -> None:
    student = started(grown, heads=2)  # width twelve, the teacher's six
    inherit(student, grown, texts, tokens=5000, seed=1)
    layer = student.layers[0]
    weight, bias = layer.qkv.weight.view(3, 2, 12, -1), layer.qkv.bias.view(3, 2, 12)
    assert not weight[1, :, 6:].any()
    assert not bias[1, :, 6:].any()
    assert weight[1, :, :6].any()
    assert weight[0, :, 6:].any()  # so that it can still learn


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": 16},
        {"layers": 2},
        {"layers": 5},
        {"heads": 2},
        {"heads": 6},
        {"heads": 12},
        {"feed_forward": 24},
        {"feed_forward": 96},
        {"embedding": 12},
        {"positions": 16},
        {"layers": 2, "hidden": 12, "heads": 3, "feed_forward": 24, "embedding": 6},
    ],
    ids=str,
)
def test_a_student_of_another_shape_starts_near_the_teacher(
    grown: Teacher, texts: Encoded, changes: dict[str, int]
) -> None:
    student = started(grown, **changes)
    before = distance(student, grown, texts)
    found = inherit(student, grown, texts, tokens=5000, seed=1)
    assert found is not None
    assert distance(student, grown, texts) < min(0.75, 0.75 * before)
    assert all(bool(torch.isfinite(weight).all()) for weight in student.parameters())


def test_dropout_disturbs_no_fit(grown: Teacher, texts: Encoded) -> None:
    shape = replace(started(grown).shape, dropout=0.5)
    states = []
    for student in (started(grown), Student(shape, TOKENS)):  # the second one in training mode, as new ones are
        student.load_state_dict(started(grown).state_dict())
        inherit(student, grown, texts, tokens=5000, seed=1)
        states.append(student.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_heads_that_reach_nothing_are_not_taken(grown: Teacher, texts: Encoded) -> None:
    layers = bert_layers(grown.encoder)
    assert layers is not None
    with torch.no_grad():
        for layer in layers:
            layer.attention_output.weight[:, :12] = 0  # heads 0 and 1 of four, six wide each
    student = started(grown, hidden=24, heads=2)
    found = inherit(student, grown, texts, tokens=5000, seed=1)
    assert found is not None
    assert found["token"] < 0.01  # the two remaining heads carry everything


def test_the_same_seed_gives_the_same_weights(grown: Teacher, texts: Encoded) -> None:
    first, second, third = started(grown, hidden=16), started(grown, hidden=16), started(grown, hidden=16)
    inherit(first, grown, texts, tokens=300, seed=1)
    inherit(second, grown, texts, tokens=300, seed=1)
    inherit(third, grown, texts, tokens=300, seed=2)
    same = [torch.equal(one, two) for one, two in zip(first.parameters(), second.parameters(), strict=True)]
    other = [torch.equal(one, two) for one, two in zip(first.parameters(), third.parameters(), strict=True)]
    assert all(same)
    assert not all(other)


def test_context_of_a_layer_is_what_transformers_computes(grown: Teacher, texts: Encoded) -> None:
    batch = texts.batch(range(8))
    layers = bert_layers(grown.encoder)
    assert layers is not None
    kept = []
    hook = layers[0].attention_output.register_forward_hook(lambda _module, given, _found: kept.append(given[0]))
    states = grown.encoder(input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=True).hidden_states
    hook.remove()
    bias = (1.0 - batch.mask.float())[:, None, None, :] * -10000.0
    mask = batch.mask.bool()
    assert torch.allclose(layers[0].context(states[0], bias)[mask], kept[0][mask], atol=1e-5)


def test_other_structures_and_narrower_teachers_leave_the_student_alone(
    grown: Teacher, texts: Encoded, tmp_path: Path
) -> None:
    config = DistilBertConfig(vocab_size=len(TOKENS), dim=24, n_layers=2, n_heads=4, hidden_dim=48)
    other = Teacher(DistilBertModel(config).eval(), grown.tokenizer, Pooling.MEAN)
    student = started(grown)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    assert bert_layers(other.encoder) is None
    assert inherit(student, other, texts, tokens=5000, seed=1) is None
    wide = started(grown, hidden=32)
    assert inherit(wide, grown, texts, tokens=5000, seed=1) is None
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
