"""Feeds hostile texts and corrupted bundles to everything that reads them; exits 1 without answer or clear error.

    make web
    python benchmarks/fuzz.py BUNDLE [--texts 10000] [--bundles 2000] [--seed 17]

All work is done in other processes (`fuzz_worker.py`, and `web/test/fuzz.ts` in Node if built), so that crashes of
native code, hangs and out-of-memory errors are noticed. Only `eibert export` may write, and only its output: folders
are compared before and after, and file accesses are audited.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import hostile

PROJECT = Path(__file__).resolve().parents[1]
NODE = PROJECT / "web" / "build" / "test" / "fuzz.js"
SECONDS = 120  # after which a process counts as hung
CHUNK = 50
COMMAND_EVERY, NODE_EVERY, SHELL_EVERY = 4, 4, 50
ASKED = "turn off the lights"
FINE = {"answered", "refused"}
HUB = (
    "README.md", "config.json", "onnx/model.onnx", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
    "vocab.txt",
)  # fmt: skip
"""Files written by `eibert export --layout hub`."""


class Outcome(NamedTuple):
    """Outcome of one request."""

    surface: str
    way: str
    outcome: str
    detail: str


class Worker:
    """A process that answers requests line by line; restarted after it dies."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command, self._folder = command, folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Returns the answer, or how the process ended."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        hung = not timer.is_alive()
        timer.cancel()
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        self._process = None
        return {"outcome": "hung" if hung else "died", "detail": f"exit code {process.wait()}"}

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            environment = {
                **os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8",
                "PYTHONPATH": str(PROJECT), "TMPDIR": str(self._folder / "temporary"),
            }  # fmt: skip
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        return self._process

    def end(self) -> None:
        """Stops the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def fuzz_texts(bundle: Path, count: int, seed: int, python: Worker, node: Worker | None) -> Iterator[Outcome]:
    """Yields the outcomes of hostile texts in Python, the command and TypeScript; both languages' labels must agree."""
    chosen = list(hostile.texts(count, seed))
    for number, start in enumerate(range(0, count, CHUNK)):
        chunk = chosen[start : start + CHUNK]
        found = python.ask({"surface": "runtime", "folder": str(bundle), "texts": chunk})
        yield Outcome("runtime", "texts", found["outcome"], found["detail"])
        if number % COMMAND_EVERY == 0:
            told = python.ask({"surface": "predict", "folder": str(bundle), "texts": chunk})
            yield Outcome("command predict", "texts", told["outcome"], told["detail"])
        if node and number % NODE_EVERY == 0:
            other = node.ask({"folder": str(bundle), "texts": chunk})
            if other["outcome"] == "answered" and other["labels"] != found.get("labels"):
                other = {"outcome": "defect", "detail": f"labels differ: {other['labels']} {found.get('labels')}"}
            yield Outcome("TypeScript", "texts", other["outcome"], other["detail"])


def fuzz_bundles(
    bundle: Path, count: int, seed: int, sandbox: Path, python: Worker, node: Worker | None
) -> Iterator[Outcome]:
    """Yields the outcomes of corrupted bundles, each of which is tried on several surfaces and then deleted."""
    sound = hostile.read(bundle)
    for number in range(count):
        place = sandbox / f"{number:06}"
        folder = place / "bundle"
        place.mkdir()
        (place / "secret.bin").write_bytes(b"secret" * 1000)
        way = hostile.write_bundle(sound, folder, seed * 1_000_003 + number)
        before = _tree(place)
        asked: list[tuple[str, Worker | None]] = [("runtime", python)]
        asked += [("predict", python), ("verify", python)] if number % COMMAND_EVERY == 0 else []
        asked += [("TypeScript", node)] if number % NODE_EVERY == 0 else []
        for surface, worker in asked:
            if worker:
                found = worker.ask({"surface": surface, "folder": str(folder), "texts": [ASKED]})
                yield Outcome(surface, way, found["outcome"], f"bundle {number}: {found['detail']}")
        if number % COMMAND_EVERY == 0:
            yield _exported(folder, sandbox / f"{number:06}-exported", way, number, python)
        if number % SHELL_EVERY == 0:
            yield _shell(folder, way, number)
        if _tree(place) != before:
            yield Outcome("files", way, "defect", f"bundle {number}: something was written beside or in it")
        shutil.rmtree(place)


