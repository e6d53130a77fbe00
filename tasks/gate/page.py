"""Renders the gate's findings as a self-contained HTML page without scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eibert.corpus import TaskSpec
from eibert.validate import class_counts, histogram, lengths
from tasks.gate.findings import Finding, clipped
from tasks.gate.rows import LABELLED, listed, text_columns

_TEMPLATE = "page.html.j2"
_BINS = 24
_OPEN_CLASSES = 30  # longer class tables start collapsed


@dataclass(frozen=True)
class Histogram:
    """Counts of one split, in bins shared by all splits.

    Attributes:
        split: Name of the split.
        counts: Values per bin; the last bin is open-ended.
        heights: The counts as fractions of the split's fullest bin.
        titles: Description of each bin, for people.
        median: Median of the values, for people.
    """

    split: str
    counts: list[int]
    heights: list[float]
    titles: list[str]
    median: str


def render(findings: Sequence[Finding], frames: Mapping[str, pd.DataFrame], spec: TaskSpec) -> str:
    """Returns the page; it is a pure function of its arguments."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text_lengths = {name: _lengths(frame) for name, frame in frames.items() if text_columns(frame)}
    labels = {name: frame for name, frame in frames.items() if name in LABELLED and "label" in frame}
    return environment.get_template(_TEMPLATE).render(
        name=spec.name,
        findings=sorted(findings, key=lambda finding: (not finding.stops, not finding.warns)),
        failed=sum(finding.stops for finding in findings),
        warned=sum(finding.warns for finding in findings),
        rows={name: len(frame) for name, frame in frames.items()},
        classes=[] if spec.regression else _classes(labels, spec),
        class_splits=list(labels),
        classes_open=len(spec.labels) <= _OPEN_CLASSES,
        lengths=_histograms(text_lengths, "characters", start=0.0),
        targets=_histograms({name: _targets(frame) for name, frame in labels.items()}, "") if spec.regression else [],
    )


def _classes(frames: Mapping[str, pd.DataFrame], spec: TaskSpec) -> list[dict[str, Any]]:
    counts = {name: class_counts(listed(frame, "label"), spec.labels) for name, frame in frames.items()}
    most = {name: max(rows.values()) or 1 for name, rows in counts.items()}
    return [
        {
            "label": clipped(label),
            "bars": [{"rows": counts[name][label], "width": counts[name][label] / most[name]} for name in counts],
        }
        for label in spec.labels
    ]


def _histograms(
    values: Mapping[str, np.ndarray[Any, Any]], unit: str, *, start: float | None = None
) -> list[Histogram]:
    """Returns a histogram per non-empty split; the last bin holds everything from the 99th percentile up."""
    filled = {name: found for name, found in values.items() if len(found)}
    if not filled:
        return []
    together = np.concatenate(list(filled.values()))
    low = float(together.min()) if start is None else start
    high = max(float(np.quantile(together, 0.99)), low + 1e-9)
    edges = [float(edge) for edge in np.linspace(low, high, _BINS)]  # plus one open-ended bin
    titles = [f"{a:.3g} to {b:.3g} {unit}" for a, b in pairwise(edges)]
    titles.append(f"{edges[-1]:.3g} {unit} or more")
    found = []
    for name, split_values in filled.items():
        counts = histogram(split_values, [*edges, float("inf")])
        heights = [count / max(1, *counts) for count in counts]
        found.append(Histogram(name, counts, heights, titles, f"{np.median(split_values):.4g}"))
    return found


def _lengths(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    return np.concatenate([lengths(listed(frame, column)) for column in text_columns(frame)])


def _targets(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    targets = pd.to_numeric(frame["label"], errors="coerce").to_numpy(np.float64)
    finite: np.ndarray[Any, Any] = targets[np.isfinite(targets)]
    return finite
