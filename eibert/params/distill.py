"""Parameters of `distill`."""

from enum import StrEnum
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


class Feedback(StrEnum):
    """How the student's feedback to the teacher is weighted while both learn."""

    CONSTANT = "constant"
    RISING = "rising"  # from zero to full weight: an untrained student has little to teach


class DistillParams(Section):
    """Cross-distillation of teacher and student on the task."""

    epochs: Epochs = Field(description="Epochs of the student over train and the unlabelled text.")
    rows_limit: int = Field(
        ge=1, description="Maximum rows seen over all epochs, not counting teacher_rows; the schedule ends there."
    )
    teacher_rows: int = Field(ge=0, description="Rows at the start in which the teacher learns too; then it is frozen.")
    teacher_layers: int = Field(ge=0, description="Top encoder layers of the teacher that are updated.")
    teacher_drift: Share = Field(
        description="Maximum drop of the teacher's dev score; beyond it the joint phase is rolled back."
    )
    batch_size: BatchSize = Field(description="Rows per step.")
    learning_rate: LearningRate = Field(description="Peak AdamW learning rate of the student.")
    teacher_learning_rate: LearningRate = Field(
        description="AdamW learning rate of the teacher; at most learning_rate."
    )
    weight_decay: Share = Field(description="Decoupled weight decay.")
    warmup_share: Share = Field(
        description="Share of all steps for linear warm-up; then linear decay, but a constant rate while both learn."
    )
    max_tokens: MaxTokens = Field(description="Maximum tokens per row; longer rows are truncated.")
    temperature: float = Field(gt=0.0, le=100.0, description="Softmax temperature in the student's KL term.")
    teacher_temperature: float = Field(gt=0.0, le=100.0, description="Softmax temperature in the teacher's KL term.")
    task_weight: Weight = Field(description="Weight of the student's task loss; unlabelled rows contribute nothing.")
    logits_weight: Weight = Field(description="Weight of KL(teacher ‖ student) on softened probabilities.")
    hidden_weight: Weight = Field(description="Weight of MSE between projected student and teacher representations.")
    token_weight: Weight = Field(description="Weight of MSE on the mean of each word's tokens; 0: not computed.")
    teacher_task_weight: Weight = Field(description="Weight of the teacher's own task loss.")
    teacher_logits_weight: Weight = Field(description="Weight of KL(student ‖ teacher), the student's feedback.")
    teacher_hidden_weight: Weight = Field(description="Weight of the teacher's MSE towards the student.")
    teacher_feedback: Feedback = Field(
        strict=False, description="Whether the last two weights are constant, or rise from 0 over teacher_rows."
    )
    head_reuse: bool = Field(description="Initialise the student's task head with the teacher's.")
    unlabelled_limit: int = Field(ge=0, description="Maximum unlabelled texts used, sampled by seed.")
    unlabelled_confidence: Share = Field(
        description="Unlabelled texts and variants are dropped if the teacher's top probability is lower; with C "
        "classes that is at least 1/C, so values up to 1/C drop none. No effect on regression."
    )
    variants: int = Field(ge=0, description="Total variants generated from training rows and labelled by the teacher.")
    control: bool = Field(description="Also train the control: plain distillation of the same student.")
    precision: TrainingPrecision
    compilation: TrainingCompilation
    threads: Threads = Field(description="torch threads for student and control each; they train at the same time.")

    @model_validator(mode="after")
    def _teacher_follows(self) -> Self:
        if self.teacher_rows and self.teacher_learning_rate > self.learning_rate:
            raise ValueError(
                f"teacher_learning_rate {self.teacher_learning_rate:g} is above learning_rate {self.learning_rate:g}; "
                "the teacher's must not be higher: lower it, or set teacher_rows to 0"
            )
        return self
