"""Plots as inline SVG, coloured by the page's style sheet so that they work in light and dark mode."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from eibert.evaluate.conclusion import BUNDLE
from tasks.labels import DOT_PX, Point, groups, placed

_CHAR_PX, _LINE_PX = 6.6, 14.0  # width and line height of a 12 px sans-serif
_LEFT_PX = 60  # room for ticks such as 0.975 beside the title of the axis
_MARKED = 40  # lines with at most this many points get markers


@dataclass(frozen=True)
class Frame:
    """The plotting area and the ranges of its axes.

    Attributes:
        width: Width of the drawing, px.
        height: Height of the drawing, px.
        x: Range of the x axis.
        y: Range of the y axis.
    """

    width: float
    height: float
    x: Point
    y: Point
    left: float = 52
    bottom: float = 38
    top: float = 12
    right: float = 14

    def place(self, x: float, y: float) -> Point:
        """Returns the position of a point in px."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        inner = (self.width - self.left - self.right, self.height - self.top - self.bottom)
        return self.left + across * inner[0], self.height - self.bottom - up * inner[1]


def _human_bytes(size: float) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} B"


def sizes(points: Mapping[str, Point], labels: Mapping[str, str], quality: str) -> Markup:
    """Plots quality against size, with bytes on a logarithmic axis.

    Args:
        points: Model → (bytes, score).
        labels: Model → its label.
        quality: Name of the score.
    """
    logs = [math.log10(size) for size, _ in points.values()]
    frame = Frame(
        480, 320, (min(logs) - 0.35, max(logs) + 0.35), _around([score for _, score in points.values()]), left=_LEFT_PX
    )
    places = {name: frame.place(math.log10(size), score) for name, (size, score) in points.items()}
    powers = range(math.ceil(frame.x[0]), math.floor(frame.x[1]) + 1)
    marks = [_axes(frame, [(power, _human_bytes(10**power)) for power in powers], "size (log scale)", quality)]
    marks += _labelled(frame, places, labels)
    told = "; ".join(f"{labels[name]}: {_human_bytes(size)}, {score:.4f}" for name, (size, score) in points.items())
    return _svg(frame, f"Size vs. {quality}. {told}", marks)


def _labelled(frame: Frame, places: Mapping[str, Point], labels: Mapping[str, str]) -> list[Markup]:
    """Returns a dot and a label per name; names whose dots coincide share a label of several lines."""
    shared = groups(places)
    dots = [[places[name] for name in group] for group in shared]
    sizes = [(max(len(labels[name]) for name in group) * _CHAR_PX, len(group) * _LINE_PX) for group in shared]
    area = (frame.left + 2, frame.top, frame.width - 2, frame.height - frame.bottom - 2)
    found = placed(dots, sizes, area)
    marks = [_line("pointer", *label.pointer) for label in found if label.pointer]
    uppermost = sorted(places, key=lambda name: name == BUNDLE)  # no other dot hides the bundle's
    marks += [_circle(f"dot {name}", places[name], DOT_PX) for name in uppermost]
    form = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    for group, label in zip(shared, found, strict=True):
        for line, name in enumerate(group, 1):
            marks.append(form.format(label.x, label.box[1] + line * _LINE_PX - 3.5, label.anchor, labels[name]))
    return marks


