"""Properties of this machine and its libraries that may change results bit for bit."""

import importlib.metadata
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eibert import artifact
from eibert.code import DISTRIBUTIONS
from eibert.errors import ArtifactError

_CPU = Path("/proc/cpuinfo")
_GPUS = Path("/proc/driver/nvidia/gpus")
_INSTRUCTIONS = ("avx", "avx2", "fma", "f16c", "avx512", "avx_vnni", "amx_", "sve", "asimd", "bf16", "i8mm")
"""Prefixes of CPU features that select different arithmetic kernels."""
TOOLS = (
    "dvc",
    "prefect",
    "mlflow",
    "great_expectations",
    "model-signing",
    "in-toto-attestation",
    "cyclonedx-python-lib",
)
"""Libraries whose versions are recorded, although no stage's result depends on them."""


def machine() -> dict[str, Any]:
    """Describes this machine: relevant CPU features, GPUs, Python and operating system; no host name."""
    return {
        "architecture": platform.machine(),
        "features": [name for name in _features() if name.startswith(_INSTRUCTIONS)],
        "gpus": _gpus(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {'.'.join(platform.libc_ver())}".strip(". "),
    }


def libraries(workspace: Path) -> dict[str, str]:
    """Returns name → version of the libraries that shape the stages' results and of the TOOLS."""
    return {name: _version(name, stated) for name, stated in sorted(_stated(workspace).items())}


def differences(recorded: Mapping[str, Any]) -> list[str]:
    """Returns the differences from a record's machine and libraries that may change bits, one line each.

    Args:
        recorded: Body of the record.
    """
    here, lines = machine(), []
    for key, before in recorded["machine"].items():
        if here.get(key) != before:
            lines.append(f"{key}: recorded {_shown(before)}, here {_shown(here.get(key))}")
    for name, before in recorded["libraries"].items():
        now = _version(name, "not installed")
        if now != before and name not in TOOLS:
            lines.append(f"library {name}: recorded {before}, here {now}")
    return lines


def _shown(value: object) -> str:
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _stated(workspace: Path) -> Mapping[str, str]:
    """The library versions that `code` recorded for the stages; it records none for the TOOLS."""
    stated: dict[str, str] = dict.fromkeys(TOOLS, "not installed")
    try:
        files = artifact.read_manifest(workspace, "code")["files"]
        for name in files:
            stated |= artifact.read_json(artifact.folder(workspace, "code") / name)["libraries"]
    except (ArtifactError, KeyError, TypeError):
        pass  # a workspace without the stage `code`
    stated.pop("python", None)
    return stated


def _version(name: str, stated: str) -> str:
    """The installed version with its local part, which distinguishes CPU from CUDA builds."""
    try:
        return importlib.metadata.version(DISTRIBUTIONS.get(name, name))
    except importlib.metadata.PackageNotFoundError:
        return stated


def _features() -> list[str]:
    try:
        lines = _CPU.read_text(encoding="utf-8").splitlines()
    except OSError:
        return [sys.platform]
    found = (line.partition(":") for line in lines)
    return next((sorted(words.split()) for key, _, words in found if key.strip() in {"flags", "Features"}), [])


def _gpus() -> list[str]:
    found = []
    for path in sorted(_GPUS.glob("*/information")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        found += [line.partition(":")[2].strip() for line in lines if line.startswith("Model")]
    return found
