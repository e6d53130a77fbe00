"""Renders the history of a model, its versions and retrainings, as a self-contained HTML page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eibert import __version__
from tasks import labels, plots

_SHOWN = 200
_DISTANCES = ("labels", "lengths", "vocabulary", "embedding", "agreement")


@dataclass(frozen=True)
class Point:
    """One version of a model; unknown figures are None.

    Attributes:
        number: Version number, from 1.
        created: Date and time, UTC.
        in_service: Whether it is the champion.
        score: Test score in its own evaluation.
        size_bytes: Size of the bundle.
        digest: SHA-256 of the bundle.
    """

    number: int
    created: str
    in_service: bool
    score: float | None
    size_bytes: int | None
    digest: str


def render(
    name: str, folder: str, metric: str, versions: Sequence[Point], retrainings: Sequence[Mapping[str, Any]]
) -> str:
    """Returns the page.

    Args:
        name: Name of the workspace.
        folder: Its folder, as a command in the repository's root names it.
        metric: Name of the score.
        versions: Oldest first.
        retrainings: `flows.history.Retraining` as JSON values, oldest first.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"digits": _digits, "grouped": _grouped}
    counts = {
        kind: sum(one["outcome"] == kind for one in retrainings)
        for kind in ("promoted", "kept", "unchanged", "stopped", "failed")
    }
    return environment.get_template("history.html.j2").render(
        name=name, folder=folder, metric=metric, version=__version__, versions=list(reversed(versions)), counts=counts,
        champion=next((one for one in versions if one.in_service), None), panels=_panels(metric, versions),
        drift=_drift(retrainings), retrainings=list(reversed(retrainings[-_SHOWN:])), total=len(retrainings),
        drifted=sum(bool(one["drifted"]) for one in retrainings),
    )  # fmt: skip


def _panels(metric: str, versions: Sequence[Point]) -> list[dict[str, Any]]:
    figures = {
        f"test {metric}": [(one.number, one.score) for one in versions],
        "bundle, kB": [(one.number, None if one.size_bytes is None else one.size_bytes / 1000) for one in versions],
    }
    return [panel for name, points in figures.items() if (panel := _panel(name, points, "version"))]


def _drift(retrainings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One panel per distance over the retrainings that measured it; the second line is its bound."""
    looked = [one["drift"]["shifts"] for one in retrainings if one["drift"]]
    found = []
    for name in _DISTANCES:
        shifts = [(index, shift) for index, listed in enumerate(looked, 1) for shift in listed if shift["name"] == name]
        values = [(index, shift["value"]) for index, shift in shifts]
        bounds = [(float(index), float(shift["bound"])) for index, shift in shifts]
        found.append(_panel(name, values, "retraining", bounds))
    return [panel for panel in found if panel]


def _panel(
    name: str, points: Sequence[tuple[int, float | None]], across: str, bound: Sequence[labels.Point] = ()
) -> dict[str, Any] | None:
    known = [(float(at), float(value)) for at, value in points if value is not None]
    if len(known) < 2:  # nothing to plot
        return None
    series: dict[str, Sequence[labels.Point]] = {name: known} | ({"bound": bound} if bound else {})
    drawn: Markup = plots.lines(series, across, name)
    return {"name": name, "plot": drawn}


def _digits(value: object, form: str = ".4f") -> str:
    return format(value, form) if isinstance(value, int | float) else "–"


def _grouped(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"
