"""Unlabelled text from any number of sources: long texts split into sentences, deduplicated, without dev and test."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from eibert.errors import DataError
from eibert.ingest import sentences
from eibert.ingest.reading import Table, read, suffix_of
from eibert.ingest.rows import File, Refused, UnusableError, text_of
from eibert.ingest.separators import SEPARATORS, advice, meant
from eibert.ingest.sources import Source
from eibert.matching import text_key
from eibert.params.ingest import IngestParams


@dataclass
class Counts:
    """What became of the texts: read = refused + empty + split + whole; whole + split_into = sum of the last four.

    Attributes:
        read: Texts read.
        refused: Texts that could not be read.
        empty: Texts of only white space.
        split: Texts longer than sentence_chars, split into sentences.
        split_into: Sentences they were split into.
        in_dev_or_test: Texts and sentences removed because they equal one of dev or test.
        duplicates: Texts and sentences removed because they repeat an earlier one.
        over_limit: Texts dropped by sampling to unlabelled_limit.
        kept: Texts kept.
    """

    read: int = 0
    refused: int = 0
    empty: int = 0
    split: int = 0
    split_into: int = 0
    in_dev_or_test: int = 0
    duplicates: int = 0
    over_limit: int = 0
    kept: int = 0


@dataclass
class Collection:
    """Collects unlabelled texts; feed it with `add`, finish with `drawn`.

    Attributes:
        held_out: Texts of dev and test.
        sentence_chars: Longer texts are split into sentences.
        counts: What became of the texts so far.
        refused: Rows that could not be used.
        notes: What to tell about how files were read.
    """

    held_out: Iterable[str]
    sentence_chars: int
    counts: Counts = field(default_factory=Counts)
    refused: list[Refused] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._texts: dict[str, str] = {}

    @cached_property
    def _barred(self) -> set[str]:
        # The sentences of dev and test texts are held out too: they may occur within a longer text, which is split.
        parts = (part for text in self.held_out for part in (text, *sentences.split(text, self.sentence_chars)))
        return {text_key(part) for part in parts}

    def add(self, text: str) -> None:
        """Adds one text, or the sentences of a long one."""
        self.counts.read += 1
        whole = text.strip()
        if not whole:
            self.counts.empty += 1
        elif pieces := self._pieces(whole):
            if text_key(whole) in self._barred:
                self.counts.in_dev_or_test += 1
                return
            self.counts.split += 1
            self.counts.split_into += len(pieces)
            for piece in pieces:
                self._keep(piece)
        else:
            self._keep(whole)

    def refuse(self, refused: Refused) -> None:
        """Records a row that could not be used."""
        self.counts.read += 1
        self.counts.refused += 1
        self.refused.append(refused)

    def drawn(self, limit: int | None, seed: int) -> list[str]:
        """Returns the texts in order of arrival; at most `limit`, sampled by seed."""
        texts = list(self._texts.values())
        if limit is not None and limit < len(texts):
            chosen = sorted(Random(f"{seed}:unlabelled").sample(range(len(texts)), limit))  # noqa: S311 — data
            self.counts.over_limit = len(texts) - limit
            texts = [texts[position] for position in chosen]
        self.counts.kept = len(texts)
        return texts

    def _pieces(self, text: str) -> list[str]:
        """Returns the sentences of a text that is too long, else []."""
        return sentences.split(text, self.sentence_chars) if len(text) > self.sentence_chars else []

    def _keep(self, text: str) -> None:
        key = text_key(text)
        if key in self._barred:
            self.counts.in_dev_or_test += 1
        elif key in self._texts:
            self.counts.duplicates += 1
        else:
            self._texts[key] = text


def files_of(source: Source) -> list[File]:
    """Returns the files of a source to read as unlabelled text: train, or all if no name indicates a split.

    Raises:
        DataError: there are only dev and test files.
    """
    files = source.files.get("train") or ([] if source.files else source.other)
    if not files:
        found = ", ".join(str(file) for group in source.files.values() for file in group)
        raise DataError(
            f"ingest.unlabelled: {found}: dev and test are never read as unlabelled text; name another file"
        )
    return files


def collect(file: File, params: IngestParams, into: Collection) -> None:
    """Reads the texts of one file, both first and second, into a collection.

    Raises:
        DataError: the file cannot be read or has no text column.
    """
    table = read(file)
    into.notes += [table.note] if table.note else []
    for refused in table.refused:
        into.refuse(refused)
    columns = _text_columns(table, params, file)
    for raw in table.rows:
        for column in columns:
            value = raw.values.get(column)
            if value is None or (isinstance(value, str) and not value.strip()):
                into.add("")
                continue
            try:
                into.add(text_of(raw.values, column))
            except UnusableError as error:
                into.refuse(Refused(file, raw.line, str(error), raw.values))


def _text_columns(table: Table, params: IngestParams, file: File) -> list[str]:
    columns = table.columns
    texts = (params.columns.text, "text")
    first = next((column for column in texts if column in columns), None)
    if first is None and len(columns) == 1:
        first = columns[0]
        suffix = suffix_of(file.path)
        found = meant(first, suffix, texts) if suffix in SEPARATORS else None
        if found and not set(texts).isdisjoint(found[1]):
            raise DataError(f"{file}:1: one column, {first!r}, expected {texts[0]!r}; {advice(found[0], suffix)}")
    if first is None:
        if not table.rows:
            return []  # no line could be read: the refused lines say why
        names = ", ".join(repr(column) for column in columns)
        raise DataError(
            f"{file}:1: no column {params.columns.text!r} or 'text', found {names}; "
            "rename one, or set ingest.columns.text"
        )
    second = params.columns.text_b
    return [first, second] if second in columns and second != first else [first]
