"""The curve of scores against kept entries, against hand-computed values."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from eibert.batches import predict
from eibert.corpus import Split, write_parquet
from eibert.params.load import Params
from eibert.params.prune import Importance
from eibert.student import Student

SCHEMA = pa.schema([("token", pa.string()), ("score", pa.float64()), ("count", pa.int64())])


@pytest.fixture
def pruning(benchmark: Any) -> Any:
    return benchmark("pruning")


def found(pruning: Any, student: Student, tmp_path: Path) -> Any:
    """Importances: `play` is least important by attention, `mum` by counts; the file is in a different order."""
    tokens = [*student.tokens, "unseen"]
    scores = {"play": 1.0, "mum": 20.0, "unseen": 99.0}
    counts = {"play": 20, "mum": 1, "unseen": 99}
    columns = {
        "token": tokens[::-1],
        "score": [scores.get(token, 10.0) for token in tokens[::-1]],
        "count": [counts.get(token, 10) for token in tokens[::-1]],
    }
    write_parquet(tmp_path / "scores.parquet", columns, SCHEMA)
    return pruning.importances(tmp_path / "scores.parquet", student.tokens)


def test_scores_go_to_the_students_own_entries(pruning: Any, student: Student, tmp_path: Path) -> None:
    importances = found(pruning, student, tmp_path)
    worth = dict(zip(student.tokens, importances.attention, strict=True))
    assert [worth[token] for token in ("play", "mum", "stop")] == [1.0, 20.0, 10.0]
    assert importances.counts[student.tokens.index("mum")] == 1


def test_a_cut_splits_the_word_worth_least_and_the_whole_is_the_student(
    pruning: Any, student: Student, params: Params, tmp_path: Path
) -> None:
    dev = Split(["play the song", "mum stop", "call mum", "play now"], None, np.array([1, 2, 0, 1]))
    usable = len(student.tokens) - 1  # `[unused0]` is never kept
    curve = dict(
        pruning.cuts(student, found(pruning, student, tmp_path), dev, "accuracy", params.prune, (usable - 1, 10**6))
    )
    right = float((predict(student, dev, batch_size=4).argmax(axis=1) == dev.targets).mean())
    for points in curve.values():
        assert points[1] == (right, pytest.approx((5 + 4 + 4 + 4) / 4))
    assert curve[Importance.ATTENTION][0][1] == pytest.approx((8 + 4 + 4 + 7) / 4)  # play: p ##l ##a ##y
    assert curve[Importance.FREQUENCY][0][1] == pytest.approx((5 + 6 + 6 + 4) / 4)  # mum: m ##u ##m


def test_the_table_of_an_evening(pruning: Any) -> None:
    assert pruning.WHOLE["prune.keep"] == max(pruning.SIZES) == 30_522
    assert pruning.WHOLE["distill.rows_limit"] == 96_000
