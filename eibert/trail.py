"""The trail: records of what was built, one JSON line each, chained by SHA-256; the newest is also sealed.

    records.jsonl   {"body": …, "digest": …, "previous": …, "sequence": …}   one canonical line per record
    head.json       the newest of these lines, sealed: signed by whoever appended it

`previous` is the SHA-256 of the line before, `digest` that of the other three values. Edits, removals and reordering of
earlier lines are therefore detected, and the head reveals lines missing at the end. An append writes the new line to
the head first and then to records.jsonl: if it is killed in between, the head has the whole line, and the next append
repairs the file.

Knows nothing about keys: the caller provides how to seal a line and open a seal.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eibert import atomic
from eibert.errors import SignatureError, TrailError

RECORDS, HEAD = "records.jsonl", "head.json"
START = "0" * 64
"""`previous` of the first record."""

_REMEDY = "restore the folder from git (`git checkout -- {folder}`), or from a copy you trust"
_CONFLICT = (b"<<<<<<<", b"=======", b">>>>>>>")

Seal = Callable[[bytes], bytes]
"""Turns a line into the content of the head."""
Unseal = Callable[[bytes], bytes]
"""Turns the content of the head into the line; raises SignatureError if the seal is invalid."""


@dataclass(frozen=True)
class Record:
    """One record.

    Attributes:
        sequence: 1 for the first.
        previous: SHA-256 of the line before; START for the first.
        body: What was recorded.
    """

    sequence: int
    previous: str
    body: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of sequence, previous and body in canonical form."""
        return sha256(self._with(b"", canonical(self.body)))

    @property
    def line(self) -> bytes:
        """The record as written to records.jsonl, without the newline."""
        body = canonical(self.body)  # only once: it is nearly the whole line
        digest = sha256(self._with(b"", body)).encode()
        return self._with(b'"digest":"' + digest + b'",', body)

    def _with(self, digest: bytes, body: bytes) -> bytes:
        """The canonical form of all fields, sorted by name."""
        rest = canonical({"previous": self.previous, "sequence": self.sequence})
        return b'{"body":' + body + b"," + digest + rest[1:]


def canonical(value: object) -> bytes:
    """Returns a value as canonical JSON: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def read(folder: Path) -> list[Record]:
    """Returns the complete records after checking their chain; the head is not read.

    A truncated last line is not a record yet.

    Raises:
        TrailError: a line is altered, missing or out of place.
    """
    content = _content(folder / RECORDS)
    records: list[Record] = []
    previous = START
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        records.append(_parsed(folder, number, line, previous))
        previous = sha256(line)
    return records


def complete(folder: Path, unseal: Unseal) -> list[Record]:
    """Returns all records, the newest from the head if a kill left it incomplete in records.jsonl.

    Raises:
        TrailError: records are altered, missing, or not those the head names.
        SignatureError: the head's seal is invalid.
    """
    records = read(folder)
    pending = _pending(folder, records, unseal)
    return [*records, pending] if pending else records


def check(folder: Path, unseal: Unseal) -> list[str]:
    """Returns what is wrong with a trail, one line per problem; [] if it is intact or does not exist yet."""
    try:
        records = read(folder)
        pending = _pending(folder, records, unseal)
    except (TrailError, SignatureError) as error:
        return [str(error)]
    if pending is None:
        return []
    return [
        f"{folder / RECORDS}: record {pending.sequence} is incomplete there, though whole in {HEAD}: an append was "
        "cut short, or the line was removed; the next `eibert run` completes it"
    ]


def mend(folder: Path, *, unseal: Unseal, lock: Path) -> list[Record]:
    """Returns all records, first completing the newest in records.jsonl if a kill truncated it.

    Args:
        folder: The trail's folder.
        unseal: Opens the head.
        lock: Lock file that serialises writers.

    Raises:
        TrailError: records are altered, missing, or not those the head names.
        SignatureError: the head's seal is invalid.
    """
    with _alone(lock):
        return _mended(folder, unseal)


def append(folder: Path, body: dict[str, Any], *, seal: Seal, unseal: Unseal, lock: Path) -> Record:
    """Appends a record and returns it, first completing one truncated by a kill.

    Args:
        folder: The trail's folder; created if missing.
        body: What to record; JSON values only.
        seal: Makes the head from the new line.
        unseal: Opens the existing head.
        lock: Lock file that serialises writers; the kernel releases it when its holder dies.

    Raises:
        TrailError: the existing trail is altered; it is left untouched.
        SignatureError: the existing head's seal is invalid; the trail is left untouched.
        OSError: writing the record failed; the trail is restored.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(lock):
        records = _mended(folder, unseal)
        previous = sha256(records[-1].line) if records else START
        # Round-trip through JSON, which changes tuples and numeric keys, before computing the digest.
        record = Record(len(records) + 1, previous, json.loads(canonical(body)))
        with _as_before(folder):
            atomic.write(folder / HEAD, seal(record.line), durable=True)
            _write_line(folder, record.line)
    return record


