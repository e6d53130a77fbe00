"""Parameters of the drift check."""

from enum import StrEnum

from pydantic import Field, field_validator

from eibert.params.section import BatchSize, MaxTokens, Section, Share, Threads


class Reaction(StrEnum):
    """What a shift beyond its bound triggers."""

    OFF = "off"  # ignored
    WARN = "warn"  # flagged
    FAIL = "fail"  # stops the retraining before any training


class DriftParams(Section):
    """Bounds on how far new data may be from the data of the version in service."""

    min_rows: int = Field(ge=2, description="Minimum new rows to be compared on their own; with fewer, all rows are.")
    sample_rows: int = Field(ge=2, description="Maximum rows embedded by the base teacher, sampled by seed.")
    confidence: float = Field(
        gt=0.5, lt=1.0, description="Confidence level at which a drop in agreement must exceed its bound."
    )
    max_label_divergence: Share = Field(description="Maximum Jensen-Shannon divergence of labels, bits.")
    max_length_divergence: Share = Field(description="Maximum Jensen-Shannon divergence of text lengths, bits.")
    max_unseen_rise: Share = Field(
        description="Maximum share of previously unseen word pieces above the expected share."
    )
    max_embedding_shift: float = Field(
        ge=0.0, description="Maximum squared Fréchet distance of embeddings, as a share of their variance."
    )
    max_agreement_fall: Share = Field(
        description="Maximum drop, on new rows, of the share where prediction and label agree."
    )
    labels: Reaction = Field(strict=False, description="Reaction to a label shift.")
    lengths: Reaction = Field(strict=False, description="Reaction to a shift in text lengths.")
    vocabulary: Reaction = Field(strict=False, description="Reaction to unseen word pieces.")
    embedding: Reaction = Field(strict=False, description="Reaction to a shift in embeddings.")
    agreement: Reaction = Field(
        strict=False, description="Reaction if the version in service disagrees with new labels."
    )
    batch_size: BatchSize = Field(description="Rows per teacher forward pass.")
    max_tokens: MaxTokens = Field(description="Maximum tokens per embedded row; longer rows are truncated.")
    threads: Threads = Field(description="torch threads.")

    @field_validator("labels", "lengths", "vocabulary", "embedding", "agreement", mode="before")
    @classmethod
    def _off(cls, value: object) -> object:
        """YAML 1.1 reads an unquoted `off` as false."""
        return Reaction.OFF if value is False else value
