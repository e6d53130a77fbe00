"""Parameters of the judge, which is no stage: the gates between a challenger and service."""

from pydantic import Field

from eibert.params.section import Section, Share


class JudgeParams(Section):
    """Bounds of the gates; docs/promotion.md says what each of them asks."""

    margin: Share = Field(
        description="Non-inferiority margin: most that a challenger's task metric may be below the champion's;"
        " of accuracy, 0 asks for a challenger that is better beyond chance."
    )
    confidence: float = Field(gt=0.5, lt=1.0, description="Confidence with which the loss is within the margin.")
    bootstrap_samples: int = Field(
        ge=100, description="Resamples of the paired bootstrap against the champion, for metrics other than accuracy."
    )
    min_rows: int = Field(
        ge=1,
        description="Fewest test rows that count: neither model has learnt from them, and both know their labels. For"
        " macro F1 and Matthews against a champion never fewer than show equal answers to be within `margin`: 180 for"
        " 0.02 with 95 % confidence, 70 for 0.05.",
    )
    class_floor: Share = Field(description="Largest fall of a class's recall below the champion's.")
    class_rows: int = Field(ge=1, description="Classes of fewer test rows are not held against class_floor.")
    max_latency_ratio: float = Field(gt=0.0, description="Largest latency relative to the champion's.")
    latency_rows: int = Field(ge=1, description="Test rows timed side by side.")
    warmup_rows: int = Field(ge=0, description="Rows that both models answer before timing starts.")
    min_agreement: Share = Field(
        description="Fewest test rows on which the bundle and the student before quantization agree."
    )
    rival_tolerance: Share = Field(
        description="Largest lead over the bundle that a cheaper rival may have beyond chance."
    )
