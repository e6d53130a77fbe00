"""The size-versus-quality plot as a standalone image, for pages that cannot carry a style sheet."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eibert.evaluate.conclusion import METRICS, MODELS
from tasks import plots
from tasks.history import Point

_OPENING = '<svg xmlns="http://www.w3.org/2000/svg" width="720" height="480"'
_STYLE = "svg { width: 720px; height: 480px; background: var(--paper); }"


def size_against_quality(evaluated: Mapping[str, Any], before: Point | None) -> str:
    """Returns a `data:` URL of an SVG with all models of an evaluation and the version previously in service.

    Args:
        evaluated: Content of evaluate's metrics.json.
        before: The previous version; None: there was none, or it is not to be shown.
    """
    points = {name: (float(size), evaluated["test"][name]) for name, size in evaluated["bytes"].items()}
    labels = {name: MODELS[name] for name in points}
    if before is not None and before.score is not None and before.size_bytes is not None:
        points["before"] = float(before.size_bytes), before.score
        labels["before"] = f"Version {before.number}, previously in service"
    drawn = str(plots.sizes(points, labels, METRICS[evaluated["metric"]]))
    style = f"<style>{Path(__file__).with_name('page.css').read_text(encoding='utf-8')}{_STYLE}</style>"
    head, _, rest = drawn.removeprefix("<svg").partition(">")
    picture = f"{_OPENING}{head}>{style}{rest}"
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}"
