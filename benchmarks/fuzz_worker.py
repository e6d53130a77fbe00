"""Worker process of `fuzz.py`: answers each JSON line on standard input with a JSON line on standard output."""

import io
import json
import math
import os
import resource
import sys
from pathlib import Path
from typing import Any

from eibert.errors import EibertError
from eibert.runtime.model import Model

MEMORY = 8 * 2**30
CHANGES = {f"os.{name}" for name in ("remove", "rename", "mkdir", "rmdir", "symlink", "link", "chmod", "truncate")}
TOLD_FOLDER = {"os.remove", "os.rmdir"}
"""Events whose last argument is the file descriptor of the folder that a relative path starts from."""
_written: list[str] = []
_allowed: list[str] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook that notes every file opened for writing, removed, renamed or created outside `_allowed`."""
    if event == "open":
        path, _, flags = arguments
        changes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and path != os.devnull
    else:
        path, changes = arguments[0] if arguments else None, event in CHANGES
    if changes and not _is_allowed(path, arguments[-1] if event in TOLD_FOLDER else -1):
        _written.append(f"{event} {path!r}")


def _is_allowed(path: object, folder: object) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    start = Path(f"/proc/self/fd/{folder}").readlink() if isinstance(folder, int) and folder >= 0 else Path.cwd()
    whole = Path(os.path.normpath(start / os.fsdecode(path)))
    return any(whole.is_relative_to(place) for place in _allowed)


def runtime(folder: str, texts: list[str]) -> dict[str, Any]:
    """Loads and predicts as on a device."""
    try:
        model = Model.load(folder)
        labels = model.bundle.labels
        rows = [(text, text) for text in texts] if model.bundle.pair else texts
        found = model.predict(rows, top_k=3)
    except EibertError as error:
        return {"outcome": "refused", "detail": str(error)}
    for text, answer in zip(texts, found, strict=True):
        sound = answer.value is not None or (answer.label in labels and 0 <= answer.score <= 1)
        if not (sound and math.isfinite(answer.score)):
            return {"outcome": "defect", "detail": f"{text[:60]!r} → {answer}"}
    return {"outcome": "answered", "detail": "", "labels": [answer.label for answer in found]}


def command(arguments: list[str], given: bytes) -> dict[str, Any]:
    """Runs the command in this process: anything but an answer, or an error message with exit code 1, is a defect."""
    from flows.cli import main

    kept = sys.argv, sys.stdin, sys.stdout, sys.stderr
    said, told = io.BytesIO(), io.BytesIO()
    code: object = 0
    sys.argv = ["eibert", *arguments]
    sys.stdin = io.TextIOWrapper(io.BytesIO(given), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(said, encoding="utf-8")
    sys.stderr = io.TextIOWrapper(told, encoding="utf-8", errors="backslashreplace")
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        output, errors = said.getvalue(), told.getvalue().decode()
        sys.argv, sys.stdin, sys.stdout, sys.stderr = kept
    json.loads(output)
    if code == 0:
        return {"outcome": "answered", "detail": ""}
    fine = code == 1 and "Traceback" not in errors
    return {"outcome": "refused" if fine else "defect", "detail": f"exit code {code}: {errors[-300:]}"}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Returns the outcome of one request; any error but an EibertError is a defect."""
    folder, texts = request["folder"], request["texts"]
    _written.clear()
    _allowed[:] = [request["out"]] if "out" in request else []
    try:
        match request["surface"]:
            case "runtime":
                found = runtime(folder, texts)
            case "predict":
                given = "\n".join(texts).encode("utf-8", "surrogatepass")
                found = command(["predict", "--json", "--bundle", folder], given)
            case "export":
                out = str(Path(request["out"], "hub"))
                found = command(["export", "--json", "--layout", "hub", "--bundle", folder, "-o", out], b"")
            case _:
                found = command(["verify", "--json", folder], b"")
    except BaseException as error:  # noqa: BLE001 — a panic of native code is not an Exception
        return {"outcome": "defect", "detail": f"{type(error).__name__}: {str(error)[:300]}"}
    if _written:
        return {"outcome": "defect", "detail": f"written: {_written[:3]}"}
    return found


def main() -> None:
    """Answers until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    import flows.export
    import flows.verify  # noqa: F401 — imported before the audit starts
    from flows import cli  # noqa: F401

    sys.addaudithook(watch)
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
