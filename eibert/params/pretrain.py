"""Parameters of `pretrain`."""

from typing import Self

from pydantic import Field, model_validator

from eibert.params.section import (
    BatchSize,
    Epochs,
    LearningRate,
    MaxTokens,
    Section,
    Share,
    Threads,
    TrainingCompilation,
    TrainingPrecision,
    Weight,
)


class StudentParams(Section):
    """Shape of the student."""

    layers: int = Field(ge=1, le=24, description="Transformer layers.")
    hidden: int = Field(ge=8, le=1024, description="Width H of the layers.")
    heads: int = Field(ge=1, le=32, description="Attention heads; divides hidden.")
    feed_forward: int = Field(ge=8, le=4096, description="Intermediate width of the feed-forward modules.")
    embedding: int = Field(ge=8, le=1024, description="Width E of the token embeddings; projected to H (factorised).")
    positions: int = Field(ge=8, le=512, description="Maximum input length in tokens.")
    dropout: float = Field(ge=0.0, lt=0.9, description="Dropout rate in training.")

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide hidden ({self.hidden})")
        return self


class PretrainParams(Section):
    """How the student learns from the base teacher on plain text."""

    student: StudentParams
    inherit_tokens: int = Field(
        ge=0,
        le=1_000_000,
        description="Tokens of text used to fit the teacher's heads and neurons; 0: random initialisation.",
    )
    epochs: Epochs = Field(description="Epochs over the text.")
    rows_limit: int = Field(ge=1, description="Maximum texts seen over all epochs; the schedule ends there.")
    batch_size: BatchSize = Field(description="Texts per step.")
    learning_rate: LearningRate = Field(description="Peak AdamW learning rate.")
    weight_decay: Share = Field(description="Decoupled weight decay.")
    warmup_share: Share = Field(description="Share of all steps for linear warm-up; then linear decay.")
    max_tokens: MaxTokens = Field(description="Maximum tokens per text; longer texts are truncated.")
    texts_limit: int | None = Field(ge=1, description="Maximum texts used, sampled by seed; null: all.")
    texts_min: int = Field(
        ge=0,
        description="Fewer texts than this are topped up with variants, unless models share them "
        "(ingest.shared_texts_min).",
    )
    sentence_weight: Weight = Field(description="Weight of the loss on sentence representations.")
    token_weight: Weight = Field(description="Weight of the loss on token representations.")
    precision: TrainingPrecision
    compilation: TrainingCompilation
    threads: Threads = Field(description="torch threads; the exact result depends on their number.")
