"""Parameters of `validate`."""

from enum import StrEnum

from pydantic import Field

from eibert.params.section import Section, Share


class Severity(StrEnum):
    """What a failed expectation does."""

    FAIL = "fail"  # stops the pipeline
    WARN = "warn"  # is reported


class ValidateParams(Section):
    """Bounds of the data gate."""

    min_rows: int = Field(ge=1, description="Fewest training rows.")
    min_class_rows: int = Field(ge=1, description="Fewest training rows of a class.")
    max_chars: int = Field(ge=1, description="Longest text, in characters.")
    max_duplicate_share: Share = Field(description="Largest share of training rows that repeat an earlier one.")
    max_contradictory_share: Share = Field(description="Largest share of training rows whose inputs carry two labels.")
    max_leak_share: Share = Field(
        description="Largest share of dev or test rows whose inputs stand in an earlier split."
    )
    max_class_ratio: float = Field(ge=1.0, description="Largest ratio between the commonest and the rarest class.")
    max_unclean_share: Share = Field(description="Largest share of rows with control or replacement characters.")
    max_wordless_share: Share = Field(description="Largest share of rows with a text of neither letter nor digit.")
    duplicates: Severity = Field(strict=False, description="Severity of duplicates.")
    contradictions: Severity = Field(strict=False, description="Severity of contradictory labels.")
    leakage: Severity = Field(strict=False, description="Severity of leakage between train, dev and test.")
    balance: Severity = Field(strict=False, description="Severity of class imbalance.")
    lengths: Severity = Field(strict=False, description="Severity of texts that are too long.")
    unclean: Severity = Field(strict=False, description="Severity of control or replacement characters.")
    wordless: Severity = Field(strict=False, description="Severity of texts without letter or digit.")
    target_range: Severity = Field(
        strict=False, description="Severity of dev or test numbers outside the range of train."
    )
