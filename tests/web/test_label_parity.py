"""Python, Node and the page in Chromium, into which each text is typed, give the same labels."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eibert.corpus import Split

PROJECT = Path(__file__).parents[2]
DATASETS = PROJECT.parent / "shared" / "datasets"


def compare(bundle: Path, *texts: object) -> list[str]:
    """Returns the benchmark's output for Node and Chromium; fails if an answer differs."""
    done = subprocess.run(
        [sys.executable, PROJECT / "benchmarks" / "label_parity.py", bundle, *map(str, texts)],
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("task", ["classes", "pairs", "numbers"])
def test_typed_texts_get_pythons_answers(
    task: str, browser: None, built: Path, make_bundle: Any, rows: Split, tmp_path: Path
) -> None:
    texts = list(dict.fromkeys(rows.texts))[:12]
    lines = [{"text": text, "text_b": texts[-1]} if task == "pairs" else {"text": text} for text in texts]
    lines += [{"text": "Ünïted 漢字 🙈 <b>", **({"text_b": "\0 ﬁ"} if task == "pairs" else {})}]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    node, chromium = compare(make_bundle(task), path)
    assert node.startswith(f"Node: 0 of {len(lines)} labels differ")
    assert chromium.startswith(f"Chromium: 0 of {len(lines)} labels differ")


@pytest.mark.realdata
@pytest.mark.parametrize(("task", "name"), [("classes", "trec6"), ("pairs", "sick")])
def test_typed_rows_of_real_tests_get_pythons_answers(
    task: str, name: str, browser: None, built: Path, make_bundle: Any
) -> None:
    path = DATASETS / name / "test.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"the real data sets are not beside the project ({DATASETS})")
    for line in compare(make_bundle(task), path, "--limit", 80):
        assert ": 0 of 80 labels differ" in line
