"""Parameters of `quantize`."""

from enum import StrEnum

from pydantic import Field

from eibert.params.section import BatchSize, Section, Threads


class Granularity(StrEnum):
    """Which weights share one scale."""

    CHANNEL = "channel"  # one scale per output channel, or per row of a table
    GROUP = "group"  # one scale per group of columns of a row
    TENSOR = "tensor"


class Activations(StrEnum):
    """What happens to a module's inputs."""

    FLOAT = "float"
    INT8 = "int8"  # one calibrated scale per matrix product


class Calibration(StrEnum):
    """How the range of an activation is chosen."""

    MAX = "max"
    PERCENTILE = "percentile"


class ModuleParams(Section):
    """Quantization of one kind of module."""

    bits: int = Field(ge=4, le=8, description="Bits of a weight; 4 are stored two to a byte, more as INT8.")
    granularity: Granularity = Field(strict=False, description="Which weights share a scale.")
    activations: Activations = Field(strict=False, description="Arithmetic of the module's inputs.")


class QuantizeParams(Section):
    """Module-wise post-training quantization."""

    embedding: ModuleParams
    attention: ModuleParams
    feed_forward: ModuleParams
    head: ModuleParams
    group: int = Field(ge=2, description="Columns that share a scale where granularity is group.")
    weight_bytes: int | None = Field(
        ge=1,
        description="Most bytes of integers and scales: modules that bear it best fall to 4 bits, with a scale for "
        "each group, until they fit; null: bits as given.",
    )
    tune_rows: int = Field(
        ge=0, description="Training rows of tuning with the rounding in the loop, all passes together; 0: none."
    )
    tune_learning_rate: float = Field(gt=0.0, le=1.0, description="Peak rate of tuning.")
    calibration: Calibration = Field(strict=False, description="How activation ranges are chosen.")
    percentile: float = Field(gt=50.0, le=100.0, description="Share of activations inside the range, per cent.")
    calibration_rows: int = Field(
        ge=1, description="Training rows run to calibrate activations, and on which the search measures harm."
    )
    batch_size: BatchSize = Field(description="Rows per forward pass.")
    threads: Threads = Field(description="Threads of torch; part of the result's identity.")
