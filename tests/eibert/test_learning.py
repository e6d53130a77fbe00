"""The training loops on toy data: they learn, resume where they stopped, are reproducible, and respect limits."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eibert.batches import Batch, encode, predict
from eibert.checkpoint import Checkpoint
from eibert.corpus import Split, TaskSpec, Text
from eibert.distill import distill_plainly
from eibert.errors import RunError
from eibert.evaluate.metrics import quality
from eibert.finetune import finetune
from eibert.lessons import Answers, Lessons
from eibert.params.load import Params
from eibert.params.section import Pooling
from eibert.pretrain import initial_student
from eibert.quantize.post_training import quantize
from eibert.student import Student
from eibert.teacher import Teacher
from eibert.teacher_files import load_base
from tests.rooms import NOWHERE, StopError, learnt, lone, pretrained, room, same, weights


def test_teacher_learns_the_toy_task(fine: Teacher, rows: Split) -> None:
    assert np.mean(predict(fine, rows, batch_size=16).argmax(1) == rows.targets) > 0.9


def test_token_table_of_the_teacher_is_left_alone(fine: Teacher, teacher_folder: Path) -> None:
    assert torch.equal(fine.table, load_base(teacher_folder, fine.pooling).table)


def test_finetuning_goes_on_from_its_last_epoch_to_the_same_weights(
    teacher_folder: Path, teacher: Teacher, spec: TaskSpec, rows: Split, quick: Params, tmp_path: Path
) -> None:
    straight = finetune(teacher, spec, rows, rows, quick.finetune, seed=3, checkpoint=NOWHERE)
    steps = []

    def stop_in_the_third_epoch(step: int, total: int, **values: float) -> None:
        steps.append(step)
        if step == 15:
            raise StopError

    kept = Checkpoint(tmp_path / "state.safetensors", "key")
    with pytest.raises(StopError):
        finetune(
            load_base(teacher_folder, teacher.pooling), spec, rows, rows, quick.finetune,
            seed=3, checkpoint=kept, report=stop_in_the_third_epoch,
        )  # fmt: skip
    steps.clear()
    resumed = finetune(
        load_base(teacher_folder, teacher.pooling), spec, rows, rows, quick.finetune,
        seed=3, checkpoint=kept, report=lambda step, _total, **_: steps.append(step),
    )  # fmt: skip
    assert steps[0] == 13  # two epochs of six steps were done
    assert resumed.history == straight.history
    assert same(weights(resumed.teacher), weights(straight.teacher))


def test_state_of_another_run_is_ignored(
    teacher_folder: Path, teacher: Teacher, spec: TaskSpec, rows: Split, quick: Params, tmp_path: Path
) -> None:
    path = tmp_path / "state.safetensors"
    finetune(teacher, spec, rows, rows, quick.finetune, seed=3, checkpoint=Checkpoint(path, "one"))
    steps: list[int] = []
    finetune(
        load_base(teacher_folder, teacher.pooling), spec, rows, rows, quick.finetune,
        seed=3, checkpoint=Checkpoint(path, "two"), report=lambda step, _total, **_: steps.append(step),
    )  # fmt: skip
    assert steps[0] == 1


def test_a_torn_checkpoint_is_ignored(tmp_path: Path, student: Student) -> None:
    path = tmp_path / "state.safetensors"
    optimizer = torch.optim.AdamW(student.parameters())
    Checkpoint(path, "k").save(2, {"student": student}, [optimizer], {})
    path.write_bytes(path.read_bytes()[:100])
    assert Checkpoint(path, "k").restore({"student": student}, [optimizer]) == (0, {})


def test_early_stopping_keeps_the_best_epoch(teacher: Teacher, spec: TaskSpec, rows: Split, quick: Params) -> None:
    ruinous = quick.finetune.model_copy(update={"learning_rate": 0.1, "patience": 1, "epochs": 9})
    found = finetune(teacher, spec, rows, rows, ruinous, seed=3, checkpoint=NOWHERE)
    scores = [entry["dev_score"] for entry in found.history]
    assert found.dev_score == max(scores)
    assert scores[-2:] == [max(scores), scores[-1]] or len(scores) == 9
    assert np.mean(predict(found.teacher, rows, batch_size=16).argmax(1) == rows.targets) == pytest.approx(max(scores))


def test_a_tie_on_dev_does_not_stop_the_teacher_and_the_last_epoch_is_kept(
    teacher: Teacher, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    one_class = rows.take(np.flatnonzero(rows.targets == 1))
    params = quick.finetune.model_copy(update={"patience": 1, "epochs": 3, "head_learning_rate": 0.1})
    found = finetune(teacher, spec, one_class, one_class, params, seed=3, checkpoint=NOWHERE)
    assert [entry["dev_score"] for entry in found.history] == [1.0] * 3
    assert same(weights(found.teacher), weights(teacher))  # the teacher itself is as after its last epoch


NUMBER = TaskSpec("n", pair=False, labels=(), metric="spearman")


def taught(folder: Path, numbers: Split, quick: Params) -> Teacher:
    base = load_base(folder, Pooling.MEAN)
    return finetune(base, NUMBER, numbers, numbers, quick.finetune, seed=3, checkpoint=NOWHERE).teacher


def answered(model: Teacher | Student, rows: Split) -> np.ndarray[Any, Any]:
    return predict(model, rows, batch_size=16)


def test_teacher_and_student_of_numbers_know_no_unit(
    teacher_folder: Path, young: Student, rows: Split, quick: Params
) -> None:
    few = quick.model_copy(update={"distill": quick.distill.model_copy(update={"epochs": 6, "learning_rate": 5e-3})})
    found = []
    for scale, offset in ((1.0, 0.0), (128.0, 0.0), (100.0, 50.0)):
        numbers = Split(rows.texts, None, rows.targets.astype(np.float32) * np.float32(scale) + np.float32(offset))
        guide = taught(teacher_folder, numbers, few)
        student = learnt(young, guide, NUMBER, numbers, few).student.student
        plain = distill_plainly(young, room(young, guide, NUMBER, numbers, few), checkpoint=NOWHERE).student
        for model in (guide, student, plain):
            assert quality(NUMBER, answered(model, numbers), numbers.targets)["r2"] > 0.6
        found.append([(answered(model, rows) - offset) / scale for model in (guide, student, plain)])
    for small, doubled, moved in zip(*found, strict=True):
        assert np.array_equal(small, doubled)  # a power of two rounds nothing
        assert float(np.abs(small - moved).max()) < 0.01  # out of a range of 2; rounding errors grow in training


def test_constant_numbers_are_answered_as_they_are(
    teacher_folder: Path, young: Student, rows: Split, quick: Params
) -> None:
    numbers = Split(rows.texts, None, np.full(len(rows), 0.1, np.float32))
    few = quick.model_copy(update={"finetune": quick.finetune.model_copy(update={"epochs": 1})})
    guide = taught(teacher_folder, numbers, few)
    student = learnt(young, guide, NUMBER, numbers, few, epochs=1).student.student
    tuned, _ = quantize(student, NUMBER, numbers, quick.quantize.model_copy(update={"tune_rows": 64, "threads": 1}))
    for model in (guide, student, tuned):
        assert np.array_equal(answered(model, rows), np.full((len(rows), 1), 0.1, np.float32))


def test_divergence_names_keys_that_are_there(
    teacher_folder: Path, young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params, tmp_path: Path
) -> None:
    endless = {"learning_rate": 1e30, "tune_learning_rate": 1e30, "tune_rows": 640, "texts_min": 0}
    wild = quick.model_copy(
        update={
            stage: quick.section(stage).model_copy(
                update={name: value for name, value in endless.items() if hasattr(quick.section(stage), name)}
            )
            for stage in ("finetune", "pretrain", "distill", "quantize")
        }
    )
    base = load_base(teacher_folder, Pooling.MEAN)
    folded = distill_plainly(young, room(young, fine, spec, rows, quick, epochs=1), checkpoint=NOWHERE).student
    runs: list[Callable[[], object]] = [
        lambda: finetune(base, spec, rows, rows, wild.finetune, seed=3, checkpoint=NOWHERE),
        lambda: pretrained(load_base(teacher_folder, Pooling.MEAN), lone(rows.texts), wild, tmp_path),
        lambda: learnt(young, fine, spec, rows, wild),
        lambda: learnt(young, fine, spec, rows, wild, teacher_rows=0),
        lambda: quantize(folded, spec, rows, wild.quantize),
    ]
    named = []
    for run in runs:
        with pytest.raises(RunError, match="training diverged") as told:
            run()
        named.append(re.findall(r"([a-z]+)\.([a-z_]+)", str(told.value)))
    assert all(hasattr(quick.section(stage), name) for found in named for stage, name in found)
    rates = [{f"{stage}.{name}" for stage, name in found if name.endswith("rate")} for found in named]
    assert rates == [
        {"finetune.learning_rate", "finetune.head_learning_rate"}, {"pretrain.learning_rate"},
        {"distill.learning_rate", "distill.teacher_learning_rate"}, {"distill.learning_rate"},
        {"quantize.tune_learning_rate"},
    ]  # fmt: skip


def test_student_comes_nearer_to_the_base_teacher(teacher: Teacher, rows: Split, quick: Params, tmp_path: Path) -> None:
    found = pretrained(teacher, lone(rows.texts), quick, tmp_path)
    assert found.history[-1]["sentence"] < 0.8 * found.history[0]["sentence"]
    assert (found.texts, found.variants) == (200, 200 - len(rows.texts))


def test_distances_in_pretraining_are_in_units_of_the_teachers_variance(
    teacher: Teacher, rows: Split, quick: Params, tmp_path: Path
) -> None:
    """One step on all rows that changes nothing: the record is of the student returned."""
    changes = {"epochs": 1, "batch_size": 90, "learning_rate": 1e-12, "texts_min": 0, "inherit_tokens": 0}
    still = quick.pretrain.model_copy(
        update=changes | {"student": quick.pretrain.student.model_copy(update={"dropout": 0.0})}
    )
    found = pretrained(teacher, lone(rows.texts), quick.model_copy(update={"pretrain": still}), tmp_path)
    batch = encode(teacher.tokenizer, rows.texts, None, max_tokens=24).batch(range(90))
    mask = batch.mask.bool()
    with torch.no_grad():
        (tokens, pooled), (own_tokens, own_pooled) = teacher.cpu()(batch), found.student(batch)
        own = [found.student.project(own_tokens)[mask].numpy(), found.student.project(own_pooled).numpy()]
    expected = [
        np.square(ours - guide).mean() / guide.var(axis=0).mean()
        for ours, guide in zip(own, (tokens[mask].numpy(), pooled.numpy()), strict=True)
    ]
    assert [found.history[0][name] for name in ("token", "sentence")] == pytest.approx(expected, rel=1e-3)


def test_the_first_token_embeddings_weigh_a_token_by_the_root_of_its_count(
    teacher: Teacher, rows: Split, quick: Params
) -> None:
    """The weighted low-rank approximation per numpy; its coordinates are compared by their products, up to a factor."""
    texts = encode(teacher.tokenizer, rows.texts, None, max_tokens=24)
    found = initial_student(teacher, texts, quick.pretrain).table.weight.detach().double().numpy()
    ids = [int(token) for row in texts.ids for token in row]
    weights = np.sqrt([1.0 + ids.count(token) for token in range(len(teacher.tokens))])
    table = teacher.table.double().numpy()
    directions = np.linalg.svd(np.sqrt(weights)[:, None] * table)[2][: found.shape[1]]
    ours, wanted = (each @ each.T / np.square(each).sum() for each in (found, table @ directions.T))
    np.testing.assert_allclose(ours, wanted, atol=1e-6)


def test_nothing_to_pretrain_on_is_told(teacher: Teacher, quick: Params, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="all training texts are in dev or test"):
        pretrained(teacher, [], quick, tmp_path)


def test_a_task_of_pairs_is_pretrained_on_pairs_only(
    teacher: Teacher, rows: Split, quick: Params, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []

    class Watched(Teacher):
        def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
            seen.extend(zip(*(part.amax(dim=1).tolist() for part in (batch.mask, batch.segments)), strict=True))
            return super().forward(batch)

    watched = Watched(teacher.encoder, teacher.tokenizer, teacher.pooling)
    texts: list[Text] = [*zip(rows.texts[:20], rows.texts[20:40], strict=True), *lone(rows.texts[40:60])]
    found = pretrained(watched, texts, quick, tmp_path, pairs=True)
    assert (found.texts, found.variants) == (200, 160)
    assert len(seen) == 200
    assert set(seen) == {(1, 1)}  # every row has tokens of a second text


def test_cross_distillation_repeats_itself_to_the_bit(
    young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    before = weights(fine)
    first = learnt(young, fine, spec, rows, quick)
    fine.load_state_dict(before)
    second = learnt(young, fine, spec, rows, quick)
    assert same(weights(first.student.student), weights(second.student.student))


def test_plain_distillation_learns_with_a_head_of_its_own_and_leaves_the_teacher_alone(
    young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    before = weights(fine)
    first = distill_plainly(young, room(young, fine, spec, rows, quick), checkpoint=NOWHERE)
    second = distill_plainly(young, room(young, fine, spec, rows, quick), checkpoint=NOWHERE)
    assert same(before, weights(fine))
    assert same(weights(first.student), weights(second.student))
    assert first.dev_score > 0.8
    assert not same(weights(first.student), weights(learnt(young, fine, spec, rows, quick).student.student))


def test_student_learns_the_task_and_is_folded(
    young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    found = learnt(young, fine, spec, rows, quick)
    student = found.student.student
    assert student.projection is None
    assert student.head.weight.shape == (3, 12)
    assert np.mean(predict(student, rows, batch_size=16).argmax(1) == rows.targets) > 0.8
    assert found.rows["labelled"] == len(rows)


def test_frozen_teacher_stays_as_it_was(
    young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    before = weights(fine)
    learnt(young, fine, spec, rows, quick, teacher_rows=0)
    assert same(before, weights(fine))


def test_following_teacher_changes_in_its_upper_layers_only(
    young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params
) -> None:
    before = weights(fine)
    learnt(young, fine, spec, rows, quick, teacher_learning_rate=1e-3, teacher_drift=1.0)
    changed = {name for name, value in weights(fine).items() if not torch.equal(value, before[name])}
    assert changed
    assert all(".layer.1." in name or name.startswith("head.") for name in changed)


@pytest.mark.parametrize(("threshold", "kept"), [(0.5, [0, 1, 2, 3]), (0.6, [0, 2, 3]), (0.8, [0, 3]), (1.0, [0])])
def test_an_answer_counts_from_the_threshold_on_and_a_label_always(threshold: float, kept: list[int]) -> None:
    logits = torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.3, 0.7], [0.9, 0.1]]).log()
    lessons = Lessons([*"abcd"], None, torch.tensor([1, -1, -1, -1]), labelled=1)
    said = Answers(logits, torch.zeros(4, 2))
    assert said.confident(lessons, threshold, regression=False).tolist() == kept
    assert said.confident(lessons, threshold, regression=True).tolist() == [0, 1, 2, 3]


def test_unsure_answers_are_left_out(young: Student, fine: Teacher, spec: TaskSpec, rows: Split, quick: Params) -> None:
    found = learnt(young, fine, spec, rows, quick, unlabelled_confidence=1.0, epochs=1)
    assert found.rows == {"labelled": len(rows), "answered": 0, "left_out": len(rows) + 1}
