"""Parameters of `finetune`."""

from pydantic import Field

from eibert.params.section import BatchSize, Epochs, LearningRate, MaxTokens, Precision, Section, Share, Threads


class FinetuneParams(Section):
    """How the teacher learns the task."""

    epochs: Epochs = Field(description="Most passes over train.")
    rows_limit: int = Field(ge=1, description="Most rows seen over all epochs; the schedule ends there.")
    patience: int = Field(
        ge=1,
        description="Stop after this many dev scores below the best; dev is scored each epoch, or every 2,000 steps.",
    )
    batch_size: BatchSize = Field(description="Rows per step.")
    learning_rate: LearningRate = Field(description="Peak rate of AdamW for the encoder.")
    head_learning_rate: LearningRate = Field(description="Peak rate of AdamW for the task head.")
    weight_decay: Share = Field(description="Decoupled weight decay.")
    warmup_share: Share = Field(description="Share of all steps over which the rate rises; then it falls linearly.")
    max_tokens: MaxTokens = Field(description="Tokens per row; longer ones are cut.")
    precision: Precision = Field(strict=False, description="Arithmetic of training.")
    threads: Threads = Field(description="Threads of torch; part of the result's identity.")
