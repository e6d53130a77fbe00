"""Views of a part of one side of `eibert diff`: only views of the same kind are compared."""

from collections.abc import Mapping
from typing import Any

from tasks.machine import TOOLS
from tasks.notes import flat, numbers

Values = Mapping[str, Any]
Views = dict[str, Values]
"""Kind → values. Of several ALTERNATIVES, only the best that both sides have is compared; other kinds always are."""

SPLITS = ("train", "dev", "test", "unlabelled", "pretraining")
ROWS, SHA256, MD5 = "rows", "SHA-256", "MD5"
DEFINITIONS, STAGES, COMMIT = "definitions", "stages", "commit"
INSTALLED, STATED, PUBLIC = "installed versions", "versions that stages state", "public versions"
DESCRIPTION = "description"
BUNDLE, FILES = "bundle", "files"

ALTERNATIVES = {
    "data": (SHA256, MD5),
    "code": (DEFINITIONS, STAGES, COMMIT),
    "libraries": (INSTALLED, STATED, PUBLIC),
}
"""Part → kinds that express the same thing, best first."""

_NO_FIGURES = {"ingest", "export"}
"""Stages whose metrics are shown as data and bytes."""


def row_views(rows: Values) -> Views:
    """Returns the view of row counts."""
    return {ROWS: rows} if rows else {}


def digests(kind: str, splits: Mapping[str, str]) -> Views:
    """Returns the view of the splits' digests."""
    found = {f"{split} {kind}": splits[split] for split in SPLITS if split in splits}
    return {kind: found} if found else {}


def params_views(params: Values) -> Views:
    """Returns one view per section of parameters, given nested or with dotted keys."""
    return _by_section(flat(params))


def metrics_views(metrics: Values) -> Views:
    """Returns one view per stage's metrics, given nested or with dotted keys."""
    return {stage: values for stage, values in _by_section(numbers(metrics)).items() if stage not in _NO_FIGURES}


def code_views(
    contents: Mapping[str, Any] | None = None, stages: Mapping[str, str] | None = None, commit: str | None = None
) -> Views:
    """Returns the views of code.

    Args:
        contents: Stage → what data/code says about it.
        stages: Stage → SHA-256 of that.
        commit: The commit, if it holds the code that was used.
    """
    found: Views = {DEFINITIONS: flat_code(contents)} if contents else {}
    found |= {STAGES: {f"stage {name}": digest for name, digest in stages.items()}} if stages else {}
    return found | ({COMMIT: {"commit": commit}} if commit else {})


def flat_code(code: Mapping[str, Any]) -> dict[str, str]:
    """Returns all stages' digests as one mapping: path, or path:definition → digest."""
    found: dict[str, str] = {}
    for digests_of in code.values():
        found |= digests_of["data"]
        for path, definitions in digests_of["modules"].items():
            found |= {f"{path}:{name}" if name else path: digest for name, digest in definitions.items()}
    return found


def public(libraries: Mapping[str, str]) -> Views:
    """Returns the view of the libraries that shape results: no tools, no Python, no local version labels."""
    named = {name: version for name, version in libraries.items() if name not in {*TOOLS, "python"}}
    return {PUBLIC: {name: version.partition("+")[0] for name, version in named.items()}} if named else {}


def size_views(bundle: int, files: Mapping[str, int]) -> Views:
    """Returns the views of sizes: of the bundle, and of its files if known."""
    return {BUNDLE: {"bundle": bundle}} | ({FILES: files} if files else {})


def _by_section(values: Values) -> Views:
    found: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        found.setdefault(key.partition(".")[0], {})[key] = value
    return dict(found)
