"""Parameters of `prune`."""

from enum import StrEnum

from pydantic import Field

from eibert.params.section import BatchSize, MaxTokens, Section, Threads


class Importance(StrEnum):
    """What makes a vocabulary entry worth keeping."""

    ATTENTION = "attention"  # attention received, summed over occurrences
    MEAN_ATTENTION = "mean_attention"  # attention received per occurrence
    FREQUENCY = "frequency"  # occurrences


class PruneParams(Section):
    """Hard token pruning."""

    keep: int = Field(ge=16, description="Vocabulary entries kept, special tokens and characters included.")
    vocabulary_bytes: int | None = Field(
        ge=1,
        description="Most bytes of kept rows (at 8 bits) and their lines of vocab.txt; the best scores per byte are "
        "kept. null: `keep` entries.",
    )
    keep_characters: bool = Field(
        description="Keep all characters, so that a dropped word falls apart; false: it may become [UNK]."
    )
    importance: Importance = Field(strict=False, description="Score by which entries are ranked.")
    texts_limit: int = Field(
        ge=1, description="Most texts scored, drawn by seed: half labelled, half not, where both are enough."
    )
    batch_size: BatchSize = Field(description="Texts per forward pass.")
    max_tokens: MaxTokens = Field(description="Tokens per text; longer ones are cut.")
    threads: Threads = Field(description="Threads of torch; part of the result's identity.")
