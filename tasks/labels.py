"""Finds places for the labels of a plot: each beside its own dot, with a line to it where that alone is not clear."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, px."""

DOT_PX = 6.0
"""Radius of a dot."""
_SAME_PX = 5.0
"""Dots no further apart than this look like one, and share a label."""
_BESIDE_PX, _ABOVE_PX = 10.0, 6.0
"""From the middle of a dot to a label beside it; to one above or below and beside it."""
_REACHES = (0.0, 14.0, 28.0, 42.0, 56.0)
_CLEAR_PX = 4.0
"""A label belongs to the nearest dot by at least this much, or gets a line."""
_FAR_PX = 14.0
_ROUNDS = 3
_OUTSIDE, _OVERLAP, _UNCLEAR, _AWAY = 100.0, 10.0, 80.0, 2.0
"""Costs: per px outside, per px² of overlap, per other dot as near, per px from its dot."""


@dataclass(frozen=True)
class Label:
    """A label's place.

    Attributes:
        box: The space for its lines.
        anchor: Which end of a line is fixed, as in SVG: `start`, `middle` or `end`.
        pointer: Both ends of the line to its dot; None: it is clear without one.
    """

    box: Box
    anchor: str
    pointer: tuple[Point, Point] | None = None

    @property
    def x(self) -> float:
        """Where its lines are fixed, px."""
        left, _, right, _ = self.box
        return {"start": left, "middle": (left + right) / 2, "end": right}[self.anchor]


def groups(places: Mapping[str, Point]) -> list[list[str]]:
    """Returns the names in groups whose dots look like one, upper dots first within each."""
    found: list[list[str]] = []
    for name, at in places.items():
        mine = next((group for group in found if math.dist(places[group[0]], at) <= _SAME_PX), None)
        if mine is None:
            found.append([name])
        else:
            mine.append(name)
    return [sorted(group, key=lambda name: places[name][1]) for group in found]


def placed(dots: Sequence[Sequence[Point]], sizes: Sequence[Point], area: Box) -> list[Label]:
    """Returns the place of each label; overlaps and the edges are avoided first, then other dots, then distance.

    Args:
        dots: The dots of each label, px.
        sizes: Width and height of each label, px.
        area: Where labels may be.
    """
    others = [[dot for group in dots if group is not own for dot in group] for own in dots]
    found: list[Label] = []
    for _ in range(_ROUNDS):  # a later label may free the space that an earlier one would have had
        for index, size in enumerate(sizes):
            taken = [label.box for at, label in enumerate(found) if at != index]
            found[index : index + 1] = [_best(dots[index], size, others[index], taken, area)]
    return [_pointed(*each) for each in zip(found, dots, others, strict=True)]


def _best(own: Sequence[Point], size: Point, others: Sequence[Point], taken: Sequence[Box], area: Box) -> Label:
    return min(_around(own, size), key=lambda label: _cost(label.box, own, others, taken, area))


def _around(dots: Sequence[Point], size: Point) -> Iterator[Label]:
    """Yields the possible places, the nearest first."""
    width, height = size
    x = sum(dot[0] for dot in dots) / len(dots)
    y = sum(dot[1] for dot in dots) / len(dots)
    for reach in _REACHES:
        right, left = x + _BESIDE_PX, x - _BESIDE_PX - width
        above, below = y - _ABOVE_PX - reach - height, y + _ABOVE_PX + reach
        for anchor, at in (
            ("start", (right + reach, y - height / 2)), ("end", (left - reach, y - height / 2)),
            ("middle", (x - width / 2, above - 4)), ("middle", (x - width / 2, below + 4)),
            ("start", (right, above)), ("end", (left, above)), ("start", (right, below)), ("end", (left, below)),
        ):  # fmt: skip
            yield Label((at[0], at[1], at[0] + width, at[1] + height), anchor)


def _cost(box: Box, own: Sequence[Point], others: Sequence[Point], taken: Sequence[Box], area: Box) -> float:
    outside = max(0, area[0] - box[0]) + max(0, box[2] - area[2])
    outside += max(0, area[1] - box[1]) + max(0, box[3] - area[3])
    dots = [(x - DOT_PX - 1, y - DOT_PX - 1, x + DOT_PX + 1, y + DOT_PX + 1) for x, y in (*own, *others)]
    covered = sum(_overlap(box, each) for each in (*taken, *dots))
    away = _gap(own, box)
    unclear = sum(_gap([dot], box) < away + _CLEAR_PX for dot in others)
    return _OUTSIDE * outside + _OVERLAP * covered + _UNCLEAR * unclear + _AWAY * away


def _pointed(label: Label, own: Sequence[Point], others: Sequence[Point]) -> Label:
    """Returns a label with a line to its dot if it is far from it, or another dot is as near."""
    away = _gap(own, label.box)
    if away <= _FAR_PX and all(_gap([dot], label.box) >= away + _CLEAR_PX for dot in others):
        return label
    dot = min(own, key=lambda dot: _gap([dot], label.box))
    end = _nearest(dot, label.box)
    share = min(1.0, DOT_PX / max(math.dist(dot, end), DOT_PX))
    start = (dot[0] + share * (end[0] - dot[0]), dot[1] + share * (end[1] - dot[1]))
    return Label(label.box, label.anchor, (start, end))


def _gap(dots: Sequence[Point], box: Box) -> float:
    """Returns the distance from the nearest dot's middle to a box."""
    return min(math.dist(dot, _nearest(dot, box)) for dot in dots)


def _nearest(dot: Point, box: Box) -> Point:
    return min(max(dot[0], box[0]), box[2]), min(max(dot[1], box[1]), box[3])


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across * down if across > 0 and down > 0 else 0.0
