"""The page in a real browser, served by the command as for a user."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from eibert.runtime.model import Model
from eibert.runtime.tokenizer import wordpiece

PROJECT = Path(__file__).parents[2]
TEXTS = {
    "classes": ["Play the song"],
    "pairs": ["turn on the light", "light off"],
    "numbers": ["call mum please"],
}


def shown(task: str, folder: Path) -> dict[str, Any]:
    """Returns what the page should show for a bundle."""
    model, texts = Model.load(folder), TEXTS[task]
    (found,) = model.predict([(texts[0], texts[1]) if task == "pairs" else texts[0]], top_k=5)
    bundle = model.bundle
    tokenizer = wordpiece(bundle.tokens, lowercase=True, strip_accents=None, max_tokens=bundle.max_tokens)
    return {
        "texts": texts,
        "answer": found.label if found.value is None else f"{found.value:.6g}",
        "scores": [[label, f"{100 * score:.1f} %"] for label, score in found.scores],
        "tokens": [token for text in texts for token in tokenizer.encode(text, add_special_tokens=False).tokens],
        "bytes": f"{sum(path.stat().st_size for path in folder.iterdir()):,}",
    }


def test_page_answers_in_a_browser(browser: None, built: Path, make_bundle: Any) -> None:
    demos, servers = {}, []
    try:
        for task in TEXTS:
            folder = make_bundle(task)
            server = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", "demo", "--bundle", str(folder), "--port", "0", "--json"],
                cwd=PROJECT, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            servers.append(server)
            assert server.stdout is not None
            said = json.loads("".join(server.stdout.readline() for _ in range(3)))
            demos[task] = {**said, **shown(task, folder)}
        done = subprocess.run(
            ["node", "--test", built / "build" / "test" / "page" / "page.test.js"],
            env=os.environ | {"EIBERT_DEMO": json.dumps(demos), "CHROMIUM": str(shutil.which("chromium"))},
            cwd=built, capture_output=True, text=True, check=False, timeout=500,
        )  # fmt: skip
    finally:
        for server in servers:
            server.kill()
            server.communicate()
    assert done.returncode == 0, done.stdout + done.stderr
