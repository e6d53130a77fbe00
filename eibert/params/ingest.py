"""Parameters of `ingest`."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from eibert.params.section import Section


class Inputs(StrEnum):
    """Whether a row holds one text or two."""

    AUTO = "auto"  # pairs if the column of the second text exists
    SINGLE = "single"
    PAIR = "pair"


class Target(StrEnum):
    """What a label is."""

    AUTO = "auto"  # what dataset.json says, else a class
    CLASS = "class"
    NUMBER = "number"


class ColumnParams(Section):
    """Names of the source's columns."""

    text: str = Field(min_length=1, description="Column of the (first) text.")
    text_b: str = Field(min_length=1, description="Column of the second text of a pair.")
    label: str = Field(min_length=1, description="Column of the label, a class or a number.")
    id: str | None = Field(description="Column of unique row ids; null: no ids.")
    split: str | None = Field(
        description="Column naming the split (train, dev or test); null: taken from the file's name."
    )


class IngestParams(Section):
    """Where the data comes from and how it is read."""

    source: str = Field(min_length=1, description="`sample`, a file, a folder, or `hf:owner/name@revision`.")
    unlabelled: Annotated[tuple[str, ...], Field(strict=False)] = Field(description="Additional sources of plain text.")
    columns: ColumnParams
    inputs: Inputs = Field(
        strict=False, description="Single texts or pairs; `auto`: pairs if the column of the second text exists."
    )
    target: Target = Field(
        strict=False,
        description="A class, or a number (regression); `auto`: what the source's dataset.json says, else a class.",
    )
    dev_share: float = Field(gt=0.0, lt=0.5, description="Share of train carved out as dev if the source has none.")
    test_share: float = Field(gt=0.0, lt=0.5, description="Share of train carved out as test if the source has none.")
    refused_rows_limit: int = Field(ge=0, description="Stop if more rows than this are refused.")
    unlabelled_limit: int | None = Field(ge=1, description="Maximum unlabelled texts kept, sampled by seed; null: all.")
    shared_texts_min: int = Field(
        ge=1,
        description="With at least this many unlabelled texts, a student is pre-trained on them alone, so models with "
        "the same texts share its pre-training; with fewer, and for pairs, also on the training texts.",
    )
    sentence_chars: int = Field(
        ge=40, le=10000, description="Unlabelled texts longer than this are split into sentences."
    )
