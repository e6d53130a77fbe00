"""Takes the pictures of the page that docs/web.md shows, of a bundle of the built-in sample.

make web && eibert run
python benchmarks/screenshots.py data/export/bundle docs/images
"""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from flows.demo import open_server

PROJECT = Path(__file__).resolve().parents[1]
TEXT = "wake me up at half past six tomorrow, please"
MOST_BYTES = 150_000


def main() -> None:
    """Writes the pictures, and exits 1 where one is too large."""
    bundle, folder = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with open_server(bundle, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        script = PROJECT / "web" / "build" / "test" / "screenshots.js"
        environment = os.environ | {"CHROMIUM": shutil.which("chromium") or "chromium"}
        command = ["node", script, server.url, folder, TEXT]
        subprocess.run(command, cwd=PROJECT / "web", env=environment, check=True)
        server.shutdown()
    sizes = {path.name: path.stat().st_size for path in sorted(folder.glob("page-*.png"))}
    print(sizes)
    sys.exit(any(size > MOST_BYTES for size in sizes.values()))


if __name__ == "__main__":
    main()
