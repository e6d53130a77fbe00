"""The description of a data set: the content of the artifact's dataset.json."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from eibert.corpus import SplitName
from eibert.ingest.labelled import Labelled
from eibert.ingest.rows import Row

_METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro_f1",
    "f1": "macro_f1",
    "matthews": "matthews",
}


def metric_of(stated: str | None, regression: bool) -> str:
    """Maps a metric described in words to ours, the first one named; regression has only one.

    Args:
        stated: E.g. `accuracy and F1` or `Matthews correlation`; None: not stated.
        regression: Whether labels are numbers.
    """
    if regression:
        return "spearman"
    words = (stated or "").lower()
    found = [(words.index(word), metric) for word, metric in _METRICS.items() if word in words]
    return min(found)[1] if found else "accuracy"


def describe(
    about: Mapping[str, Any],
    title: str,
    labelled: Labelled,
    splits: Mapping[SplitName, list[Row]],
    leaked: Sequence[Row],
    carved: Mapping[SplitName, int],
    sources: list[dict[str, Any]],
) -> dict[str, Any]:
    """Returns the content of the artifact's dataset.json.

    Args:
        about: Content of the source's own dataset.json.
        title: Name of the data set if `about` has none.
        labelled: Says whether rows are pairs and labels numbers.
        splits: The rows, after carving.
        leaked: Training rows that occur in dev or test, in none of the splits; their classes count.
        carved: Number of rows carved out of train, by split.
        sources: What was read, with digests.
    """
    labels = [] if labelled.regression else sorted({str(row.label) for row in (*splits["train"], *leaked)})
    counts: dict[str, Any] = {split: len(rows) for split, rows in splits.items()}
    if not labelled.regression:
        counts = {split: dict(sorted(Counter(row.label for row in rows).items())) for split, rows in splits.items()}
    return {
        "name": about.get("name") or title,
        "pair": labelled.pair,
        "labels": labels,
        "metric": metric_of(about.get("metric"), labelled.regression),
        "language": about.get("language"),
        "counts": counts,
        "sources": sources,
        "carved": dict(carved),
    }
