"""A wheel contains what runs: modules, templates, and the page if built; no tests, no sources of the page."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = ("index.html", "page.css", "page.js", "ort-wasm-simd-threaded.wasm")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Contents of a wheel built after `make web`, with small files standing in for the page."""
    copy, wheels = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("wheels")
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=PROJECT, text=True).split("\0")
    for name in filter(None, listed):
        if not name.startswith(("docs/", "data/")) and (PROJECT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((PROJECT / name).read_bytes())
    (copy / "flows" / "web").mkdir()
    for name in PAGE:
        (copy / "flows" / "web" / name).write_text(name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, copy]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "setuptools" in done.stderr and "No matching distribution" in done.stderr:
        pytest.skip("setuptools, which builds wheels, cannot be had from the package index")
    assert done.returncode == 0, done.stderr
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_has_the_page(names: set[str]) -> None:
    assert {f"flows/web/{name}" for name in PAGE} <= names


def test_wheel_has_every_module_and_template(names: set[str]) -> None:
    listed = subprocess.check_output(["git", "ls-files", "eibert", "tasks", "flows"], cwd=PROJECT, text=True)
    assert set(listed.split()) <= names


def test_wheel_has_nothing_else(names: set[str]) -> None:
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"eibert", "tasks", "flows"}
