"""The chain of records: tampering is detected, and an interrupted append is repaired."""

import errno
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eibert import trail
from eibert.errors import SignatureError, TrailError

MARK = b"sealed:"


def seal(line: bytes) -> bytes:
    return MARK + line


def unseal(content: bytes) -> bytes:
    if not content.startswith(MARK):
        raise SignatureError("head.json: not sealed")
    return content.removeprefix(MARK)


def append(folder: Path, name: str) -> trail.Record:
    return trail.append(folder, {"name": name}, seal=seal, unseal=unseal, lock=folder.parent / "lock")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A trail of four records."""
    for name in "abcd":
        append(tmp_path / "trail", name)
    return tmp_path / "trail"


def lines(folder: Path) -> list[bytes]:
    return (folder / trail.RECORDS).read_bytes().splitlines(keepends=True)


def check(folder: Path) -> list[str]:
    return trail.check(folder, unseal)


def test_records_follow_on_one_another(folder: Path) -> None:
    records = trail.read(folder)
    assert [record.sequence for record in records] == [1, 2, 3, 4]
    assert [record.body["name"] for record in records] == list("abcd")
    assert records[0].previous == trail.START
    raw = lines(folder)
    assert records[2].previous == trail.sha256(raw[1].rstrip(b"\n"))
    assert json.loads(raw[3])["digest"] == records[3].digest
    assert check(folder) == []
    assert check(folder.parent / "none") == []


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("moment", ["of the head", "of the line", "when all is written"])
def test_what_the_disk_refuses_leaves_the_trail_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, first: bool
) -> None:
    folder = tmp_path / "trail"
    if not first:
        append(folder, "a")
    before = {path.name: path.read_bytes() for path in folder.glob("*")} if folder.is_dir() else {}
    refused = OSError(errno.ENOSPC, "No space left on device")

    def fsync(descriptor: int) -> None:
        at = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        place = {"of the head": f"part-{os.getpid()}", "of the line": trail.RECORDS, "when all is written": "trail"}
        if at.endswith(place[moment]) and (moment != "when all is written" or (folder / trail.RECORDS).is_file()):
            raise refused

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="No space"):
            append(folder, "b")
    left = {path.name: path.read_bytes() for path in folder.glob("*")}
    assert {name: content for name, content in left.items() if content} == before
    assert check(folder) == []
    append(folder, "c")
    assert [record.body["name"] for record in trail.read(folder)] == (["c"] if first else ["a", "c"])


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "edited": lambda raw: [raw[0], raw[1].replace(b'"b"', b'"x"'), *raw[2:]],
    "deleted": lambda raw: [raw[0], *raw[2:]],
    "first deleted": lambda raw: raw[1:],
    "in another order": lambda raw: [raw[1], raw[0], *raw[2:]],
    "twice": lambda raw: [raw[0], raw[0], *raw[1:]],
    "last deleted": lambda raw: raw[:-1],
    "two last deleted": lambda raw: raw[:-2],
    "all deleted": lambda _: [],
    "last replaced by an earlier": lambda raw: [*raw[:-1], raw[0]],
    "spaced": lambda raw: [raw[0].replace(b":", b": ", 1), *raw[1:]],
    "ends torn": lambda raw: [*raw, b'{"body":{"na'],
    "last ends cut": lambda raw: [*raw[:-1], raw[-1][:-9]],
    "empty line": lambda raw: [raw[0], b"\n", *raw[1:]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_the_records_shows(folder: Path, change: str) -> None:
    (folder / trail.RECORDS).write_bytes(b"".join(CHANGES[change](lines(folder))))
    [problem] = check(folder)
    assert "records.jsonl" in problem


def test_edit_with_a_digest_of_its_own_shows(folder: Path) -> None:
    raw = lines(folder)
    forged = trail.Record(2, json.loads(raw[1])["previous"], {"name": "x"})
    (folder / trail.RECORDS).write_bytes(b"".join([raw[0], forged.line + b"\n", *raw[2:]]))
    [problem] = check(folder)
    assert "records.jsonl:3" in problem


def test_end_rewritten_as_a_sound_chain_shows_by_the_head(folder: Path) -> None:
    raw = lines(folder)
    forged = trail.Record(4, json.loads(raw[3])["previous"], {"name": "x"})
    (folder / trail.RECORDS).write_bytes(b"".join([*raw[:3], forged.line + b"\n"]))
    [problem] = check(folder)
    assert "head.json names record 4" in problem


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_of_the_records_shows(folder: Path, bit: int) -> None:
    path = folder / trail.RECORDS
    good = path.read_bytes()
    for position in range(bit, len(good), 5):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1 << bit]) + good[position + 1 :])
        assert check(folder), position


def test_missing_head_and_broken_seal_show(folder: Path) -> None:
    (folder / trail.HEAD).write_bytes(b"x")
    assert check(folder) == ["head.json: not sealed"]
    (folder / trail.HEAD).unlink()
    assert "missing, though records.jsonl has 4 records" in check(folder)[0]


def test_nothing_is_appended_to_an_altered_trail(folder: Path) -> None:
    altered = b"".join(lines(folder)[1:])
    (folder / trail.RECORDS).write_bytes(altered)
    with pytest.raises(TrailError, match="restore the folder from git"):
        append(folder, "e")
    assert (folder / trail.RECORDS).read_bytes() == altered


@pytest.mark.parametrize("left", ["nothing", "half", "all but its end"])
def test_append_cut_off_is_completed_by_the_next(folder: Path, left: str) -> None:
    raw = lines(folder)
    kept = {"nothing": 0, "half": len(raw[3]) // 2, "all but its end": len(raw[3]) - 1}[left]
    (folder / trail.RECORDS).write_bytes(b"".join(raw[:3]) + raw[3][:kept])
    assert "the next `eibert run` completes it" in check(folder)[0]
    assert [record.body["name"] for record in trail.complete(folder, unseal)] == list("abcd")
    append(folder, "e")
    assert lines(folder)[:4] == raw
    assert [record.body["name"] for record in trail.read(folder)] == list("abcde")
    assert check(folder) == []


def test_conflict_of_git_is_told_with_its_remedy(folder: Path) -> None:
    raw = lines(folder)
    content = [*raw[:2], b"<<<<<<< HEAD\n", raw[2], b"=======\n", raw[3], b">>>>>>> other\n"]
    (folder / trail.RECORDS).write_bytes(b"".join(content))
    assert "two branches appended" in check(folder)[0]
    assert "--theirs" in check(folder)[0]


def _append_many(folder: Path, name: str, count: int) -> None:
    for number in range(count):
        append(folder, f"{name}{number}")


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(tmp_path / "trail", name, 12)) for name in "wxyz"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    records = trail.read(tmp_path / "trail")
    assert sorted(record.body["name"] for record in records) == sorted(f"{n}{i}" for n in "wxyz" for i in range(12))
    assert check(tmp_path / "trail") == []


def test_killed_writers_leave_a_trail_that_goes_on(tmp_path: Path) -> None:
    folder, context = tmp_path / "trail", multiprocessing.get_context("fork")
    counts = []
    for attempt in range(8):
        writer = context.Process(target=_append_many, args=(folder, f"{attempt}-", 10_000))
        writer.start()
        time.sleep(0.05 + 0.011 * attempt)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        append(folder, "after")
        assert check(folder) == []
        counts.append(len(trail.read(folder)))
    assert counts == sorted(set(counts))
