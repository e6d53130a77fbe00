"""Parameters of the drift check."""

from enum import StrEnum

from pydantic import Field

from eibert.params.section import BatchSize, MaxTokens, Section, Share, Threads


class Reaction(StrEnum):
    """What a shift beyond its bound does."""

    OFF = "off"  # is not looked at
    WARN = "warn"  # is flagged
    FAIL = "fail"  # stops the retraining before anything learns


class DriftParams(Section):
    """Bounds on how far new data may be from the data of the version in service."""

    min_rows: int = Field(ge=2, description="Fewest new rows that are compared by themselves; below, all rows are.")
    sample_rows: int = Field(ge=2, description="Most rows embedded by the base teacher, drawn by seed.")
    confidence: float = Field(gt=0.5, lt=1.0, description="Confidence with which the agreement's fall must be beyond.")
    max_label_divergence: Share = Field(description="Largest Jensen-Shannon divergence of labels, bits.")
    max_length_divergence: Share = Field(description="Largest Jensen-Shannon divergence of text lengths, bits.")
    max_unseen_rise: Share = Field(description="Largest share of word pieces unseen before, above the expected one.")
    max_embedding_shift: float = Field(
        ge=0.0, description="Largest Fréchet distance of embeddings, squared, as a share of their variance."
    )
    max_agreement_fall: Share = Field(
        description="Most that the share of rows where answer and label agree may fall on new rows."
    )
    labels: Reaction = Field(strict=False, description="Reaction to a shift of labels.")
    lengths: Reaction = Field(strict=False, description="Reaction to a shift of text lengths.")
    vocabulary: Reaction = Field(strict=False, description="Reaction to unseen word pieces.")
    embedding: Reaction = Field(strict=False, description="Reaction to a shift of embeddings.")
    agreement: Reaction = Field(
        strict=False, description="Reaction where the version in service disagrees with new labels."
    )
    batch_size: BatchSize = Field(description="Rows per forward pass of the teacher.")
    max_tokens: MaxTokens = Field(description="Tokens per embedded row; longer ones are cut.")
    threads: Threads = Field(description="Threads of torch.")
