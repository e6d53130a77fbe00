"""Resolves a source named in params.yaml: its files, the split of each file, and the content of dataset.json."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from eibert.corpus import SplitName
from eibert.errors import DataError
from eibert.ingest.reading import FORMATS, PLAIN_TEXT, stem_of, suffix_of
from eibert.ingest.rows import File as File  # also for those who only look for files
from eibert.params.ingest import IngestParams

SAMPLE = "sample"
SPLITS: tuple[SplitName, ...] = ("train", "dev", "test")
_HUB = "hf:"
_LICENCE = ("licence", "license")
_HUB_NAME = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)")
_SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train", "training": "train",
    "dev": "dev", "valid": "dev", "validation": "dev", "val": "dev", "development": "dev",
    "test": "test", "testing": "test", "eval": "test",
}  # fmt: skip
_SHARD = re.compile(r"-\d+-of-\d+$")
_DESCRIPTION = "dataset.json"
_ABOUT = re.compile(r"(readme|licen[cs]e)\b.*|(copying|notice|citation|changelog)(\.\w+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """A resolved source.

    Attributes:
        origin: The source as written in params.yaml.
        title: Short name of the data set.
        files: Files by split, shards in order.
        other: Files whose names do not indicate a split.
        unknown: Files of unknown format.
        about: Content of dataset.json; {} if there is none.
        place: What messages call the source, as in `File`.
    """

    origin: str
    title: str
    files: dict[SplitName, list[File]]
    other: list[File] = field(default_factory=list)
    unknown: list[File] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    place: str = ""

    @property
    def licence(self) -> str | None:
        """The licence that the source's dataset.json states."""
        return next((str(self.about[key]) for key in _LICENCE if self.about.get(key)), None)

    @property
    def labelled(self) -> dict[SplitName, list[File]]:
        """Files that hold labelled rows, by split; a single file whose name indicates no split holds everything."""
        return {"train": self.other} if len(self.other) == 1 and not self.files else self.files

    def unread(self, read: Iterable[File]) -> list[File]:
        """Returns the source's files that were not read, by name."""
        known = [file for group in self.files.values() for file in group]
        left = {*known, *self.other, *self.unknown} - {*read}
        return sorted(left, key=lambda file: file.name)


def local_sources(params: IngestParams) -> list[str]:
    """Returns the sources that are local paths, as written, without duplicates, in order."""
    named = dict.fromkeys((params.source, *params.unlabelled))
    return [origin for origin in named if origin != SAMPLE and not origin.startswith(_HUB)]


def find(origin: str, workspace: Path, key: str) -> Source:
    """Returns the files of a source other than `sample`.

    Args:
        origin: A path relative to the workspace, or `hf:owner/name@revision`.
        workspace: Folder of params.yaml.
        key: The dotted parameter key of the source, for messages.

    Raises:
        DataError: there is no such path or data set, two files claim one split, or dataset.json is unusable.
    """
    if origin.startswith(_HUB):
        root, title = _download(origin, key)
        place = origin
    else:
        root = workspace / origin
        title = _title(root.resolve())
        place = str(root.parent.resolve() / root.name if root.is_file() else root.resolve())
    if root.is_file():
        split, file = split_of(stem_of(root)), File(root, origin, place)
        return Source(origin, title, {split: [file]} if split else {}, [] if split else [file], place=place)
    if not root.is_dir():
        raise DataError(f"{key}: {origin}: no such file or folder; paths are relative to {workspace}; correct it")
    found, unknown = _data_files(root, origin, place)
    named = {split: [file for file in found if split_of(stem_of(file.path)) == split] for split in SPLITS}
    for split, series in named.items():
        _same_series(split, series)
    return Source(
        origin,
        title,
        {split: series for split, series in named.items() if series},
        [file for file in found if split_of(stem_of(file.path)) is None],
        unknown,
        _description(root / _DESCRIPTION, f"{place}/{_DESCRIPTION}"),
        place,
    )


def split_of(stem: str) -> SplitName | None:
    """Returns the split that a name such as `train`, `val` or `test-00000-of-00002` begins with, or None."""
    return _SPLIT_NAMES.get(re.split(r"[-_.]", stem.lower(), maxsplit=1)[0])


def _download(origin: str, key: str) -> tuple[Path, str]:
    match = _HUB_NAME.fullmatch(origin)
    if match is None:
        remedy = "name a revision (a commit or a tag) so that the same data is read every time"
        raise DataError(f"{key}: {origin!r}, expected `hf:owner/name@revision`; {remedy}")
    patterns = [f"*{suffix}{packed}" for suffix in (*FORMATS, PLAIN_TEXT) for packed in ("", ".gz")]
    try:
        folder = snapshot_download(
            match["repo"], repo_type="dataset", revision=match["revision"], allow_patterns=[*patterns, _DESCRIPTION]
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        remedy = "check name, revision and network, or copy the files to a folder and name that"
        raise DataError(f"{key}: {origin}: cannot be downloaded ({reason}); {remedy}") from error
    return Path(folder), match["repo"].partition("/")[2]


def _title(root: Path) -> str:
    if root.is_dir():
        return root.name
    return stem_of(root) if split_of(stem_of(root)) is None else root.parent.name


def _data_files(root: Path, origin: str, place: str) -> tuple[list[File], list[File]]:
    """Returns the files of known formats, at least one, and the others."""
    for folder, below in ((root, ""), (root / "data", "/data")):
        paths = sorted(path for path in folder.glob("*") if path.is_file() and not _tells_about(path))
        start = f"{origin}{below}".rstrip("/")
        files = [File(path, f"{start}/{path.name}", f"{place}{below}/{path.name}") for path in paths]
        known = [file for file in files if suffix_of(file.path) in (*FORMATS, PLAIN_TEXT)]
        if known:
            return known, [file for file in files if file not in known]
    expected = ", ".join((*FORMATS, PLAIN_TEXT))
    raise DataError(
        f"{place}: no data files in it or in its `data` folder, expected {expected} (plain or .gz); add them"
    )


def _tells_about(path: Path) -> bool:
    """Returns whether a file is hidden, or about the data rather than data."""
    name = path.name
    return (
        name.startswith(".")
        or name == _DESCRIPTION
        or (suffix_of(path) not in FORMATS and bool(_ABOUT.fullmatch(name)))
    )


def _same_series(split: SplitName, files: Iterable[File]) -> None:
    """Refuses several files for a split unless they are shards of one series."""
    series: dict[str, File] = {}
    for file in files:
        series.setdefault(_SHARD.sub("", stem_of(file.path)) + suffix_of(file.path), file)
    unsharded = [file for file in files if not _SHARD.search(stem_of(file.path))]
    if len(series) > 1 or len(unsharded) > 1:
        places = " and ".join(map(str, files))
        raise DataError(
            f"{places}: more than one file for {split}; keep one, or name the shards {split}-00000-of-00002 …"
        )


def _description(path: Path, place: str) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise DataError(f"{place}:{error.lineno}: not valid JSON ({error.msg}); fix or delete the file") from error
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{place}: cannot be read ({error}); fix or delete the file") from error
    if not isinstance(about, dict):
        raise DataError(f"{place}:1: {type(about).__name__}, expected an object; fix or delete the file")
    for key in ("name", "task", "metric", "language", *_LICENCE):
        if not isinstance(about.get(key), str | None):
            raise DataError(f"{place}: `{key}` is {about[key]!r}, expected text; fix or delete it")
    return about
