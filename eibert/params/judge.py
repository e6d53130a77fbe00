"""Parameters of the judge, which is not a stage: the gates a challenger must pass to go into service."""

from pydantic import Field

from eibert.params.section import Section, Share


class JudgeParams(Section):
    """Bounds of the gates; docs/promotion.md describes each gate."""

    margin: Share = Field(
        description="Non-inferiority margin: how far a challenger's task metric may be below the champion's;"
        " for accuracy, 0 requires a significantly better challenger."
    )
    confidence: float = Field(
        gt=0.5, lt=1.0, description="Confidence level at which the loss must be within the margin."
    )
    bootstrap_samples: int = Field(
        ge=100, description="Resamples of the paired bootstrap against the champion, for metrics other than accuracy."
    )
    min_rows: int = Field(
        ge=1,
        description="Minimum test rows that count: rows neither model was trained on, with labels both know. For"
        " macro F1 and Matthews against a champion, at least as many as put identical answers within `margin`: 180 for"
        " 0.02 at 95 % confidence, 70 for 0.05.",
    )
    class_floor: Share = Field(description="Maximum drop of a class's recall below the champion's.")
    class_rows: int = Field(ge=1, description="Classes with fewer test rows are exempt from class_floor.")
    max_latency_ratio: float = Field(gt=0.0, description="Maximum latency relative to the champion's.")
    latency_rows: int = Field(ge=1, description="Test rows timed side by side.")
    warmup_rows: int = Field(ge=0, description="Warm-up rows that both models answer before timing starts.")
    min_agreement: Share = Field(
        description="Minimum share of test rows where the bundle and the unquantized student agree."
    )
    rival_tolerance: Share = Field(
        description="Maximum statistically significant lead of a cheaper rival over the bundle."
    )
