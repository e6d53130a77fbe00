"""Takes the documentation's screenshots of the page and of a workspace's reports.

    make web && eibert run && eibert bench
    python benchmarks/screenshots.py . docs/images

Covers the page of `eibert demo`, the report of the last evaluation and the page of the last `eibert bench`, each once
in a wide window and once on a phone in dark mode.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from eibert.errors import EibertError
from flows.demo import open_server
from flows.report import report_path
from flows.workspace import Workspace, find
from tasks.bench import PAGE

PROJECT = Path(__file__).resolve().parents[1]
SCRIPT = PROJECT / "web" / "build" / "test" / "screenshots.js"
TEXT = "wake me up at half past six tomorrow, please"
MOST_BYTES = 150_000
"""Largest screenshot of the page."""
MOST_REPORT_BYTES = 1_000_000
"""Largest screenshot of a report, which covers its full length."""


def reports(workspace: Workspace) -> Iterator[tuple[str, Path]]:
    """Yields name and path of each report.

    Raises:
        EibertError: the workspace was not evaluated, or not measured by `eibert bench`.
    """
    yield "report", report_path(workspace)
    bench = workspace.folder / ".eibert" / "bench" / PAGE
    if not bench.is_file():
        raise EibertError(f"{bench}: missing; run `eibert bench -C {workspace.folder}`")
    yield "bench", bench


def take(folder: Path, name: str, *arguments: object) -> dict[str, int]:
    """Writes the screenshots of one page and returns their sizes by name."""
    environment = os.environ | {"CHROMIUM": shutil.which("chromium") or "chromium"}
    command = ["node", str(SCRIPT), str(folder), name, *map(str, arguments)]
    subprocess.run(command, cwd=PROJECT / "web", env=environment, check=True)
    return {path.name: path.stat().st_size for path in sorted(folder.glob(f"{name}-*.png"))}


def main() -> None:
    """Writes the screenshots; exits 1 if a page is missing or a screenshot is too large."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {Path(sys.argv[0]).name} WORKSPACE FOLDER")
    folder = Path(sys.argv[2]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        workspace = find(Path(sys.argv[1]))
        pages = dict(reports(workspace))  # fail before the first screenshot
        with open_server(workspace.folder / "data" / "export" / "bundle", 0) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            sizes = take(folder, "page", server.url, TEXT)
            server.shutdown()
    except EibertError as error:
        sys.exit(f"error: {error}")
    long = [name for name, size in sizes.items() if size > MOST_BYTES]
    for name, path in pages.items():
        taken = take(folder, name, path.resolve())
        long += [each for each, size in taken.items() if size > MOST_REPORT_BYTES]
        sizes |= taken
    print(sizes)
    sys.exit(f"larger than they may be: {', '.join(long)}" if long else 0)


if __name__ == "__main__":
    main()
