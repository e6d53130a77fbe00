"""Answers in Node match those of the Python runtime."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from eibert.corpus import Split
from eibert.runtime.model import Model

STRANGE = ["", " ", "\ud800", "play\udfff the", "\0", "Ünïted 漢字 🙈", "play " * 100, "x" * 1000]


def answered(built: Path, bundle: Path, texts: list[Any]) -> list[dict[str, Any]]:
    """Returns Node's answer to each text."""
    asked = "".join(json.dumps(each) + "\n" for each in (str(bundle), *texts))
    done = subprocess.run(
        ["node", built / "build" / "test" / "answers.js"],
        input=asked, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("task", ["classes", "pairs", "numbers"])
def test_labels_are_equal_and_scores_agree(task: str, built: Path, make_bundle: Any, rows: Split) -> None:
    texts: list[Any] = rows.texts + STRANGE
    if task == "pairs":
        texts = [[text, other] for text, other in zip(texts, texts[::-1], strict=True)]
    bundle = make_bundle(task)
    expected = Model.load(bundle).predict([tuple(x) if isinstance(x, list) else x for x in texts], top_k=3)
    found = answered(built, bundle, texts)
    assert [answer["label"] for answer in found] == [answer.label for answer in expected]
    for answer, wanted in zip(found, expected, strict=True):
        assert answer["score"] == pytest.approx(wanted.score, abs=1e-3)
        assert answer["value"] == (wanted.value if wanted.value is None else pytest.approx(wanted.value, abs=1e-3))
        assert [label for label, _ in answer["scores"]] == [label for label, _ in wanted.scores]
        assert [s for _, s in answer["scores"]] == pytest.approx([s for _, s in wanted.scores], abs=1e-3)


def test_units_pass_in_node(built: Path, make_bundle: Any) -> None:
    done = subprocess.run(
        ["npm", "test", "--silent"],
        cwd=built, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "EIBERT_TEST_BUNDLE": str(make_bundle("classes"))},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
