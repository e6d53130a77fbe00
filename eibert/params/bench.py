"""Parameters of `eibert bench`, which is no stage: nothing it measures goes into an artifact."""

from typing import Annotated

from pydantic import Field

from eibert.params.section import BatchSize, MaxTokens, Section, Threads


class BenchParams(Section):
    """What is measured, and for how long."""

    lengths: tuple[MaxTokens, ...] = Field(
        strict=False, min_length=1, description="Lengths of texts, in the bundle's tokens with the special ones."
    )
    batches: tuple[BatchSize, ...] = Field(strict=False, min_length=1, description="Texts answered at once.")
    threads: tuple[Threads, ...] = Field(strict=False, min_length=1, description="Threads of one forward pass.")
    texts: int = Field(ge=1, le=10000, description="Different texts of each length.")
    rounds: int = Field(
        ge=1, le=100000, description="Most rounds for a length, batch and threads; in each all have a turn."
    )
    turn: int = Field(
        ge=1,
        le=1000,
        description="Texts a model answers in its turn, one batch at least.",
    )
    cell_seconds: Annotated[float, Field(gt=0.0, le=3600.0)] = Field(
        description="No further round for a length, batch and threads after this time."
    )
    starts: int = Field(ge=1, le=100, description="Fresh processes of each model, for import, load and peak memory.")
