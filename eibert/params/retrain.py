"""Parameters of retraining on schedule."""

from enum import StrEnum

from pydantic import Field

from eibert.params.section import Section


class Mode(StrEnum):
    """What arriving rows do to the earlier ones."""

    APPEND = "append"  # stand beside them
    REPLACE = "replace"  # take their place


class RetrainParams(Section):
    """How data is refreshed before a retraining."""

    incoming: str | None = Field(
        min_length=1,
        description="File, folder or hub data set whose rows are taken into `ingest.source` each time; "
        "null: the sources are read where they are.",
    )
    mode: Mode = Field(strict=False, description="What arriving rows do to the earlier ones; for `incoming` only.")
