"""Parameters of scheduled retraining."""

from enum import StrEnum

from pydantic import Field

from eibert.params.section import Section


class Mode(StrEnum):
    """What incoming rows do to earlier ones."""

    APPEND = "append"  # are added to them
    REPLACE = "replace"  # take their place


class RetrainParams(Section):
    """How data is refreshed before a retraining."""

    incoming: str | None = Field(
        min_length=1,
        description="File, folder or hub data set whose rows are merged into `ingest.source` at each retraining; "
        "null: sources are read in place.",
    )
    mode: Mode = Field(
        strict=False, description="Incoming rows are added to earlier ones, or replace them; only with `incoming`."
    )
