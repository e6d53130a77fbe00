"""Parameters of `ingest`."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from eibert.params.section import Section


class Inputs(StrEnum):
    """What one row asks about."""

    AUTO = "auto"  # a pair where the second text's column exists
    SINGLE = "single"
    PAIR = "pair"


class Target(StrEnum):
    """What one row answers."""

    AUTO = "auto"  # what dataset.json says, else a class
    CLASS = "class"
    NUMBER = "number"


class ColumnParams(Section):
    """Names of the source's columns."""

    text: str = Field(min_length=1, description="Column of the (first) text.")
    text_b: str = Field(min_length=1, description="Column of the second text of a pair.")
    label: str = Field(min_length=1, description="Column of the label or of the number.")
    id: str | None = Field(description="Column of unique row ids; null: rows have none.")
    split: str | None = Field(description="Column that says train, dev or test; null: the file's name does.")


class IngestParams(Section):
    """Where data comes from and how it is read."""

    source: str = Field(min_length=1, description="`sample`, a file, a folder, or `hf:owner/name@revision`.")
    unlabelled: Annotated[tuple[str, ...], Field(strict=False)] = Field(description="Further sources of plain text.")
    columns: ColumnParams
    inputs: Inputs = Field(strict=False, description="Single texts or pairs.")
    target: Target = Field(
        strict=False,
        description="A class, or a number (regression); `auto`: what the source's dataset.json says, else a class.",
    )
    dev_share: float = Field(gt=0.0, lt=0.5, description="Share of train carved out where there is no dev split.")
    test_share: float = Field(gt=0.0, lt=0.5, description="Share of train carved out where there is no test split.")
    refused_rows_limit: int = Field(ge=0, description="Stop when more rows than this are refused.")
    unlabelled_limit: int | None = Field(ge=1, description="Most unlabelled texts kept, drawn by seed; null: all.")
    shared_texts_min: int = Field(
        ge=1,
        description="Unlabelled texts from which a student is pre-trained on them alone, so that models with the same "
        "ones share its pre-training; with fewer, and for pairs, also on the training texts.",
    )
    sentence_chars: int = Field(
        ge=40, le=10000, description="Unlabelled text longer than this is split into sentences."
    )
