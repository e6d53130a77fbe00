"""What two sides differ in, side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.sides import Side, Values, side

PARTS = ("data", "params", "code", "libraries", "metrics", "bytes")
_NAME_COLUMNS, _VALUE_COLUMNS, _CHANGE_COLUMNS = 43, 21, 10


@dataclass(frozen=True)
class Difference:
    """One value that differs; None: not there."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Comparison:
    """Two sides.

    Attributes:
        before: The first.
        after: The second.
        parts: Part → what differs in it; None where one side is not known.
    """

    before: Side
    after: Side
    parts: dict[str, list[Difference] | None]

    def as_object(self) -> dict[str, Any]:
        """Returns the comparison as JSON values."""
        parts = {part: None if found is None else [vars(one) for one in found] for part, found in self.parts.items()}
        return {"before": self.before.name, "after": self.after.name, **parts}

    def lines(self) -> Iterator[str]:
        """Yields a table of at most 100 columns."""
        yield _line("", self.before.name, self.after.name)
        for part, found in self.parts.items():
            if found is None:
                yield f"{part}: not known of {' and '.join(self._silent(part))}"
            elif not found:
                yield f"{part}: equal"
            else:
                yield f"{part}:"
                yield from (
                    _line(f"  {one.name}", _shown(one.before), _shown(one.after), _change(one)) for one in found
                )

    def _silent(self, part: str) -> list[str]:
        return [one.name for one in (self.before, self.after) if getattr(one, part) is None]


def diff(before: str, after: str, folder: Path) -> Comparison:
    """Returns the comparison of two commits, runs, bundles or workspaces.

    Raises:
        RunError: there is no such thing.
        BundleError: a bundle is altered.
    """
    one, other = side(before, folder), side(after, folder)
    return Comparison(one, other, {part: _differences(getattr(one, part), getattr(other, part)) for part in PARTS})


def _differences(before: Values | None, after: Values | None) -> list[Difference] | None:
    if before is None or after is None:
        return None
    names = [*before, *(name for name in after if name not in before)]
    pairs = [Difference(name, before.get(name), after.get(name)) for name in names]
    return [one for one in pairs if str(one.before) != str(one.after) or (one.name in before) != (one.name in after)]


def _line(name: str, before: str, after: str, change: str = "") -> str:
    columns = ((name, _NAME_COLUMNS), (before, _VALUE_COLUMNS), (after, _VALUE_COLUMNS), (change, _CHANGE_COLUMNS))
    return " ".join(_fitted(text, width) for text, width in columns).rstrip()


def _fitted(text: str, columns: int) -> str:
    return f"{text if len(text) <= columns else f'{text[: columns - 1]}…':<{columns}}"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return str(value).lower()
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.6g}"
        case _:
            return str(value)


def _change(one: Difference) -> str:
    numbers = [value for value in (one.before, one.after) if isinstance(value, int | float)]
    if len(numbers) < 2 or any(isinstance(value, bool) for value in numbers):
        return ""
    found = numbers[1] - numbers[0]
    return f"{found:+,}" if isinstance(found, int) else f"{found:+.4g}"
