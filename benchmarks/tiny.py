"""A copy of the project with tiny models that train in a moment, for benchmarks of the machinery, not of learning."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from forks import Command

from tests.toy import letters_and, random_teacher

PROJECT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "flows.cli"]
MODEL = "models/m"
STAGES = ("code", "ingest", "validate", "finetune", "pretrain", "prune", "distill", "quantize", "export", "evaluate")
UNFINISHED = ("dvc.lock does not record it", "neither signed nor in the trail")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ("play", "stop", "the", "song", "call", "now")
TINY = {
    "teacher.model": '"../../teacher"', "teacher.sha256": "null", "validate.min_rows": "20", "finetune.epochs": "1",
    "finetune.max_tokens": "16", "pretrain.student.layers": "1", "pretrain.student.hidden": "12",
    "pretrain.student.heads": "3", "pretrain.student.feed_forward": "24", "pretrain.student.embedding": "8",
    "pretrain.student.positions": "32", "pretrain.epochs": "2", "pretrain.max_tokens": "16", "pretrain.texts_min": "0",
    "prune.keep": "70", "distill.epochs": "2", "distill.max_tokens": "16", "distill.variants": "50",
    "export.min_agreement": "0.5", "evaluate.static_dimensions": "[4]",
    "evaluate.rival_regularizations": "[1.0]",
}  # fmt: skip


def copy_project(root: Path) -> None:
    """Copies code, parameters and settings into a new repository."""
    for folder in ("eibert", "tasks", "flows", "presets"):
        shutil.copytree(PROJECT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("constraints.txt", "params.yaml", "dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(PROJECT / name, root / name)
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True)


def surroundings(root: Path) -> dict[str, str]:
    """Returns the environment in which the copy's code runs."""
    return {**os.environ, "PYTHONPATH": str(root)}


class Copy:
    """A copy of the project with tiny models, not yet run."""

    stages: Path | None = None
    """Folder with the command that runs stages as forks; None: stages are ordinary processes."""
    run_bytes = 0
    """Disk space that a whole run takes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def start(self, *arguments: str) -> "subprocess.Popen[str] | Command":
        """Starts a command with the copy's own code, in its own session."""
        if self.stages:
            return Command(arguments, self.root, self.stages)
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.root, env=surroundings(self.root), start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *options: str) -> tuple[int, str]:
        """Runs the pipeline; returns exit code and standard error."""
        process = self.start("run", "-C", MODEL, *options)
        said = process.communicate()[1]
        return process.returncode, said

    def is_sound(self, model: str = MODEL, *, broken_off: bool = False) -> bool:
        """Returns whether `eibert verify --all` passes; prints its findings if not.

        Args:
            model: Workspace to verify besides the repository.
            broken_off: A run was interrupted: outputs that it did not get to record are no fault.
        """
        answer, complaint = self.start("verify", "-C", model, "--all", "--json").communicate()
        verdict = json.loads(answer or '{"findings": [{"problem": "no answer"}]}')
        faults = [found for found in verdict["findings"] if not (broken_off and found["problem"] in UNFINISHED)]
        if faults:
            print(*faults, complaint, sep="\n", file=sys.stderr)
        return not faults

    def size_bytes(self) -> int:
        """Returns the disk usage of the copy, counting files that DVC links to its cache once."""
        found = {status.st_ino: status.st_blocks for status in (path.lstat() for path in self.root.rglob("*"))}
        return 512 * sum(found.values())

    def digests(self) -> dict[str, str]:
        """Returns the SHA-256 of each stage's manifest, which in turn lists those of all its files."""
        from eibert.artifact import sha256

        data = self.root / MODEL / "data"
        paths = {stage: data / stage / "manifest.json" for stage in STAGES}
        return {stage: sha256(path) for stage, path in paths.items() if path.is_file()}


def make(root: Path, models: Sequence[str] = (MODEL,)) -> Copy:
    """Creates the copy with its teacher, its rows and its models."""
    copy_project(root)
    random_teacher(root / "teacher", letters_and(WORDS))
    (root / "rows").mkdir()
    for place, (split, count) in enumerate({"train": 400, "dev": 60, "test": 60}.items()):
        texts = [
            f"{WORDS[n % 3]} the song {LETTERS[n // 26 % 26]}{LETTERS[n % 26]}{LETTERS[place]}" for n in range(count)
        ]
        rows = "".join(f"{text},{text.split()[0]}\n" for text in texts)
        (root / "rows" / f"{split}.csv").write_text(f"text,label\n{rows}")
    sets = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    for model in models:
        command = [*COMMAND, "new", model, "--data", "rows", *sets]
        subprocess.run(command, cwd=root, check=True, env=surroundings(root), stdout=subprocess.DEVNULL)
    return Copy(root)
