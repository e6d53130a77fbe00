"""Parameters of `eibert bench`, which is not a stage: nothing it measures goes into an artifact."""

from typing import Annotated

from pydantic import Field

from eibert.params.section import BatchSize, MaxTokens, Section, Threads


class BenchParams(Section):
    """What is measured, and for how long."""

    lengths: tuple[MaxTokens, ...] = Field(
        strict=False, min_length=1, description="Text lengths in the bundle's tokens, special tokens included."
    )
    batches: tuple[BatchSize, ...] = Field(
        strict=False, min_length=1, description="Batch sizes: texts answered at once."
    )
    threads: tuple[Threads, ...] = Field(strict=False, min_length=1, description="Threads per forward pass.")
    texts: int = Field(ge=1, le=10000, description="Distinct texts of each length.")
    rounds: int = Field(
        ge=1, le=100000, description="Maximum rounds per length, batch and threads; every model runs once a round."
    )
    turn: int = Field(
        ge=1,
        le=1000,
        description="Texts per model and round; at least one batch.",
    )
    cell_seconds: Annotated[float, Field(gt=0.0, le=3600.0)] = Field(
        description="No new round starts for a length, batch and threads after this time."
    )
    starts: int = Field(
        ge=1, le=100, description="Fresh processes per model, to time import and load and to read peak memory."
    )