def _mended(folder: Path, unseal: Unseal) -> list[Record]:
    records = read(folder)
    if pending := _pending(folder, records, unseal):
        _write_line(folder, pending.line)
        records.append(pending)
    return records


def _parsed(folder: Path, number: int, line: bytes, previous: str) -> Record:
    place = f"{folder / RECORDS}:{number}"
    remedy = _REMEDY.format(folder=folder)
    if line.startswith(_CONFLICT):
        raise TrailError(
            f"{place}: unresolved git conflict: two branches appended to the trail; keep all of one side "
            f"(`git checkout --ours -- {folder}` or `--theirs`), then `eibert run` in the other side's workspaces"
        )
    try:
        found = json.loads(line)
        record = Record(found["sequence"], found["previous"], found["body"])
        sound = record.line == line
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise TrailError(f"{place}: altered: it does not match its own digest; {remedy}")
    if record.sequence != number or record.previous != previous:
        raise TrailError(
            f"{place}: record {record.sequence} does not follow the line before, expected record {number}: lines "
            f"were removed, added, altered or reordered; {remedy}"
        )
    return record


def _pending(folder: Path, records: list[Record], unseal: Unseal) -> Record | None:
    """Returns the head's record if records.jsonl lacks all or the end of it; None if both agree."""
    path, remedy = folder / HEAD, _REMEDY.format(folder=folder)
    torn = _content(folder / RECORDS).rpartition(b"\n")[2]
    if not path.is_file():
        if records or torn:
            raise TrailError(f"{path}: missing, though {RECORDS} has {len(records)} records; {remedy}")
        return None
    line = unseal(path.read_bytes())
    found = json.loads(line)
    head = Record(found["sequence"], found["previous"], found["body"])
    last = records[-1].line if records else b""
    if line == last and not torn:
        return None
    follows = head.previous == (sha256(last) if records else START) and head.sequence == len(records) + 1
    if follows and line.startswith(torn):
        return head
    raise TrailError(
        f"{folder / RECORDS}: ends with record {len(records)}, but {HEAD} names record {head.sequence}, "
        f"{found['digest'][:12]}…: lines at the end were removed, added or replaced; {remedy}"
    )


def _write_line(folder: Path, line: bytes) -> None:
    """Writes a line after the last complete one, overwriting any truncated rest."""
    path = folder / RECORDS
    size = _content(path).rfind(b"\n") + 1
    with path.open("ab") as file:
        file.truncate(size)
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    atomic.sync(folder)


@contextmanager
def _as_before(folder: Path) -> Iterator[None]:
    """Restores head and lines if writing either fails; this needs no space, so it works on a full disk."""
    head, lines, kept = folder / HEAD, folder / RECORDS, folder / f".{HEAD}.before"
    size = len(_content(lines))
    try:
        if head.is_file():
            shutil.copyfile(head, kept)
        try:
            yield
        except OSError:
            if len(_content(lines)) > size:
                os.truncate(lines, size)
            kept.replace(head) if kept.is_file() else head.unlink(missing_ok=True)
            raise
    finally:
        kept.unlink(missing_ok=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise TrailError(f"{path}: not readable ({error.strerror}); check the path and its permissions") from error


def sha256(content: bytes) -> str:
    """Returns the SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
