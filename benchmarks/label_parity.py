"""Compares labels and scores of Python, Node and the page in Chromium on every text; exits 1 if they differ.

    make web
    python benchmarks/label_parity.py BUNDLE TEXTS [TEXTS...] [--limit N]

TEXTS as for `onnxruntime_versions.py`. The page is served as by `eibert demo`; each text is typed in and its answer
read. Blank texts are skipped there, because the page asks for input instead of answering.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from onnxruntime_versions import PROJECT, read

from eibert.runtime.model import Model, Prediction
from flows.demo import open_server

SCRIPTS = PROJECT / "web" / "build" / "test"
CLOSE = 1e-3


class Answer(NamedTuple):
    """The answer of one of the three: a label with its score, or a number."""

    label: str | None
    score: float


def in_node(bundle: Path, texts: Sequence[Any]) -> list[Answer]:
    """Returns the answers of the package in Node."""
    found = _ask(SCRIPTS / "answers.js", str(bundle), texts)
    return [Answer(each["label"], each["score"]) for each in found]


def in_chromium(bundle: Path, texts: Sequence[Any]) -> list[Answer]:
    """Returns the answers that the served page shows."""
    with open_server(bundle, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        found = _ask(SCRIPTS / "parity.js", server.url, texts)
        server.shutdown()
    return [Answer(None, float(answer)) if score is None else Answer(answer, score) for answer, score in found]


def _ask(script: Path, first: str, texts: Sequence[Any]) -> list[Any]:
    asked = "".join(json.dumps(each) + "\n" for each in (first, *texts))
    environment = os.environ | {"CHROMIUM": shutil.which("chromium") or "chromium"}
    done = subprocess.run(
        ["node", script],
        input=asked,
        cwd=PROJECT / "web",
        env=environment,
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare(found: Sequence[Answer], expected: Sequence[Prediction]) -> tuple[int, float]:
    """Returns how many labels differ, and the largest difference in a score."""
    pairs = list(zip(found, expected, strict=True))
    return sum(one.label != two.label for one, two in pairs), max(abs(one.score - two.score) for one, two in pairs)


def blank(text: Any) -> bool:
    """Whether the page would ask for input."""
    return not all(part.strip() for part in (text if isinstance(text, list) else [text]))


def main() -> None:
    """Prints one line each for Node and Chromium; exits 1 if a label differs, or a score by more than CLOSE."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, help="Only the first so many texts.")
    options = parser.parse_args()
    if not (SCRIPTS / "parity.js").is_file():
        sys.exit(f"{SCRIPTS}: not built; run `make web`")
    bundle, wrong = options.bundle.resolve(), False
    texts = read(options.texts)[: options.limit]
    expected = Model.load(bundle).predict([tuple(text) if isinstance(text, list) else text for text in texts])
    typed = [row for row, text in enumerate(texts) if not blank(text)]
    for name, ask, rows in (("Node", in_node, range(len(texts))), ("Chromium", in_chromium, typed)):
        begun = time.monotonic()
        different, largest = compare(ask(bundle, [texts[row] for row in rows]), [expected[row] for row in rows])
        seconds = time.monotonic() - begun
        told = f"{different} of {len(rows)} labels differ, scores by {largest:.2g} at most; {seconds:.0f} s"
        print(f"{name}: {told}")
        wrong |= bool(different) or largest > CLOSE
    sys.exit(wrong)


if __name__ == "__main__":
    main()
