"""A bundle's predictions for the command line. Imports only the run-time half, to start instantly."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eibert.errors import BundleError, DataError
from eibert.runtime.model import Model, Prediction

_SEPARATOR = "\t"


def predictions(bundle: Path, texts: Iterable[str], top_k: int) -> list[dict[str, Any]]:
    """Returns one mapping per text: `text`, `label`, `score` and `scores`, or `value` for regression.

    Args:
        bundle: Folder of a bundle.
        texts: Texts, or for pair tasks tab-separated pairs; trailing newlines are stripped.
        top_k: Number of classes in `scores`, best first.

    Raises:
        BundleError: the bundle cannot be loaded.
        DataError: the task needs pairs and a text is not one; the message names its position.
    """
    model = load(bundle)
    lines = [text.rstrip("\r\n") for text in texts]
    rows = [_pair(line, number) for number, line in enumerate(lines, 1)] if model.bundle.pair else lines
    answers = model.predict(rows, top_k=top_k)
    return [{"text": line} | described(found) for line, found in zip(lines, answers, strict=True)]


def load(bundle: Path) -> Model:
    """Returns the model in a bundle's folder.

    Raises:
        BundleError: there is none, or it cannot be loaded.
    """
    if not bundle.is_dir():
        raise BundleError(f"{bundle}: no bundle there; run `eibert run`, or name one with --bundle")
    return Model.load(bundle)


def lines(found: Iterable[dict[str, Any]]) -> list[str]:
    """Formats each prediction as a line: the best classes with probabilities, or the value, then the text."""
    return [
        f"{_answer(answer)}{_SEPARATOR}{answer['text']}"
        for answer in found
    ]  # fmt: skip


def _answer(answer: dict[str, Any]) -> str:
    if "value" in answer:
        return f"{answer['value']:.6g}"
    return _SEPARATOR.join(f"{best['label']}{_SEPARATOR}{best['score']:.4f}" for best in answer["scores"])


def _pair(line: str, number: int) -> tuple[str, str]:
    text, tab, text_b = line.partition(_SEPARATOR)
    if not tab:
        raise DataError(f"text {number}: found one text, expected two separated by a tab; this model compares pairs")
    return text, text_b


def described(found: Prediction) -> dict[str, Any]:
    """Returns a prediction as JSON values: `label`, `score` and `scores`, or `value` for regression."""
    if found.value is not None:
        return {"value": found.value}
    scores = [{"label": label, "score": score} for label, score in found.scores]
    return {"label": found.label, "score": found.score, "scores": scores}
