"""Counts how many of 10,000 single-bit flips in a signed bundle and its papers are detected; none may be missed.

    python benchmarks/bit_flips.py WORKSPACE [--flips 10000] [--seed 17]

Works on a copy. Draws a file uniformly, then byte and bit, so that small files are hit as often as the graph.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from flows.workspace import find
from tasks import facts, keys, signing


def main() -> int:
    """Prints the flips per file and returns how many were missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    workspace = find(options.workspace)
    papers = workspace.folder / "data" / "provenance"
    key = keys.public_key(workspace.root / keys.TRAIL, signing.signer_of(papers))
    with tempfile.TemporaryDirectory() as folder:
        copies = Path(folder, "bundle"), Path(folder, "provenance")
        for source, copy in zip((facts.bundle_folder(workspace.folder), papers), copies, strict=True):
            shutil.copytree(source, copy, copy_function=shutil.copyfile)
        return flip(*copies, key, options.flips, options.seed)


def flip(bundle: Path, papers: Path, key: Path, flips: int, seed: int) -> int:
    """Flips one bit at a time, restoring it before the next, and returns how many flips were missed."""
    assert signing.check_signature(bundle, papers, key) == [], "the untouched bundle is not sound"
    generator = random.Random(seed)
    files = [path for folder in (bundle, papers) for path in sorted(folder.iterdir())]
    made: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    started = time.monotonic()
    for _ in range(flips):
        path = generator.choice(files)
        good = path.read_bytes()
        position, bit = generator.randrange(len(good)), generator.randrange(8)
        path.write_bytes(good[:position] + bytes([good[position] ^ 1 << bit]) + good[position + 1 :])
        made[path.name] += 1
        if not signing.check_signature(bundle, papers, key):
            missed[path.name] += 1
            print(f"MISSED: {path.name} byte {position} bit {bit}")
        path.write_bytes(good)
    assert signing.check_signature(bundle, papers, key) == [], "the restored bundle is not sound"
    for path in files:
        print(
            f"{path.name:<24}{path.stat().st_size:>10,} bytes  {made[path.name]:>6,} flips  {missed[path.name]} missed"
        )
    print(f"{flips:,} flips, {missed.total()} missed, {(time.monotonic() - started) / flips * 1000:.1f} ms each")
    return missed.total()


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
