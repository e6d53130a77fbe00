"""Tokens of the Python and JavaScript runtimes match those of the tokenizers package."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
DATASETS = PROJECT.parent / "shared" / "datasets"


def compare(*arguments: object) -> str:
    """Returns the benchmark's last line; fails if any line differs."""
    done = subprocess.run(
        [sys.executable, PROJECT / "benchmarks" / "token_parity.py", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_every_character_and_hostile_lines_give_equal_tokens(built: Path, tmp_path: Path) -> None:
    assert compare("--datasets", tmp_path, "--lines", 8_000).startswith("0 of ")


@pytest.mark.realdata
def test_real_lines_give_equal_tokens(built: Path) -> None:
    if not DATASETS.is_dir():
        pytest.skip(f"the real data sets are not beside the project ({DATASETS})")
    assert compare("--step", 47, "--lines", 24_000, "--no-characters").startswith("0 of 24000 lines differ")


def test_table_of_characters_is_that_of_the_tokenizers_package(tmp_path: Path) -> None:
    found = tmp_path / "unicode.ts"
    subprocess.run([sys.executable, PROJECT / "web" / "make_unicode.py", found], check=True)
    assert found.read_text() == (PROJECT / "web" / "src" / "unicode.ts").read_text()
