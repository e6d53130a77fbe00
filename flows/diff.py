"""The differences between two sides, side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.sides import Side, side
from flows.views import ALTERNATIVES, Values, Views

PARTS = ("data", "params", "code", "libraries", "metrics", "bytes")
_NAME_COLUMNS, _VALUE_COLUMNS, _CHANGE_COLUMNS = 43, 21, 10


@dataclass(frozen=True)
class Difference:
    """One value that differs; None: absent."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Comparison:
    """A comparison of two sides.

    Attributes:
        before: The first side.
        after: The second.
        parts: Part → its differences; None if nothing in it can be compared.
        not_compared: Part → why it, or some of it, is not compared.
    """

    before: Side
    after: Side
    parts: dict[str, list[Difference] | None]
    not_compared: dict[str, list[str]]

    def as_object(self) -> dict[str, Any]:
        """Returns the comparison as JSON values."""
        parts = {part: None if found is None else [vars(one) for one in found] for part, found in self.parts.items()}
        return {"before": self.before.name, "after": self.after.name, **parts, "not_compared": self.not_compared}

    def lines(self) -> Iterator[str]:
        """Yields a table of at most 100 columns; the sides' names may exceed that."""
        yield _line("", self.before.name, self.after.name)
        for part, found in self.parts.items():
            if found is None:
                yield f"{part}: {'; '.join(self.not_compared[part])}"
                continue
            yield f"{part}:{'' if found else ' equal'}"
            yield from (_line(f"  {one.name}", _shown(one.before), _shown(one.after), _change(one)) for one in found)
            yield from (f"  {line}" for line in self.not_compared.get(part, []))


def diff(before: str, after: str, folder: Path) -> Comparison:
    """Compares two commits, runs, bundles or workspaces.

    Raises:
        RunError: a side does not exist.
        BundleError: a bundle is altered.
        TrailError, SignatureError: the trail that might know a side is altered.
    """
    return compared(side(before, folder), side(after, folder))


def compared(one: Side, other: Side) -> Comparison:
    """Compares two sides."""
    parts: dict[str, list[Difference] | None] = {}
    not_compared: dict[str, list[str]] = {}
    for part in PARTS:
        mine, its = getattr(one, part), getattr(other, part)
        kinds = _common(part, mine, its)
        parts[part] = [line for kind in kinds for line in _differences(mine[kind], its[kind])] if kinds else None
        if lines := list(_left_out(part, one, other)):
            not_compared[part] = lines
    return Comparison(one, other, parts, not_compared)


def _common(part: str, mine: Views, its: Views) -> list[str]:
    """The kinds of views to compare: all that both sides have, but only the best of several alternatives."""
    among = ALTERNATIVES.get(part, ())
    both = [kind for kind in mine if kind in its]
    best = next((kind for kind in among if kind in both), None)
    return [kind for kind in both if kind == best or kind not in among]


def _left_out(part: str, one: Side, other: Side) -> Iterator[str]:
    """Yields what is left out of a part's comparison, and why."""
    if silent := [side.name for side in (one, other) if not getattr(side, part)]:
        yield f"unknown for {' and '.join(silent)}"
        return
    among = ALTERNATIVES.get(part, ())
    mine, its = getattr(one, part), getattr(other, part)
    for views, others, name in ((mine, its, one.name), (its, mine, other.name)):
        if missing := [kind for kind in others if kind not in views and kind not in among]:
            yield f"{', '.join(missing)}: unknown for {name}"
    if among and not any(kind in mine and kind in its for kind in among):
        told = [next((kind for kind in among if kind in views), "nothing") for views in (mine, its)]
        yield f"not comparable: {told[0]} of {one.name}, {told[1]} of {other.name}"


def _differences(before: Values, after: Values) -> list[Difference]:
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
