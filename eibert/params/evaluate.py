"""Parameters of `evaluate`."""

from typing import Annotated

from pydantic import Field

from eibert.params.section import BatchSize, Section, Threads


class EvaluateParams(Section):
    """What the report measures."""

    batch_size: BatchSize = Field(description="Rows per forward pass of the torch models.")
    bootstrap_samples: int = Field(ge=100, description="Resamples of the paired bootstrap against the rivals.")
    tie_confidence: float = Field(
        gt=0.5, lt=1.0, description="Differences below this confidence level are called ties."
    )
    rival_rows: int = Field(ge=1, description="Maximum training rows used to select the linear rival's settings.")
    rival_regularizations: tuple[Annotated[float, Field(gt=0.0)], ...] = Field(
        strict=False, min_length=1, description="Values of C tried for the linear rival, the middle one first."
    )
    static_dimensions: tuple[Annotated[int, Field(ge=1, le=1024)], ...] = Field(
        strict=False, description="Component counts tried for the static rival's table; empty: no static rival."
    )
    static_regularizations: tuple[Annotated[float, Field(gt=0.0)], ...] = Field(
        strict=False, min_length=1, description="Values of C tried for the static rival's head."
    )
    threads: Threads = Field(description="torch threads.")
