"""Reads one file in any supported format: each row with its line, or the reason why it is not usable.

CSV is parsed strictly: an unclosed quotation mark is an error instead of swallowing rows. A TSV file tells
itself whether it is quoted.
"""

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eibert.errors import DataError
from eibert.ingest.quoting import examine
from eibert.ingest.rows import File, Raw, Refused
from eibert.ingest.separators import SEPARATORS, advice, meant

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
PLAIN_TEXT = ".txt"
_GZIP = ".gz"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Table:
    """The rows of one file.

    Attributes:
        columns: Column names, in order; those of CSV and TSV without white space around them, for JSON lines the keys
            of all lines.
        rows: Readable rows.
        refused: Unreadable rows.
        note: What to tell about how the file was read; "" if nothing.
    """

    columns: list[str]
    rows: list[Raw]
    refused: list[Refused]
    note: str = ""


def suffix_of(path: Path) -> str:
    """Returns the suffix that indicates the format, in lower case and without `.gz`."""
    name = path.name.lower().removesuffix(_GZIP)
    return Path(name).suffix


def stem_of(path: Path) -> str:
    """Returns the file's name without format and compression suffixes."""
    return path.name[: len(path.name.lower().removesuffix(_GZIP)) - len(suffix_of(path))]


def read(file: File) -> Table:
    """Returns the rows of a file.

    Raises:
        DataError: the file is missing, empty, damaged or of an unknown format, or its header is unusable.
    """
    parse = _parser(file)
    data = _bytes(file)
    if data.startswith(_UTF16_MARKS):
        raise DataError(f"{file}:1: UTF-16 text, expected UTF-8; save the file as UTF-8")
    if not data.strip():
        raise DataError(f"{file}:1: the file is empty; add rows or remove it from ingest")
    table = parse(data, file)
    if not table.rows and not table.refused:
        raise DataError(f"{file}:1: no rows below the header; add rows or remove it from ingest")
    return table


def check_separator(table: Table, file: File, wanted: Collection[str]) -> None:
    """Refuses a header of one cell that another separator would divide, where more columns are wanted.

    Raises:
        DataError: it is one; the message says which separator it seems to have.
    """
    suffix = suffix_of(file.path)
    if suffix in SEPARATORS and len(table.columns) == 1 and (found := meant(table.columns[0], suffix, wanted)):
        expected = ", ".join(map(repr, wanted))
        raise DataError(f"{file}:1: one column, {table.columns[0]!r}, expected {expected}; {advice(found[0], suffix)}")


def _parser(file: File) -> Callable[[bytes, File], Table]:
    match suffix_of(file.path):
        case ".csv":
            return lambda data, file: _delimited(data, file, quoting=csv.QUOTE_MINIMAL)
        case ".tsv":
            return _tab_separated
        case ".jsonl":
            return _json_lines
        case ".parquet":
            return _parquet
        case ".txt":
            return _plain
    known = ", ".join(FORMATS)
    raise DataError(
        f"{file}: unknown suffix {''.join(file.path.suffixes)!r}, expected {known} (plain or .gz); convert it"
    )


def _bytes(file: File) -> bytes:
    try:
        data = file.path.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); correct the path or the permissions") from error
    if not file.path.name.lower().endswith(_GZIP):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: not a valid gzip file ({error}); copy or download it again") from error


def _tab_separated(data: bytes, file: File) -> Table:
    found = examine(data)
    quoting = csv.QUOTE_MINIMAL if found.decoded else csv.QUOTE_NONE
    return replace(_delimited(data, file, quoting=quoting), note=found.note(file))


def _delimited(data: bytes, file: File, *, quoting: Any) -> Table:
    csv.field_size_limit(sys.maxsize)
    lines = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(lines, delimiter=SEPARATORS[suffix_of(file.path)], quoting=quoting, strict=True)
    rows: list[Raw] = []
    refused: list[Refused] = []
    header: list[str] = []
    for line, cells in _records(reader, file):
        if isinstance(cells, str) and not header:
            raise DataError(f"{file}:{line}: {_wrong_header(data, file, line) or cells}")
        if isinstance(cells, str):
            refused.append(Refused(file, line, cells, None))
        elif not header:
            header = _header(cells, file, line)
        elif not cells and len(header) > 1:
            continue  # a blank line is not a row
        elif problem := _ragged(cells, header) or _undecodable(cells):
            refused.append(Refused(file, line, problem, [_readable(cell) for cell in cells]))
        else:
            rows.append(Raw(line, dict(zip(header, cells or [""], strict=True))))
    return Table(header, rows, refused)


