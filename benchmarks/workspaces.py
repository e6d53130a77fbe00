"""Shared by benchmarks on real data: one workspace per model, and the scores of its bundle."""

import argparse
import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eibert.artifact import sha256
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
"""Unlabelled text for each task, chosen by domain; none comes from the source of the task's dev or test split."""
COMMAND = Path(sys.executable).with_name("eibert")


_DIGITS = 12


@dataclass(frozen=True)
class Task:
    """A real data set with seed, preset, folder of the data sets, and further settings: YAML by dotted key."""

    name: str
    seed: int
    preset: str
    datasets: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def workspace(self, variant: str = "", changes: Mapping[str, Any] | None = None) -> Path:
        """Returns the folder of a model relative to the project, created if missing.

        Its name ends with a digest of everything that determines the model, so other parameters get another folder.

        Args:
            variant: Name of the variant; "": the unchanged model.
            changes: Values by dotted key.
        """
        stem = "-".join(filter(None, (self.name, variant, self.digest(changes))))
        folder = Path("models") / self.preset / stem
        if not (PROJECT / folder / "params.yaml").exists():
            source, *texts = self._sources()
            named = [part for text in texts for part in ("--unlabelled", str(text))]
            sets = [part for key, value in self._values(changes).items() for part in ("--set", f"{key}={value}")]
            data = ("--data", str(source), "--preset", self.preset)
            subprocess.run([COMMAND, "new", folder, *data, *named, *sets], cwd=PROJECT, check=True, stdout=sys.stderr)
        return folder

    def digest(self, changes: Mapping[str, Any] | None = None) -> str:
        """Returns a digest of all stages' parameters with preset and changes on top, and of the sources' files."""
        stages = _yaml(PROJECT / "dvc.yaml")["stages"]
        layers = [_yaml(PROJECT / "params.yaml"), _yaml(PROJECT / "presets" / f"{self.preset}.yaml")]
        params = [{key: layer[key] for key in ("seed", "teacher", *stages) if key in layer} for layer in layers]
        sources = [[source.name, _files(source)] for source in self._sources()]
        found = json.dumps([params, self._values(changes), sources], sort_keys=True)
        return hashlib.sha256(found.encode()).hexdigest()[:_DIGITS]

    def _sources(self) -> list[Path]:
        return [self.datasets / name for name in (self.name, *UNLABELLED.get(self.name, ()))]

    def _values(self, changes: Mapping[str, Any] | None) -> dict[str, str]:
        made = {key: json.dumps(value) for key, value in (changes or {}).items()}
        return {"seed": str(self.seed), **self.settings, **made}


def setting(text: str) -> tuple[str, str]:
    """Parses `section.key=value` for argparse."""
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise argparse.ArgumentTypeError(f"{text!r}: expected section.key=value, for example distill.threads=2")
    return key, value


def _yaml(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def _files(source: Path) -> dict[str, str]:
    if not source.is_dir():
        sys.exit(f"{source}: no such folder; say with --datasets where the data sets lie")
    return {path.name: sha256(path) for path in sorted(source.iterdir()) if path.is_file()}


def run(folder: Path, *options: str) -> tuple[dict[str, Any], float]:
    """Runs `eibert run --json` in a workspace; returns its answer and the seconds it took.

    The run ends with the benchmark, on Ctrl-C and SIGTERM.
    """
    started = time.monotonic()
    command = [COMMAND, "run", "-C", folder, "--json", *options]
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        try:
            answer, _ = process.communicate()
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return json.loads(answer), time.monotonic() - started


def scores(folder: Path, splits: Sequence[str] = ("dev", "test")) -> dict[str, float]:
    """Returns the scores of a workspace's bundle under onnxruntime, and its bytes."""
    data = PROJECT / folder / "data"
    spec = read_spec(data / "ingest")
    found: dict[str, float] = {"bytes": sum(path.stat().st_size for path in (data / "export" / "bundle").iterdir())}
    for name in splits:
        split = read_split(data / "ingest", name, spec)  # type: ignore[arg-type]
        found[name] = score(spec.metric, bundle_logits(data / "export" / "bundle", split), split.targets)
    return found
