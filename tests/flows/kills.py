"""Kills promotions at every line between two effects, and tells what was left and what the next call made of it.

`python kills.py FOLDER DATABASE` prints one JSON line for each kill. Each try is a fork of this process, which has
imported everything and touched no registry that counts; it ends by os._exit before some line, without any clean-up.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from eibert import artifact, trail
from eibert.judge import Verdict
from eibert.matching import HeldOut
from flows import journal, promote, service
from flows.workspace import Workspace, find
from tasks import facts, packing, promotions, registry
from tests import toy

KILLED = 9
EFFECTS: list[Callable[..., Any]] = [
    promote._carried_out, journal.open_journal, journal.finish, journal.close_journal, artifact.write_json,
    registry.register, registry.set_champion, promotions.enter, trail.append, trail._replace, trail._write_line,
]  # fmt: skip
"""Functions that have effects, or call those that have."""
SETTLING: list[Callable[..., Any]] = [journal.settle, journal.finish, journal.close_journal, registry.clear]


class Lines:
    """Counts the lines about to run in some functions, each line once, and ends the process before one of them."""

    def __init__(self, functions: list[Callable[..., Any]], last: int | None) -> None:
        self.seen: list[str] = []
        self._codes = {function.__code__ for function in functions}
        self._last = last

    def __enter__(self) -> "Lines":
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _called(self, frame: FrameType, *_: object) -> Any:
        return self._line if frame.f_code in self._codes else None

    def _line(self, frame: FrameType, event: str, *_: object) -> Any:
        if event == "line":
            place = _place(frame.f_code, frame.f_lineno)
            if place not in self.seen:
                self.seen.append(place)
                if len(self.seen) == self._last:
                    os._exit(KILLED)
        return self._line


def _place(code: CodeType, line: int) -> str:
    return f"{Path(code.co_filename).name}:{line}"


def in_fork(work: Callable[[], Any]) -> Any:
    """Returns what some work returns in a fork; None where the fork was killed."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        code = 1
        try:
            os.write(writer, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.wait()[1])
    assert code in (0, KILLED), f"a fork ended with {code}"
    return json.loads(said) if code == 0 else None


def state(workspace: Workspace) -> dict[str, Any]:
    """What is in service, in the registry and by the trail."""
    known = registry.versions(workspace.root, workspace.name)
    entered = promotions.promotions(promotions.read(workspace.root))
    return {
        "champions": [version.number for version in known if registry.CHAMPION in version.aliases],
        "challengers": [version.number for version in known if registry.CHALLENGER in version.aliases],
        "versions": [version.number for version in known],
        "trail": [[record.body["event"], record.body["version"]] for record in entered],
        "journal": (workspace.private() / "promotion.json").exists(),
        "stored": len(list((workspace.root / "mlartifacts").rglob("MLmodel"))),
    }


class Scenario:
    """A promotion or a rollback from one state of a repository."""

    def __init__(self, name: str, workspace: Workspace, action: Callable[[], Any]) -> None:
        self.name, self._workspace, self._action = name, workspace, action
        self._backup = workspace.root.with_name(f"{name}-backup")
        shutil.copytree(workspace.root, self._backup)

    def kill_everywhere(self, functions: list[Callable[..., Any]]) -> None:
        """Tries every line, and prints what came of it."""
        lines = in_fork(lambda: self._acted(functions, None))
        whole = in_fork(lambda: state(self._workspace))
        for number, line in enumerate(lines, start=1):
            self.restore()
            killed = in_fork(lambda at=number: self._acted(functions, at)) is None
            found = {"scenario": self.name, "line": line, "killed": killed, "whole": whole}
            sys.stdout.write(json.dumps(found | in_fork(self._settled)) + "\n")
            sys.stdout.flush()
        self.restore()

    def restore(self) -> None:
        """Brings back the state before."""
        shutil.rmtree(self._workspace.root)
        shutil.copytree(self._backup, self._workspace.root)

    def _settled(self) -> dict[str, Any]:
        """What was left, and what the next call and the one after it made of it."""
        left, told = state(self._workspace), promote.recover(self._workspace)
        after, again = state(self._workspace), promote.recover(self._workspace)
        return {"left": left, "told": told, "after": after, "again": again}

    def _acted(self, functions: list[Callable[..., Any]], last: int | None) -> list[str]:
        with Lines(functions, last) as lines:
            self._action()
        return lines.seen


def _warm(root: Path, database: Path) -> None:
    """Imports all that is needed, by doing everything once in a repository of its own; what tries nothing is skipped.

    From then on every bundle passes, MLflow's schema is not looked at again, and a version's files are those
    of here, whatever they should be.
    """
    from mlflow.store.db import utils

    workspace = toy.make_repository(root)
    shutil.copy(database, root / "mlflow.db")
    for wrong in ({1}, set()):
        toy.build(workspace, wrong=wrong)
        promote.promote(workspace)
    promote.rollback(workspace)
    contents = root / "contents"
    papers = workspace.folder / "data" / "provenance"
    files = packing.pack(facts.bundle_folder(workspace.folder), papers, HeldOut(), contents)
    packing.pack = lambda *given: (shutil.copytree(contents, given[-1]), files)[1]
    promote._judged = lambda *_: Verdict((), None)
    service.checked = lambda place, version, _: service.history(place)[version.number - 1]
    utils._verify_schema = lambda _: None


def main(folder: Path, database: Path) -> None:
    """Runs all scenarios."""
    _warm(folder / "warm", database)
    root = folder / "root"
    workspace = toy.make_repository(root)
    shutil.copy(database, root / "mlflow.db")
    in_fork(lambda: toy.build(workspace, wrong={0, 1, 2}))
    workspace = find(workspace.folder)
    Scenario("first", workspace, lambda: promote.promote(workspace)).kill_everywhere(EFFECTS)
    in_fork(lambda: promote.promote(workspace).promoted)
    in_fork(lambda: toy.build(workspace, wrong=set()))
    second = Scenario("second", workspace, lambda: promote.promote(workspace))
    second.kill_everywhere(EFFECTS)
    # A promotion cut off before its alias moves, then its undoing cut off; and the same after the move.
    for name, function in (("undo", registry.set_champion), ("finish", promotions.enter)):
        second.restore()
        in_fork(lambda at=function: second._acted([at], 1))
        Scenario(name, workspace, lambda: promote.recover(workspace)).kill_everywhere(SETTLING)
    second.restore()
    in_fork(lambda: promote.promote(workspace).promoted)
    Scenario("rollback", workspace, lambda: promote.rollback(workspace)).kill_everywhere(EFFECTS)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
