"""Cached teacher outputs: found by content, never altered, never over the size limit."""

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from eibert.batches import Encoded, encode
from eibert.errors import RunError
from eibert.lessons import Answers, answers
from eibert.outputs import Outputs
from eibert.params.section import Pooling, Precision
from eibert.teacher import Teacher
from eibert.teacher_files import load_base
from eibert.token_targets import TokenTargets

FP32 = Precision.FP32


@pytest.fixture
def rows(teacher: Teacher) -> Encoded:
    return encode(teacher.tokenizer, ["play the song", "stop now", "turn on"], None, max_tokens=16)


@pytest.fixture
def knowing(teacher: Teacher) -> Teacher:
    torch.manual_seed(4)
    return Teacher(teacher.encoder, teacher.tokenizer, teacher.pooling, outputs=3)


def put(outputs: Outputs, key: str, content: bytes) -> None:
    with outputs.writing(key, len(content)) as part:
        part.write_bytes(content)


def said(teacher: Teacher, rows: Encoded, outputs: Outputs | None, told: list[int]) -> Answers:
    return answers(
        teacher, rows, batch_size=2, precision=Precision.FP32, outputs=outputs,
        report=lambda step, *_, **__: told.append(step),
    )  # fmt: skip


def test_what_was_written_is_found(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "outputs")
    put(outputs, "a", b"one")
    found = outputs.find("a")
    assert found is not None
    assert found.read_bytes() == b"one"
    assert outputs.find("b") is None


