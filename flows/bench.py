"""`eibert bench`: finds the bundle and its workspace, and prints a summary of the figures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eibert.errors import RunError
from eibert.params.load import load
from flows.workspace import PARAMS, find
from tasks import bench as task

_FOLDER = Path(".eibert") / "bench"


def bench(folder: Path, bundle: Path | None, out: Path | None, *, profiled: bool) -> tuple[dict[str, Any], Path]:
    """Measures a workspace's bundle against its rivals, or another bundle alone; returns the figures and their folder.

    Args:
        folder: A workspace; its section `bench` also applies to a bundle elsewhere.
        bundle: A bundle elsewhere, measured without rivals; None: the workspace's.
        out: Folder for figures and page; None: `.eibert/bench` in the workspace.
        profiled: Also profile the bundle.

    Raises:
        RunError: `folder` is not a workspace, or the output folder cannot be written.
        BundleError: there is no bundle.
    """
    workspace = find(folder)
    params = load(workspace.folder / PARAMS)
    target = out or workspace.folder / _FOLDER
    own = workspace.folder / "data" / "export" / "bundle"
    whole = workspace.folder if bundle is None else None
    try:
        target.mkdir(parents=True, exist_ok=True)
        return task.bench(whole, bundle or own, params.bench, params.shared, target, profiled=profiled), target
    except OSError as error:
        place = error.filename or target
        raise RunError(f"{place}: cannot be used ({error.strerror}); name a writable folder with --out") from error


def lines(figures: dict[str, Any], target: Path) -> Iterator[str]:
    """Yields the human-readable summary: one text on one thread, start-up, and where to find the rest."""
    cell = task.reference(figures)
    yield (
        f"{cell['length']} tokens, batch {cell['batch']}, threads {cell['threads']}, "
        f"{cell['rounds']} interleaved rounds"
    )
    yield f"{'':<26}{'p50 ms':>8}{'p95 ms':>8}{'load ms':>9}{'peak MB':>9}{'above':>7}{'bytes':>13}"
    for name, found in cell["models"].items():
        start = figures["starts"][name]
        yield (
            f"{task.MODELS[name]:<26}{found['p50_ms']:>8.2f}{found['p95_ms']:>8.2f}"
            f"{start['load_ms']:>9.0f}{start['memory_mb']:>9.0f}{start['above_import_mb']:>7.0f}"
            f"{figures['bytes'][name]:>13,}"
        )
    yield f"{'ratio to the bundle':<26}{'p50':>8}{'load':>8}{'peak':>8}{'bytes':>8}"
    for name, found in cell["models"].items():
        times = figures["ratios"][name]
        yield (
            f"{task.MODELS[name]:<26}{found['ratio']:>8.2f}{times['load']:>8.2f}{times['memory']:>8.2f}"
            f"{times['bytes']:>8.2f}"
        )
    yield from (f"not measured: {task.MODELS[name]}: {reason}" for name, reason in figures["absent"].items())
    yield from (f"not measured: {length} tokens: {why}" for length, why in figures["lengths_left_out"].items())
    if "profile" in figures:
        yield from _profile(figures["profile"])
    yield f"figures  {target / task.FIGURES}"
    yield f"page     {target / task.PAGE}"


def _profile(profile: dict[str, Any]) -> Iterator[str]:
    yield f"forward {profile['forward_ms']:.2f} ms, arithmetic floor {profile['floor_ms']:.2f} ms; profiled:"
    for one in profile["operators"]:
        yield f"  {one['name']:<24}{one['calls']:>4} calls{one['microseconds']:>9.0f} µs"