def _exported(folder: Path, out: Path, way: str, number: int, python: Worker) -> Outcome:
    """Exports a bundle in hub layout to a throwaway folder: either all files must appear or none."""
    found = python.ask({"surface": "export", "folder": str(folder), "texts": [], "out": str(out)})
    names = {path.relative_to(out).as_posix() for path in out.rglob("*")}
    shutil.rmtree(out, ignore_errors=True)
    whole = names == {"hub", "hub/onnx", *(f"hub/{name}" for name in HUB)}
    if found["outcome"] in FINE and not (whole if found["outcome"] == "answered" else not names):
        return Outcome("export", way, "defect", f"bundle {number}: {found['outcome']}, but left {sorted(names)}")
    return Outcome("export", way, found["outcome"], f"bundle {number}: {found['detail']}")


def _shell(folder: Path, way: str, number: int) -> Outcome:
    """Runs the command as a user would."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "flows.cli", "predict", "--bundle", str(folder), ASKED]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, check=False, timeout=SECONDS)
    told = done.stderr.decode(errors="replace")
    fine = done.returncode in {0, 1} and "Traceback" not in told and (not done.returncode or told.startswith("error: "))
    outcome = ("refused" if done.returncode else "answered") if fine else "defect"
    return Outcome("command as called", way, outcome, f"bundle {number}: exit code {done.returncode}: {told[-300:]}")


def _tree(folder: Path) -> dict[str, Any]:
    return {str(path): _content(path) for path in sorted(folder.rglob("*"))}


def _content(path: Path) -> object:
    if path.is_symlink():
        return path.readlink()
    return path.read_bytes() if path.is_file() else path.stat().st_mode


def report(outcomes: Iterator[Outcome]) -> int:
    """Prints outcome counts per surface and each outcome that is neither answer nor refusal; returns their number."""
    counts: Counter[tuple[str, str]] = Counter()
    wrong = 0
    for found in outcomes:
        counts[found.surface, found.outcome] += 1
        if found.outcome not in FINE:
            wrong += 1
            print(f"{found.surface} · {found.way} · {found.outcome}: {found.detail}")
    for (surface, outcome), count in sorted(counts.items()):
        print(f"{surface:<20}{outcome:<12}{count:>7,}")
    return wrong


def main() -> None:
    """Prints the outcomes of all texts and bundles; exits 1 if anything was neither answered nor refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--bundles", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    bundle = options.bundle.resolve()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder, "here")
        here.mkdir()
        (here / "secret.bin").write_bytes(b"secret" * 1000)
        (here / "temporary").mkdir()
        worker = str(Path(__file__).with_name("fuzz_worker.py"))
        with Worker([sys.executable, worker], here) as python, Worker(["node", str(NODE)], here) as javascript:
            node = javascript if NODE.is_file() and shutil.which("node") else None
            sound = [
                each.ask({"surface": "runtime", "folder": str(bundle), "texts": [ASKED]})
                for each in (python, node)
                if each
            ]
            assert all(found["outcome"] == "answered" for found in sound), f"the bundle itself is not sound: {sound}"
            before = _tree(here)  # importing a library may leave something in the temporary folder
            wrong = report(fuzz_texts(bundle, options.texts, options.seed, python, node))
            wrong += report(fuzz_bundles(bundle, options.bundles, options.seed, Path(folder), python, node))
        if written := _tree(here).keys() ^ before.keys():
            wrong += 1
            print(f"written: {sorted(written)}")
    print(f"{options.texts:,} texts, {options.bundles:,} bundles: {wrong} neither answered nor refused")
    if node is None:
        print("TypeScript's half was left out: `make web` builds it")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
