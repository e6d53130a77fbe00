"""What all sections of params.yaml have in common, and the values that all stages share."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A frozen set of parameters that refuses unknown keys and silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Share = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0, le=1000.0)]
LearningRate = Annotated[float, Field(gt=0.0, le=0.1)]
Epochs = Annotated[int, Field(ge=1, le=1000)]
BatchSize = Annotated[int, Field(ge=1, le=4096)]
MaxTokens = Annotated[int, Field(ge=4, le=512)]
Threads = Annotated[int, Field(ge=1, le=256)]


class Precision(StrEnum):
    """Numeric precision of the forward and backward pass; the weights stay fp32."""

    AUTO = "auto"  # bf16 on CUDA and on CPUs with bf16 instructions, else fp32
    FP32 = "fp32"
    BF16 = "bf16"


class Compilation(StrEnum):
    """Whether training compiles the student's passes with torch.compile."""

    AUTO = "auto"  # on CUDA, if training is long enough to amortise the compile time
    NEVER = "never"
    ALWAYS = "always"


TrainingPrecision = Annotated[
    Precision,
    Field(
        strict=False,
        description="Numeric precision of training; `auto`: bf16 on CUDA and CPUs with bf16 instructions, else fp32.",
    ),
]
TrainingCompilation = Annotated[
    Compilation,
    Field(
        strict=False,
        description="Whether training runs through torch.compile; `auto`: on CUDA, if training is long enough to gain.",
    ),
]


class Pooling(StrEnum):
    """How token representations are pooled into a sentence representation."""

    MEAN = "mean"
    CLS = "cls"


class TeacherParams(Section):
    """The teacher model, shared by `pretrain` (its base form) and `finetune`."""

    model: str = Field(min_length=1, description="`bundled`, a folder, or `hf:owner/name@revision`.")
    pooling: Pooling = Field(strict=False, description="Sentence representation: mean over tokens, or the first token.")
    sha256: str | None = Field(
        pattern="^[0-9a-f]{64}$", description="Expected SHA-256 of the teacher's model.safetensors; null: not checked."
    )


class Shared(Section):
    """The values outside all sections."""

    seed: int = Field(ge=0, le=2**31 - 1, description="Seed of every random choice in every stage.")
    teacher: TeacherParams