def _records(reader: Any, file: File) -> Iterator[tuple[int, list[str] | str]]:
    """Yields each record's first line number with its cells, or with what is wrong with it."""
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                remedy = "close it, or double every quotation mark inside a quoted cell"
                raise DataError(f"{file}:{line}: a quotation mark opened here is never closed; {remedy}") from error
            yield line, f"not valid CSV ({error}); double every quotation mark inside a quoted cell"


def _header(cells: list[str], file: File, line: int) -> list[str]:
    if problem := _undecodable(cells):
        raise DataError(f"{file}:{line}: {problem}")
    names = [cell.strip() for cell in cells]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{file}:{line}: duplicate column {twice[0]!r} in the header; rename one")
    return names


def _wrong_header(data: bytes, file: File, line: int) -> str | None:
    """Returns what is wrong with a header that is not valid CSV if another separator would make it so."""
    header = data.decode("utf-8-sig", "surrogateescape").splitlines()[line - 1]
    found = meant(header, suffix_of(file.path))
    return f"the header is {header!r}; {advice(found[0], suffix_of(file.path))}" if found else None


def _ragged(cells: list[str], header: list[str]) -> str | None:
    if len(cells or [""]) == len(header):
        return None
    return (
        f"{len(cells)} cells, expected {len(header)} ({', '.join(header)}); quote cells that contain the separator "
        "(in TSV that is not always understood: use CSV)"
    )


def _undecodable(cells: list[str]) -> str | None:
    for cell in cells:
        if not cell.isascii() and (found := _ESCAPED_BYTES.search(cell)):
            byte = ord(found[0]) - 0xDC00
            before = cell[max(0, found.start() - 20) : found.start()]
            return f"not UTF-8: byte 0x{byte:02X} after {before!r}; save the file as UTF-8"
        if "\0" in cell:
            return f"NUL byte after {cell[: cell.index(chr(0))][-20:]!r}; remove it"
    return None


def _readable(cell: str) -> str:
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for line, content in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        yield line, content.removesuffix(b"\r")


def _json_lines(data: bytes, file: File) -> Table:
    rows: list[Raw] = []
    refused: list[Refused] = []
    columns: dict[str, None] = {}
    for line, content in _lines(data):
        if not content.strip():
            continue  # a blank line is not a row
        try:
            values = _JSON.decode(content.decode())
            if not isinstance(values, dict):
                raise ValueError(f'{type(values).__name__}, expected an object like {{"text": …}}')
        except UnicodeDecodeError as error:
            reason = f"not UTF-8: byte 0x{content[error.start]:02X} at byte {error.start + 1}; save the file as UTF-8"
            refused.append(Refused(file, line, reason, content.decode("utf-8", "backslashreplace")))
        except (ValueError, RecursionError) as error:
            refused.append(Refused(file, line, f"not a JSON object ({error}); fix the line", content.decode()))
        else:
            columns.update(dict.fromkeys(values))
            rows.append(Raw(line, values))
    return Table(list(columns), rows, refused)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(key for key in names if names.count(key) > 1)!r}")
    return values


_JSON = json.JSONDecoder(object_pairs_hook=_unique_keys)


def _parquet(data: bytes, file: File) -> Table:
    try:
        table = pq.read_table(pa.BufferReader(data))
        rows = [Raw(number, values) for number, values in enumerate(table.to_pylist(), start=1)]
    except (pa.ArrowException, OSError, ValueError) as error:
        message = str(error).splitlines()[0]
        raise DataError(f"{file}: not a valid Parquet file ({message}); copy or download it again") from error
    return Table(table.column_names, rows, [])


def _plain(data: bytes, file: File) -> Table:
    rows: list[Raw] = []
    refused: list[Refused] = []
    for line, content in _lines(data.removesuffix(b"\n")):
        try:
            rows.append(Raw(line, {"text": content.decode()}))
        except UnicodeDecodeError as error:
            reason = f"not UTF-8: byte 0x{content[error.start]:02X} at byte {error.start + 1}; save the file as UTF-8"
            refused.append(Refused(file, line, reason, content.decode("utf-8", "backslashreplace")))
    return Table(["text"], rows, refused)
