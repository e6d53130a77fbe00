"""Parameters of `validate`."""

from enum import StrEnum

from pydantic import Field

from eibert.params.section import Section, Share


class Severity(StrEnum):
    """What a failed expectation triggers."""

    FAIL = "fail"  # stops the pipeline
    WARN = "warn"  # is reported


class ValidateParams(Section):
    """Bounds of the data gate."""

    min_rows: int = Field(ge=1, description="Minimum training rows that are in neither dev nor test.")
    min_class_rows: int = Field(ge=1, description="The same per class.")
    max_chars: int = Field(ge=1, description="Maximum text length in characters.")
    max_duplicate_share: Share = Field(description="Maximum share of training rows that repeat an earlier one.")
    max_contradictory_share: Share = Field(
        description="Maximum share of training rows whose input has conflicting labels."
    )
    max_leak_share: Share = Field(
        description="Maximum share of dev or test rows whose input occurs in an earlier split."
    )
    max_class_ratio: float = Field(ge=1.0, description="Maximum size ratio of the most frequent to the rarest class.")
    max_unclean_share: Share = Field(description="Maximum share of rows with control or replacement characters.")
    max_wordless_share: Share = Field(description="Maximum share of rows with a text without letters or digits.")
    duplicates: Severity = Field(strict=False, description="Severity of duplicates.")
    contradictions: Severity = Field(strict=False, description="Severity of conflicting labels.")
    leakage: Severity = Field(strict=False, description="Severity of leakage between train, dev and test.")
    balance: Severity = Field(strict=False, description="Severity of class imbalance.")
    lengths: Severity = Field(strict=False, description="Severity of overlong texts.")
    unclean: Severity = Field(strict=False, description="Severity of control or replacement characters.")
    wordless: Severity = Field(strict=False, description="Severity of texts without letters or digits.")
    target_range: Severity = Field(
        strict=False, description="Severity of dev or test targets outside the range of train."
    )
