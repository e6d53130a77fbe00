"""`eibert stage`: messages, log and exit codes."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from eibert.errors import INTERRUPTED, DataError, GateError
from flows.adapter import EXIT_BROKEN, EXIT_ERROR, EXIT_REFUSED, run_stage
from tasks.progress import say
from tests.flows.conftest import PROJECT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_bytes((PROJECT / "params.yaml").read_bytes())
    return tmp_path


@pytest.fixture
def prune_does(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., object]], None]:
    def install(run: Callable[..., object]) -> None:
        stub = ModuleType("tasks.prune")
        stub.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "tasks.prune", stub)

    return install


Install = Callable[[Callable[..., object]], None]


def test_adapter_gets_workspace_section_and_shared_values(folder: Path, prune_does: Install) -> None:
    given: list[object] = []
    prune_does(lambda *arguments: given.extend(arguments))
    assert run_stage(folder, "prune") == 0
    assert given[0] == folder
    assert type(given[1]).__name__ == "PruneParams"
    assert given[2].seed == 17  # type: ignore[attr-defined]


def test_output_goes_to_standard_error_and_the_log(
    folder: Path, prune_does: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> None:
        say("prune", "kept 8000")
        sys.stdout.write("stray\n")
        sys.stderr.write("\x1b[1A a bar's frame")

    prune_does(run)
    run_stage(folder, "prune")
    out, err = capsys.readouterr()
    assert out == ""
    assert "kept 8000" in err
    assert (folder / "logs" / "prune.log").read_text() == "prune     kept 8000\nstray\n"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("x.csv:3: ragged row"), EXIT_ERROR, "error: x.csv:3: ragged row\n"),
        (GateError("1 expectation failed"), EXIT_REFUSED, "error: 1 expectation failed\n"),
        (
            OSError(28, "No space left on device", "a"),
            EXIT_ERROR,
            "error: a: No space left on device; free some space, and repeat the command\n",
        ),
        (KeyboardInterrupt(), INTERRUPTED, "error: prune was interrupted\n"),
    ],
)
def test_error_is_one_message(
    folder: Path, prune_does: Install, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    def run(*_: object) -> None:
        raise error

    prune_does(run)
    assert run_stage(folder, "prune") == code
    assert capsys.readouterr().err == message
    assert (folder / "logs" / "prune.log").read_text() == message


def test_defect_is_one_line_and_its_traceback_is_in_the_log(
    folder: Path, prune_does: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> None:
        raise ValueError("two\nlines")

    prune_does(run)
    assert run_stage(folder, "prune") == EXIT_BROKEN
    log = folder / "logs" / "prune.log"
    message = f"error: prune crashed: ValueError: two; the traceback is in {log}\n"
    assert capsys.readouterr().err == message
    assert "Traceback" in log.read_text()
    assert log.read_text().endswith(message)


def test_mark_is_touched(folder: Path, prune_does: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EIBERT_RAN_MARK", str(folder / "mark"))
    prune_does(lambda *_: None)
    run_stage(folder, "prune")
    assert (folder / "mark").exists()


@pytest.mark.parametrize("name", ["nothing", "progress", "bench", "no.name"])
def test_unknown_stage_is_refused(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_stage(folder, name) == EXIT_ERROR
    assert f"error: {name}: no such stage" in capsys.readouterr().err


def test_log_that_cannot_be_written_is_told_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    assert run_stage(folder, "prune") == EXIT_ERROR
    log = folder / "logs" / "prune.log"
    assert capsys.readouterr().err == (
        f"error: {log}: Read-only file system; make it writable, and repeat the command\n"
    )
