"""Parameters of `quantize`."""

from enum import StrEnum

from pydantic import Field

from eibert.params.section import BatchSize, Section, Threads


class Granularity(StrEnum):
    """Which weights share a scale."""

    CHANNEL = "channel"  # one scale per output channel, or per row of a table
    GROUP = "group"  # one scale per group of columns of a row
    TENSOR = "tensor"


class Activations(StrEnum):
    """Whether a module's inputs are quantized."""

    FLOAT = "float"
    INT8 = "int8"  # one calibrated scale per matrix product


class Calibration(StrEnum):
    """How activation ranges are calibrated."""

    MAX = "max"
    PERCENTILE = "percentile"


class ModuleParams(Section):
    """Quantization of one kind of module."""

    bits: int = Field(
        ge=4, le=8, description="Bits per weight; 4-bit weights are packed two to a byte, wider ones stored as INT8."
    )
    granularity: Granularity = Field(
        strict=False,
        description="One scale per output channel or table row, per group of its columns, or one for the tensor.",
    )
    activations: Activations = Field(
        strict=False, description="Precision of the module's inputs; `int8`: one calibrated scale each."
    )


class QuantizeParams(Section):
    """Module-wise post-training quantization."""

    embedding: ModuleParams
    attention: ModuleParams
    feed_forward: ModuleParams
    head: ModuleParams
    group: int = Field(ge=2, description="Columns that share a scale under granularity `group`.")
    weight_bytes: int | None = Field(
        ge=1,
        description="Maximum bytes of integers and scales: the least sensitive modules are packed to 4 bits, one scale "
        "per group, until they fit; null: bits as given.",
    )
    tune_rows: int = Field(
        ge=0, description="Training rows of quantization-aware tuning, over all epochs; 0: no tuning."
    )
    tune_learning_rate: float = Field(gt=0.0, le=1.0, description="Peak learning rate of tuning.")
    calibration: Calibration = Field(strict=False, description="How activation ranges are calibrated.")
    percentile: float = Field(gt=50.0, le=100.0, description="Per cent of activations inside the range.")
    calibration_rows: int = Field(
        ge=1, description="Training rows used to calibrate activations and to measure harm in the bit search."
    )
    batch_size: BatchSize = Field(description="Rows per forward pass.")
    threads: Threads = Field(description="torch threads; the exact result depends on their number.")
