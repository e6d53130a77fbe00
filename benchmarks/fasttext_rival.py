"""A fastText classifier no larger than the bundle, selected on dev.

A pair becomes one line: the first text, a separator, and the second text with prefixed words, so that a linear model
over word n-grams can tell the sides apart.
"""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import fasttext
import numpy as np

from eibert.corpus import Split, TaskSpec
from eibert.scores import score

LABEL = "__label__"
SPLIT = re.compile(r"\w+|[^\w\s]")
EPOCHS, RATES, GRAMS = (10, 30), (0.5,), (1, 2)
BUCKETS = 100_000
CUTOFFS = (24_000, 20_000, 16_000, 12_000, 8_000, 4_000)


@dataclass(frozen=True)
class FastTextRival:
    """A quantized fastText model as measured: its scores on dev and test, its bytes, and the chosen settings."""

    dev: float
    test: float
    bytes: int
    chosen: dict[str, Any]


def measure(spec: TaskSpec, train: Split, dev: Split, test: Split, budget: int) -> FastTextRival:
    """Returns the best model on dev, quantized to at most `budget` bytes; test is scored only once.

    Args:
        spec: The task, a classification.
        train: Labelled rows.
        dev: Rows that select epochs, learning rate and n-grams before quantization.
        test: Rows of the final score.
        budget: Largest size of the `.ftz` file in bytes.

    Raises:
        ValueError: no cutoff gives a file that small.
    """
    with tempfile.TemporaryDirectory() as folder:
        lines, path = Path(folder) / "train.txt", Path(folder) / "model.ftz"
        texts = [f"{LABEL}{target} {line}" for target, line in zip(train.targets, _lines(train), strict=True)]
        lines.write_text("\n".join(texts) + "\n", encoding="utf-8")

        def trained(chosen: dict[str, Any]) -> Any:
            return fasttext.train_supervised(
                str(lines), dim=100, thread=1, seed=17, verbose=0, bucket=BUCKETS, **chosen
            )

        grid = [{"epoch": e, "lr": rate, "wordNgrams": n} for e, rate, n in product(EPOCHS, RATES, GRAMS)]
        chosen = max(grid, key=lambda each: _score(trained(each), spec, dev))
        for cutoff in CUTOFFS:
            model = trained(chosen)
            model.quantize(str(lines), retrain=True, cutoff=cutoff, qnorm=True, thread=1, verbose=0)
            model.save_model(str(path))
            if path.stat().st_size <= budget:
                found = _score(model, spec, dev), _score(model, spec, test)
                return FastTextRival(*found, path.stat().st_size, chosen | {"cutoff": cutoff})
    raise ValueError(f"no fastText model fits {budget} bytes")


def _score(model: Any, spec: TaskSpec, split: Split) -> float:
    logits = np.full((len(split), len(spec.labels)), -np.inf, np.float32)
    for row, line in enumerate(_lines(split)):
        for chance, label in model.f.predict(f"{line}\n", 1, 0.0, "strict"):  # the wrapper breaks with numpy 2
            logits[row, int(label.removeprefix(LABEL))] = chance
    return score(spec.metric, logits, split.targets)


def _lines(split: Split) -> list[str]:
    firsts = [" ".join(_words(text)) for text in split.texts]
    if split.texts_b is None:
        return firsts
    seconds = [" ".join(f"b_{word}" for word in _words(text)) for text in split.texts_b]
    return [f"{first} | {second}" for first, second in zip(firsts, seconds, strict=True)]


def _words(text: str) -> Sequence[str]:
    return SPLIT.findall(text.lower())
