"""Parameters of `distill`."""

from enum import StrEnum
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


class Feedback(StrEnum):
    """How the student's feedback to the teacher is weighed while both learn."""

    CONSTANT = "constant"
    RISING = "rising"  # from nothing to its whole weight: a student that knows little says little


class DistillParams(Section):
    """Cross-distillation of teacher and student on the task."""

    epochs: Epochs = Field(description="Passes of the student over train and the unlabelled text.")
    rows_limit: int = Field(
        ge=1, description="Most rows seen over all epochs, teacher_rows not among them; the schedule ends there."
    )
    teacher_rows: int = Field(ge=0, description="First rows, in which the teacher learns too; then it is frozen.")
    teacher_layers: int = Field(ge=0, description="Upper encoder layers of the teacher that are updated.")
    teacher_drift: Share = Field(
        description="Most the teacher's dev score may fall; else what both learnt together is undone."
    )
    batch_size: BatchSize = Field(description="Rows per step.")
    learning_rate: LearningRate = Field(description="Peak rate of AdamW for the student.")
    teacher_learning_rate: LearningRate = Field(description="Rate of AdamW for the teacher; at most learning_rate.")
    weight_decay: Share = Field(description="Decoupled weight decay.")
    warmup_share: Share = Field(
        description="Share of all steps over which the rate rises; then it falls linearly, but stays while both learn."
    )
    max_tokens: MaxTokens = Field(description="Tokens per row; longer ones are cut.")
    temperature: float = Field(gt=0.0, le=100.0, description="Temperature of the classes softened for the student.")
    teacher_temperature: float = Field(
        gt=0.0, le=100.0, description="Temperature of the classes softened for the teacher."
    )
    task_weight: Weight = Field(description="Weight of the student's task loss; rows without a label add nothing.")
    logits_weight: Weight = Field(description="Weight of KL(teacher ‖ student) on softened classes.")
    hidden_weight: Weight = Field(description="Weight of MSE of projected student against teacher representations.")
    token_weight: Weight = Field(description="Weight of MSE on the mean of each word's tokens; 0: not read.")
    teacher_task_weight: Weight = Field(description="Weight of the teacher's own task loss.")
    teacher_logits_weight: Weight = Field(description="Weight of KL(student ‖ teacher), the student's feedback.")
    teacher_hidden_weight: Weight = Field(description="Weight of the teacher's MSE towards the student.")
    teacher_feedback: Feedback = Field(
        strict=False, description="Whether the last two weights are constant, or rise from 0 over teacher_rows."
    )
    head_reuse: bool = Field(description="Put the teacher's task head into the student.")
    unlabelled_limit: int = Field(ge=0, description="Most unlabelled texts used, drawn by seed.")
    unlabelled_confidence: Share = Field(
        description="Unlabelled texts and variants with a less certain teacher are left out; of C classes the "
        "likeliest has 1/C at least, so values up to that leave out none. Without effect on numbers."
    )
    variants: int = Field(ge=0, description="Variants made of training rows, in all, answered by the teacher.")
    control: bool = Field(description="Also train the control: plain distillation of the same student.")
    precision: Precision = Field(strict=False, description="Arithmetic of training.")
    compilation: Compilation = Field(strict=False, description="Whether training runs through torch.compile.")
    threads: Threads = Field(description="Threads of torch for student and control each; they learn at the same time.")

    @model_validator(mode="after")
    def _teacher_follows(self) -> Self:
        if self.teacher_rows and self.teacher_learning_rate > self.learning_rate:
            raise ValueError(
                f"teacher_learning_rate {self.teacher_learning_rate:g} is above learning_rate {self.learning_rate:g}; "
                "the teacher has the smaller rate: lower it, or set teacher_rows to 0"
            )
        return self