def lines(series: Mapping[str, Sequence[Point]], across: str, title: str) -> Markup:
    """Returns a small panel with one line per series: the first solid, the second dashed, the others dotted."""
    every = [point for points in series.values() for point in points]
    xs, ys = [x for x, _ in every], [y for _, y in every]
    frame = Frame(300, 190, (min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1), _around(ys))
    ticks = [(x, f"{x:g}") for x in dict.fromkeys((frame.x[0], frame.x[1]))]
    marks = [_axes(frame, ticks, across, "")]
    for index, points in enumerate(series.values()):
        places = [frame.place(*point) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        marks.append(Markup('<polyline class="line{}" points="{}"/>').format(min(index, 2), path))
        if len(places) <= _MARKED:
            marks += [_circle(f"mark{min(index, 2)}", at, 3) for at in places]
    told = "; ".join(f"{name}: from {points[0][1]:.4g} to {points[-1][1]:.4g}" for name, points in series.items())
    return _svg(frame, f"{title}. {told}", marks)


def latencies(series: Mapping[str, Sequence[Point]], labels: Mapping[str, str]) -> Markup:
    """Plots latency against length on logarithmic axes, with one line per model, labelled at its end.

    Args:
        series: Model → points (tokens, ms) in order of increasing tokens.
        labels: Model → its label.
    """
    logs = {name: [(math.log10(x), math.log10(y)) for x, y in points] for name, points in series.items()}
    every = [point for points in logs.values() for point in points]
    xs, ys = [x for x, _ in every], [y for _, y in every]
    span = (math.floor(min(ys)), math.ceil(max(ys)))
    frame = Frame(620, 340, (min(xs), max(max(xs), min(xs) + 0.1)), (span[0], max(span[1], span[0] + 1)), right=190)
    ticks = [(x, f"{10**x:.0f}") for x in sorted(set(xs))]
    powers = [(float(power), f"{10.0**power:g}") for power in range(int(frame.y[0]), int(frame.y[1]) + 1)]
    marks = [_axes(frame, ticks, "tokens (log scale)", "ms (log scale)", powers)]
    taken: list[float] = []
    for name, points in sorted(logs.items(), key=lambda item: item[1][-1][1]):
        places = [frame.place(*point) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        marks.append(Markup('<polyline class="model {}" points="{}"/>').format(name, path))
        marks += [_circle(f"dot {name}", at, 3.5) for at in places]
        x, y = places[-1]
        y = min([y + 4, *(other - _LINE_PX for other in taken)])  # stacked upwards: no label covers the previous one
        taken.append(y)
        marks.append(Markup('<text x="{:.1f}" y="{:.1f}">{}</text>').format(x + 9, y, labels[name]))
    told = "; ".join(f"{labels[name]}: {points[0][1]:.3g} to {points[-1][1]:.3g} ms" for name, points in series.items())
    return _svg(frame, f"Latency against length. {told}", marks)


def scatter(targets: Sequence[float], answers: Sequence[float]) -> Markup:
    """Plots predictions against targets, with the identity line."""
    span = _around([*targets, *answers])
    frame = Frame(480, 420, span, span)
    ticks = [(value, f"{value:g}") for value in _ticks(*span)]
    diagonal = _line("line1", frame.place(span[0], span[0]), frame.place(span[1], span[1]))
    marks = [_axes(frame, ticks, "target", "prediction"), diagonal]
    marks += [_circle("cloud", frame.place(*point), 3) for point in zip(targets, answers, strict=True)]
    return _svg(frame, f"Predictions against targets for {len(targets)} rows", marks)


def _axes(
    frame: Frame,
    x_ticks: Sequence[tuple[float, str]],
    x_title: str,
    y_title: str,
    y_ticks: Sequence[tuple[float, str]] | None = None,
) -> Markup:
    left, right, floor = frame.left, frame.width - frame.right, frame.height - frame.bottom
    marks = [_line("axis", (left, floor), (right, floor))]
    for value, text in y_ticks or [(value, f"{value:g}") for value in _ticks(*frame.y)]:
        y = frame.place(frame.x[0], value)[1]
        marks += [_line("grid", (left, y), (right, y)), _text("end", (left - 6, y + 4), text)]
    marks += [_text("middle", (frame.place(x, frame.y[0])[0], floor + 15), text) for x, text in x_ticks]
    marks.append(_text("middle", ((left + right) / 2, floor + 31), x_title))
    marks.append(_text("middle", (12, floor / 2), y_title, f"rotate(-90 12 {floor / 2:.1f})"))
    return Markup("").join(marks)


def _line(kind: str, start: Point, end: Point) -> Markup:
    form = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
    return form.format(kind, *start, *end)


def _circle(kind: str, at: Point, radius: float) -> Markup:
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:g}"/>').format(kind, *at, radius)


def _text(anchor: str, at: Point, text: str, transform: str = "") -> Markup:
    form = Markup('<text class="tick" text-anchor="{}" x="{:.1f}" y="{:.1f}" transform="{}">{}</text>')
    return form.format(anchor, *at, transform, text)


def _svg(frame: Frame, told: str, marks: Sequence[Markup]) -> Markup:
    opening = Markup('<svg viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">').format(frame.width, frame.height, told)
    return opening + Markup("").join(marks) + Markup("</svg>")


def _around(values: Sequence[float]) -> Point:
    """Returns a range slightly wider than the values."""
    low, high = min(values), max(values)
    margin = 0.12 * (high - low) or max(abs(high), 1.0) * 0.05
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Returns the multiples of a round step within a range, at most five."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(index * step, 12) for index in range(first, last + 1)]
