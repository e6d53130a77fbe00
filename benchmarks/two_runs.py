"""Two `eibert run` at once on one repository, again and again: both must end well, and all must be sound afterwards.

`python benchmarks/two_runs.py --repetitions 20` makes a scratch copy of the project, with two models of the built-in
sample, and runs up to the data gate only: locks are tried, not training. Odd repetitions run twice in one workspace,
even ones in two. Prints one JSON object.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
MODELS = ("models/a", "models/b")
COMMAND = [sys.executable, "-m", "flows.cli"]


def copy_project(root: Path) -> None:
    """Copies code, parameters and settings into a new repository."""
    for folder in ("eibert", "tasks", "flows", "presets"):
        shutil.copytree(PROJECT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("constraints.txt", "params.yaml", "dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(PROJECT / name, root / name)
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True)


def scratch(root: Path) -> None:
    """Makes a copy of the project with two workspaces."""
    copy_project(root)
    for model in MODELS:
        subprocess.run(
            [*COMMAND, "new", model, "--data", "sample"],
            cwd=root,
            check=True,
            env=surroundings(root),
            stdout=sys.stderr,
        )


def surroundings(root: Path) -> dict[str, str]:
    """The environment in which the copy's code runs."""
    return {**os.environ, "PYTHONPATH": str(root)}


def repeat(root: Path, number: int) -> dict[str, Any]:
    """Starts two runs at once and returns how they ended."""
    models = (MODELS[0], MODELS[0] if number % 2 else MODELS[1])
    started = time.monotonic()
    runs = [
        subprocess.Popen(
            [*COMMAND, "run", "-C", model, "--until", "validate", "--set", f"validate.max_chars={1000 + number}"],
            cwd=root, env=surroundings(root), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for model in models
    ]  # fmt: skip
    said = [run.communicate()[1] for run in runs]
    seconds = time.monotonic() - started
    verdict = subprocess.run(
        [*COMMAND, "verify", "-C", models[0], "--all", "--json"], cwd=root, env=surroundings(root), capture_output=True
    )
    codes = [run.returncode for run in runs]
    if any(codes) or verdict.returncode:
        print(*said, verdict.stdout.decode(), file=sys.stderr)
    return {
        "one_workspace": models[0] == models[1], "exit_codes": codes, "seconds": round(seconds, 1),
        "waited": any("waits for process" in text for text in said), "sound": verdict.returncode == 0,
    }  # fmt: skip


def main() -> None:
    """Runs the benchmark of this process's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=20)
    wanted = parser.parse_args().repetitions
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        scratch(root)
        found = [repeat(root, number) for number in range(wanted)]
    well = sum(not any(one["exit_codes"]) and one["sound"] for one in found)
    print(json.dumps({"repetitions": wanted, "ended_well": well, "runs": found}, indent=2))
    sys.exit(well < wanted)


if __name__ == "__main__":
    main()