@pytest.mark.parametrize("harm", ["altered", "cut", "gone", "undescribed", "nonsense"])
def test_what_is_not_as_written_is_not_found_and_goes(harm: str, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    put(outputs, "a", b"one")
    match harm:
        case "altered":
            (tmp_path / "a").write_bytes(b"two")
        case "cut":
            (tmp_path / "a").write_bytes(b"on")
        case "gone":
            (tmp_path / "a").unlink()
        case "undescribed":
            (tmp_path / "a.json").unlink()
        case "nonsense":
            (tmp_path / "a.json").write_text("[1")
    assert outputs.find("a") is None
    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with Outputs(tmp_path).writing("a", 4) as part:
            part.write_bytes(b"half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_the_file_used_longest_ago_makes_room(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, limit_bytes=10)
    for age, key in ((30, "a"), (20, "b")):
        put(outputs, key, b"1234")
        now = (tmp_path / key).stat().st_mtime
        os.utime(tmp_path / key, (now, now - age))
    outputs.find("a")  # used now
    put(outputs, "c", b"1234")
    assert [outputs.find(key) is not None for key in "abc"] == [True, False, True]


def test_a_file_over_the_limit_drives_out_only_its_like_and_goes_first(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, limit_bytes=10)
    present: list[str] = []
    for key, size in (("a", 4), ("b", 4), ("c", 11), ("d", 12), ("e", 2), ("f", 1)):
        put(outputs, key, b"x" * size)
        present.append("".join(other for other in "abcdef" if (tmp_path / other).exists()))
    assert present == ["a", "ab", "abc", "abd", "abe", "bef"]


def test_room_is_made_before_anything_is_written(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, limit_bytes=10)
    put(outputs, "a", b"123456")
    with outputs.writing("b", 6) as part:
        assert outputs.find("a") is None
        part.write_bytes(b"1")
    assert outputs.find("b") is not None


def test_a_full_disk_shows_before_the_work(tmp_path: Path) -> None:
    worked = []
    with pytest.raises(OSError, match=r"No space|too large"), Outputs(tmp_path).writing("a", 1 << 60):
        worked.append(1)
    assert worked == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_half_written_goes(tmp_path: Path) -> None:
    dead, own = tmp_path / ".a.part-4194305", tmp_path / f".b.part-{os.getpid()}"
    for part in (dead, own):
        part.write_bytes(b"half")
    put(Outputs(tmp_path), "c", b"1")
    assert [part.exists() for part in (dead, own)] == [False, True]


def test_equal_work_in_two_threads_is_done_once(knowing: Teacher, rows: Encoded, tmp_path: Path) -> None:
    told: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(said, knowing, rows, Outputs(tmp_path), told) for _ in range(2)]
    assert told == [1, 2]
    assert torch.equal(both[0].result().logits, both[1].result().logits)


def test_where_nothing_can_be_kept_the_teacher_reads(knowing: Teacher, rows: Encoded, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    told: list[int] = []
    for _ in range(2):
        said(knowing, rows, Outputs(tmp_path / "file"), told)
    assert told == [1, 2, 1, 2]


def test_a_sound_file_is_used_though_it_cannot_be_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("read-only")

    outputs = Outputs(tmp_path)
    put(outputs, "a", b"one")
    monkeypatch.setattr(os, "utime", refuse)
    assert outputs.find("a") == tmp_path / "a"
    (tmp_path / "a").write_bytes(b"two")
    monkeypatch.setattr(Path, "unlink", refuse)
    assert outputs.find("a") is None


def test_the_teacher_reads_the_same_rows_once(knowing: Teacher, rows: Encoded, tmp_path: Path) -> None:
    told: list[int] = []
    first = said(knowing, rows, Outputs(tmp_path), told)
    again = said(knowing, rows, Outputs(tmp_path), told)
    assert told == [1, 2]
    assert torch.equal(first.logits, again.logits)
    assert torch.equal(first.pooled, again.pooled)
    with torch.no_grad():
        alone = knowing(rows.batch([0]))[1][0]
    assert torch.allclose(again.pooled[0].float(), alone, atol=2e-3)
    assert torch.allclose(again.logits[0], knowing.answer(alone), atol=1e-5)


def test_anything_that_shapes_the_answers_changes_the_key(
    knowing: Teacher, teacher_folder: Path, rows: Encoded, tmp_path: Path
) -> None:
    key_of = Outputs(tmp_path, made_by="code").key_of
    fewer = Encoded(rows.ids[:2], rows.segments[:2])
    other = Encoded(rows.ids, [np.ones_like(row) for row in rows.segments])
    first_token = Teacher(knowing.encoder, knowing.tokenizer, Pooling.CLS, outputs=3)
    first_token.load_state_dict(knowing.state_dict())
    keys = [
        key_of(knowing, rows, FP32, 1), key_of(knowing, rows, FP32, 2), key_of(knowing, fewer, FP32, 1),
        key_of(knowing, other, FP32, 1), key_of(first_token, rows, FP32, 1),
        key_of(load_base(teacher_folder, Pooling.MEAN), rows, FP32, 1), key_of(knowing, rows, Precision.BF16, 1),
        Outputs(tmp_path, made_by="other code").key_of(knowing, rows, FP32, 1),
    ]  # fmt: skip
    assert key_of(knowing, rows, Precision.AUTO, 1) in keys  # only the resulting value counts
    with torch.no_grad():
        knowing.head.bias[0] += 1e-3  # type: ignore[union-attr]
    assert len({*keys, key_of(knowing, rows, FP32, 1)}) == 9


def test_what_other_code_said_is_read_anew(knowing: Teacher, rows: Encoded, tmp_path: Path) -> None:
    told: list[int] = []
    for code in ("old", "new", "old"):
        said(knowing, rows, Outputs(tmp_path, made_by=code), told)
    assert told == [1, 2, 1, 2]


def test_where_the_teacher_lies_does_not_change_the_key(teacher_folder: Path, rows: Encoded, tmp_path: Path) -> None:
    copied = shutil.copytree(teacher_folder, tmp_path / "elsewhere")
    folders = (teacher_folder, copied)
    keys = {Outputs(tmp_path).key_of(load_base(folder, Pooling.MEAN), rows, FP32) for folder in folders}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space for .* free some, or lower pretrain.texts_limit"),
        (errno.EACCES, "cannot be written there .Permission denied.; make it a folder that can be written"),
    ],
)
def test_outputs_that_cannot_be_kept_say_why(
    number: int, message: str, teacher: Teacher, rows: Encoded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Outputs, "writing", refuse)
    with pytest.raises(RunError, match=message):
        TokenTargets.read(teacher, rows, precision=FP32, outputs=Outputs(tmp_path), fewer="pretrain.texts_limit")
