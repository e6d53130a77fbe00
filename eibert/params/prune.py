"""Parameters of `prune`."""

from enum import StrEnum

from pydantic import Field

from eibert.params.section import BatchSize, MaxTokens, Section, Threads


class Importance(StrEnum):
    """How the importance of a vocabulary entry is scored."""

    ATTENTION = "attention"  # attention received, summed over occurrences
    MEAN_ATTENTION = "mean_attention"  # attention received per occurrence
    FREQUENCY = "frequency"  # occurrences


class PruneParams(Section):
    """Hard token pruning."""

    keep: int = Field(ge=16, description="Vocabulary entries kept, including special tokens and characters.")
    vocabulary_bytes: int | None = Field(
        ge=1,
        description="Maximum bytes of the kept embedding rows (at 8 bits) and their lines in vocab.txt; entries with "
        "the best score per byte are kept. null: `keep` entries.",
    )
    keep_characters: bool = Field(
        description="Keep all characters, so a dropped word splits into pieces; false: it may become [UNK]."
    )
    importance: Importance = Field(
        strict=False,
        description="Score by which entries are ranked: attention received, the same per occurrence, or occurrences.",
    )
    texts_limit: int = Field(
        ge=1, description="Maximum texts scored, sampled by seed: half labelled, half not, if there are enough of both."
    )
    batch_size: BatchSize = Field(description="Texts per forward pass.")
    max_tokens: MaxTokens = Field(description="Maximum tokens per text; longer texts are truncated.")
    threads: Threads = Field(description="torch threads; the exact result depends on their number.")
