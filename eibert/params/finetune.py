"""Parameters of `finetune`."""

from pydantic import Field

from eibert.params.section import BatchSize, Epochs, LearningRate, MaxTokens, Section, Share, Threads, TrainingPrecision


class FinetuneParams(Section):
    """How the teacher learns the task."""

    epochs: Epochs = Field(description="Maximum epochs over train.")
    rows_limit: int = Field(ge=1, description="Maximum rows seen over all epochs; the schedule ends there.")
    patience: int = Field(
        ge=1,
        description="Early stopping after this many dev scores in a row below the best; dev is scored every epoch, or "
        "at least every 2,000 steps.",
    )
    batch_size: BatchSize = Field(description="Rows per step.")
    learning_rate: LearningRate = Field(description="Peak AdamW learning rate of the encoder.")
    head_learning_rate: LearningRate = Field(description="Peak AdamW learning rate of the task head.")
    weight_decay: Share = Field(description="Decoupled weight decay.")
    warmup_share: Share = Field(description="Share of all steps for linear warm-up; then linear decay.")
    max_tokens: MaxTokens = Field(description="Maximum tokens per row; longer rows are truncated.")
    max_unknown_share: Share = Field(
        description="Maximum share of [UNK] among the tokens of train; beyond it, the teacher is of another language."
    )
    precision: TrainingPrecision
    threads: Threads = Field(description="torch threads; the exact result depends on their number.")
