"""What benchmarks on real data have in common: a workspace for each model, and the scores of its bundle."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eibert.corpus import read_spec, read_split
from eibert.export import bundle_logits
from eibert.scores import score

PROJECT = Path(__file__).resolve().parents[1]
DATASETS = PROJECT.parent / "shared" / "datasets"
UNLABELLED: dict[str, tuple[str, ...]] = {
    "sst2": ("imdb", "reviews-5domain", "pros-cons", "cr"),
    "trec6": ("text-en-mix",),
    "snips": ("text-sgd-utterances",),
    "banking77": ("text-sgd-utterances",),
    "clinc150": ("text-sgd-utterances",),
    "subj": ("text-en-mix",),
    "mrpc": (),
    "sick": (),
    "cola": ("text-en-mix",),
}
"""Plain text for each task, chosen by its field; none comes from the source of that task's dev or test split."""
COMMAND = Path(sys.executable).with_name("eibert")


@dataclass(frozen=True)
class Task:
    """A real data set, its seed and preset, and where data sets lie."""

    name: str
    seed: int
    preset: str
    datasets: Path

    def workspace(self, variant: str = "", changes: Mapping[str, Any] | None = None) -> Path:
        """Returns the folder of a model relative to the project, made where it is not there.

        Args:
            variant: Name of what is changed; "": nothing.
            changes: Values by dotted key.
        """
        values = {"seed": self.seed} | dict(changes or {})
        digest = hashlib.sha256(json.dumps([values, str(self.datasets)], sort_keys=True).encode()).hexdigest()[:6]
        folder = Path("models") / self.preset / "-".join(filter(None, (self.name, variant, digest)))
        if not (PROJECT / folder / "params.yaml").exists():
            texts = [part for name in UNLABELLED[self.name] for part in ("--unlabelled", str(self.datasets / name))]
            sets = [part for key, value in values.items() for part in ("--set", f"{key}={json.dumps(value)}")]
            data = ("--data", str(self.datasets / self.name), "--preset", self.preset)
            subprocess.run([COMMAND, "new", folder, *data, *texts, *sets], cwd=PROJECT, check=True, stdout=sys.stderr)
        return folder


def run(folder: Path, *options: str) -> tuple[dict[str, Any], float]:
    """Returns what `eibert run --json` says of a workspace, and the seconds it took."""
    started = time.monotonic()
    command = [COMMAND, "run", "-C", folder, "--json", *options]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout), time.monotonic() - started


def scores(folder: Path, splits: Sequence[str] = ("dev", "test")) -> dict[str, float]:
    """Returns the task's metric of a workspace's bundle through onnxruntime, and its bytes."""
    data = PROJECT / folder / "data"
    spec = read_spec(data / "ingest")
    found: dict[str, float] = {"bytes": sum(path.stat().st_size for path in (data / "export" / "bundle").iterdir())}
    for name in splits:
        split = read_split(data / "ingest", name, spec)  # type: ignore[arg-type]
        found[name] = score(spec.metric, bundle_logits(data / "export" / "bundle", split), split.targets)
    return found
