"""Compares optimum and transformers.js on the hub layout with eibert's own runtime; exits 1 if a label differs.

    python benchmarks/hub_parity.py BUNDLE TEXTS [TEXTS...]

TEXTS as for `onnxruntime_versions.py`. Each library gets its own environment; one that cannot be created is reported.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import environments
from onnxruntime_versions import read

from eibert.hub import write_hub
from eibert.runtime.model import Model

PROJECT = Path(__file__).resolve().parents[1]
OPTIMUM, TRANSFORMERS_JS = "optimum-onnx[onnxruntime]", "@huggingface/transformers@4"
IN_PYTHON = """
import json, sys

import optimum.version, transformers
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = ORTModelForSequenceClassification.from_pretrained(sys.argv[1])
answers = []
for text in json.load(sys.stdin):
    parts = [[part] for part in (text if isinstance(text, list) else [text])]
    answers.append(model(**tokenizer(*parts, truncation=True, return_tensors="pt")).logits[0].tolist())
name = f"optimum {optimum.version.__version__}, transformers {transformers.__version__}"
print(json.dumps({"name": name, "logits": answers}))
"""
IN_NODE = """
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { AutoModelForSequenceClassification, AutoTokenizer, env } from "@huggingface/transformers";

const { folder, texts } = JSON.parse(readFileSync(0, "utf8"));
Object.assign(env, { allowRemoteModels: false, localModelPath: dirname(folder) + "/" });
const tokenizer = await AutoTokenizer.from_pretrained(basename(folder));
const model = await AutoModelForSequenceClassification.from_pretrained(basename(folder));
const logits = [];
for (const text of texts) {
  const [first, second] = Array.isArray(text) ? text : [text];
  const inputs = tokenizer([first], { truncation: true, ...(second === undefined ? {} : { text_pair: [second] }) });
  logits.push([...(await model(inputs)).logits.data]);
}
console.log(JSON.stringify({ name: `transformers.js ${env.version}`, logits }));
"""


def with_optimum(hub: Path, texts: Sequence[Any]) -> dict[str, Any]:
    """Returns optimum's logits, from an environment with the torch version pinned here."""
    constraints = (PROJECT / "constraints.txt").read_text()
    torch = re.search(r"^torch==(\S+)", constraints, re.MULTILINE)
    assert torch is not None
    python = environments.python([OPTIMUM], first=[f"torch=={torch[1]}+cpu"])
    return _answers([python, "-c", IN_PYTHON, hub], json.dumps(texts), hub.parent)


def with_transformers_js(hub: Path, texts: Sequence[Any]) -> dict[str, Any]:
    """Returns transformers.js's logits in Node."""
    folder = environments.node([TRANSFORMERS_JS])
    script = ["node", "--input-type=module", "--eval", IN_NODE]
    return _answers(script, json.dumps({"folder": str(hub), "texts": texts}), folder)


def _answers(command: Sequence[str | Path], given: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(command, input=given, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Prints how many labels differ for each library; exits 1 if any does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    options = parser.parse_args()
    texts, wrong = read(options.texts), 0
    expected = Model.load(options.bundle).logits([tuple(text) if isinstance(text, list) else text for text in texts])
    with tempfile.TemporaryDirectory() as folder:
        hub = Path(folder, "hub")
        hub.mkdir()
        write_hub(options.bundle, hub)
        for ask in (with_optimum, with_transformers_js):
            try:
                found = ask(hub, texts)
            except environments.UnavailableError as error:
                print(f"{ask.__name__}: cannot be had: {error}")
                continue
            best = [max(range(len(row)), key=row.__getitem__) for row in found["logits"]]
            different = sum(one != two for one, two in zip(best, expected.argmax(1).tolist(), strict=True))
            largest = float(abs(expected - found["logits"]).max())
            print(f"{found['name']}: {different} of {len(texts)} labels differ, logits by {largest:.2g} at most")
            wrong += different
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
