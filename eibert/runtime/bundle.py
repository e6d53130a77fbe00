"""The files of a bundle, read once and verified before use."""

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eibert.errors import BundleError
from eibert.runtime.tokenizer import SPECIALS

FORMAT = 1
CONFIGURATION, GRAPH, VOCABULARY = "eibert.json", "model.onnx", "vocab.txt"
LINEAGE = "eibert.lineage"
"""Metadata key of the graph: SHA-256 of the manifest of `quantize`, which names its inputs, and so on to the rows."""

# Far above any bundle: larger files are refused before they exhaust a device's memory.
_MOST_BYTES = 1 << 28
_MOST_TEXT_BYTES = 1 << 24
_MOST_TOKENS = 1 << 13

_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "name": str, "pair": bool, "labels": list, "metric": str, "max_tokens": int, "lowercase": bool,
    "strip_accents": (bool, type(None)), "files": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Bundle:
    """A bundle's configuration and vocabulary.

    Attributes:
        name: Name of the data set the model was trained on.
        pair: Whether inputs are pairs of texts.
        labels: Class names in logit order; empty for regression.
        metric: The metric by which the model was judged.
        max_tokens: Maximum input length; longer inputs are truncated.
        lowercase: Whether texts are lowercased.
        strip_accents: Whether accents are stripped; None: same as lowercase.
        tokens: Vocabulary in id order.
    """

    name: str
    pair: bool
    labels: tuple[str, ...]
    metric: str
    max_tokens: int
    lowercase: bool
    strip_accents: bool | None
    tokens: tuple[str, ...]


def read_bundle(folder: Path) -> tuple[Bundle, bytes]:
    """Returns a bundle and its graph's bytes, all verified; files not named in its configuration are ignored.

    Raises:
        BundleError: a file is missing, unreadable or altered, or the configuration is of an unknown format.
    """
    found = _configuration(folder / CONFIGURATION)
    contents = {name: _checked(folder / name, found["files"][name]) for name in sorted(found["files"])}
    fields = {name: found[name] for name in _FIELDS if name not in ("labels", "files")}
    tokens = _tokens(folder / VOCABULARY, contents[VOCABULARY])
    return Bundle(**fields, labels=tuple(found["labels"]), tokens=tokens), contents[GRAPH]


def _configuration(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_read(path, _MOST_TEXT_BYTES))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not valid JSON ({error}); copy the bundle again") from error
    if not isinstance(found, dict) or "format" not in found:
        raise BundleError(f"{path}: found no `format`, expected the configuration of a bundle; copy the bundle again")
    if found["format"] != FORMAT or isinstance(found["format"], bool):
        raise BundleError(
            f"{path}: format is {found['format']!r}, this version of eibert reads {FORMAT}; "
            "install the version that exported the bundle, or export it again"
        )
    for name, kind in _FIELDS.items():
        value = found.get(name, path)  # a Path matches no JSON type
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            shown = repr(value)[:60] if name in found else "nothing"
            raise BundleError(f"{path}: {name}: found {shown}, expected {_kind(kind)}; export the bundle again")
    _check_values(path, found)
    return found


def _check_values(path: Path, found: dict[str, Any]) -> None:
    labels, files = found["labels"], found["files"]
    if not all(isinstance(label, str) for label in labels) or len(set(labels)) < len(labels):
        raise BundleError(f"{path}: labels: expected distinct strings; export the bundle again")
    shown_to_all = (("name", [found["name"]]), ("metric", [found["metric"]]), ("labels", labels), ("files", files))
    for field, texts in shown_to_all:
        if any(map(_has_surrogate, texts)):
            raise BundleError(f"{path}: {field}: found half a surrogate pair, expected text; export the bundle again")
    if not 4 <= found["max_tokens"] <= _MOST_TOKENS:
        shown = repr(found["max_tokens"])[:60]
        raise BundleError(f"{path}: max_tokens: found {shown}, expected 4 to {_MOST_TOKENS}; export it again")
    for name in (GRAPH, VOCABULARY):
        if name not in files:
            raise BundleError(f"{path}: files: {name} is not named; export the bundle again")
    for name, entry in files.items():
        if not _is_plain(name) or not _is_entry(entry):
            shown = name[:60]
            raise BundleError(f"{path}: files.{shown}: expected a plain name with bytes and sha256; export it again")
    for what, size, most in (
        ("all files together", sum(entry["bytes"] for entry in files.values()), _MOST_BYTES),
        (VOCABULARY, files[VOCABULARY]["bytes"], _MOST_TEXT_BYTES),
    ):
        if size > most:
            raise BundleError(f"{path}: files: {what} {size} bytes, more than any bundle has; copy the bundle again")


def _has_surrogate(text: str) -> bool:
    """Whether a text has a surrogate, which cannot be encoded in a file or a page."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _is_plain(name: str) -> bool:
    return name not in {"", ".", ".."} and not {"/", "\\", ":", "\0"} & set(name)


def _is_entry(entry: object) -> bool:
    match entry:
        case {"bytes": int(size), "sha256": str()}:
            return 0 <= size <= _MOST_BYTES
    return False


def _kind(kind: type | tuple[type, ...]) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join("null" if one is type(None) else one.__name__ for one in kinds)


def _checked(path: Path, entry: Mapping[str, Any]) -> bytes:
    content = _read(path, _MOST_BYTES)
    digest = hashlib.sha256(content).hexdigest()
    if len(content) != entry["bytes"] or digest != entry["sha256"]:
        raise BundleError(
            f"{path}: altered ({len(content)} bytes, SHA-256 {digest[:12]}…; {CONFIGURATION} says {entry['bytes']} "
            f"bytes, {entry['sha256'][:12]}…); copy the bundle again"
        )
    return content


def _read(path: Path, most: int) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe or device might never end
            raise BundleError(f"{path}: not readable (no regular file); copy the bundle again")
        if found.st_size > most:
            raise BundleError(f"{path}: {found.st_size} bytes, more than any bundle has; copy the bundle again")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(f"{path}: missing; copy the whole bundle, or build it with `eibert run`") from error
    except OSError as error:
        raise BundleError(f"{path}: not readable ({error.strerror}); check the path and its permissions") from error
    except ValueError as error:  # an invalid file name
        raise BundleError(f"{path}: not readable (not a file name); copy the bundle again") from error


def _tokens(path: Path, content: bytes) -> tuple[str, ...]:
    try:
        lines = content.decode("utf-8").removesuffix("\n").split("\n")  # not splitlines: a token may be U+2028
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: not UTF-8 (byte {error.start}); export the bundle again") from error
    if absent := [token for token in SPECIALS if token not in lines]:
        raise BundleError(f"{path}: special tokens {', '.join(absent)} are not in it; export the bundle again")
    if len(set(lines)) < len(lines):
        raise BundleError(f"{path}: a token stands in it twice; export the bundle again")
    return tuple(lines)
