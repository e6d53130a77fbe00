"""Results of the gate's rules, in a form for people and for programs."""

from dataclasses import asdict, dataclass
from typing import Any

from eibert.params.validate import Severity

_SHOWN_CHARS = 160


@dataclass(frozen=True)
class Example:
    """One unexpected row.

    Attributes:
        split: Its split.
        row: Its 1-based number; None if the problem is that there is no such row.
        text: Its content, with invisible characters made visible.
        twin: The other row of a problem that involves two, as `split row n`.
    """

    split: str
    row: int | None
    text: str
    twin: str | None = None

    def __str__(self) -> str:
        place = self.split if self.row is None else f"{self.split} row {self.row}"
        return f"{place}: {self.text}" + (f" — see {self.twin}" if self.twin else "")


@dataclass(frozen=True)
class Finding:
    """The outcome of one rule.

    Attributes:
        name: Stable name of the rule, unique within a split.
        split: The split it applies to.
        meaning: What is expected, as a sentence.
        severity: Whether a failure stops the pipeline or only warns.
        passed: Whether the expectation holds.
        observed: What was found, for people; the raw values are in `gx`.
        bound: What is allowed, for people.
        unexpected_rows: Number of rows that violate the expectation; they may still be within the bound.
        example: One of them.
        keys: Keys of `validate` in params.yaml that change bound or severity.
        gx: The result of Great Expectations without identifiers and timestamps.
    """

    name: str
    split: str
    meaning: str
    severity: Severity
    passed: bool
    observed: str
    bound: str
    unexpected_rows: int
    example: Example | None
    keys: tuple[str, ...]
    gx: dict[str, Any]

    @property
    def stops(self) -> bool:
        """Whether the pipeline must stop."""
        return not self.passed and self.severity is Severity.FAIL

    @property
    def warns(self) -> bool:
        """Whether to warn without stopping."""
        return not self.passed and self.severity is Severity.WARN

    def __str__(self) -> str:
        rows = f", {self.unexpected_rows} row{'' if self.unexpected_rows == 1 else 's'}" if self.unexpected_rows else ""
        example = f", e.g. {self.example}" if self.example else ""
        return f"{self.name} ({self.split}): {self.observed} vs {self.bound}{rows}{example}"

    def to_json(self) -> dict[str, Any]:
        """Returns the finding as JSON values."""
        return asdict(self)


def clipped(text: str, around: int = 0) -> str:
    """Returns an excerpt of a text around a position, with invisible characters escaped."""
    start = max(0, min(around - _SHOWN_CHARS // 2, len(text) - _SHOWN_CHARS))
    part = text[start : start + _SHOWN_CHARS]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in part)
    return ("…" if start else "") + shown + ("…" if start + _SHOWN_CHARS < len(text) else "")


def quoted(text: str, around: int = 0) -> str:
    """Returns an excerpt of a text as by `clipped`, in quotes."""
    return f"“{clipped(text, around)}”"
