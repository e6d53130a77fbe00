"""Parameters of `pretrain`."""

from typing import Self

from pydantic import Field, model_validator

from eibert.params.section import (
    BatchSize,
    Compilation,
    Epochs,
    LearningRate,
    MaxTokens,
    Precision,
    Section,
    Share,
    Threads,
    Weight,
)


class StudentParams(Section):
    """Shape of the student."""

    layers: int = Field(ge=1, le=24, description="Transformer layers.")
    hidden: int = Field(ge=8, le=1024, description="Width H of the layers.")
    heads: int = Field(ge=1, le=32, description="Attention heads; divides hidden.")
    feed_forward: int = Field(ge=8, le=4096, description="Inner width of the feed-forward modules.")
    embedding: int = Field(ge=8, le=1024, description="Width E of the token table; projected to H (factorisation).")
    positions: int = Field(ge=8, le=512, description="Longest input in tokens.")
    dropout: float = Field(ge=0.0, lt=0.9, description="Dropout while training.")

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
        description="Tokens of text to which the teacher's heads and neurons are fitted; 0: random start.",
    )
    epochs: Epochs = Field(description="Passes over the text.")
    rows_limit: int = Field(ge=1, description="Most texts seen over all epochs; the schedule ends there.")
    batch_size: BatchSize = Field(description="Texts per step.")
    learning_rate: LearningRate = Field(description="Peak rate of AdamW.")
    weight_decay: Share = Field(description="Decoupled weight decay.")
    warmup_share: Share = Field(description="Share of all steps over which the rate rises; then it falls linearly.")
    max_tokens: MaxTokens = Field(description="Tokens per text; longer ones are cut.")
    texts_limit: int | None = Field(ge=1, description="Most texts used, drawn by seed; null: all.")
    texts_min: int = Field(
        ge=0,
        description="Too little text is topped up to this many with variants, unless models share it "
        "(ingest.shared_texts_min).",
    )
    sentence_weight: Weight = Field(description="Weight of the distance of sentence representations.")
    token_weight: Weight = Field(description="Weight of the distance of token representations.")
    precision: Precision = Field(strict=False, description="Arithmetic of training.")
    compilation: Compilation = Field(strict=False, description="Whether training runs through torch.compile.")
    threads: Threads = Field(description="Threads of torch; part of the result's identity.")
