"""Takes in new rows: from `retrain.incoming` to the folder named by `ingest.source`, which belongs to the retraining.

Files are kept byte for byte, as shards in order of arrival, and identified by SHA-256: a file already there is not
taken twice, and one that begins with the bytes of an earlier file is that file grown, and replaces it; the earlier file
is still there then, as its beginning. The folder is swapped as a whole, carrying over whatever in it `ingest` does not
read. A copy of the old folder is kept until both gates pass: if one refuses the rows, `put_back` restores the copy, and
a corrected delivery is taken in next time.
"""

import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from eibert import artifact, atomic
from eibert.corpus import SplitName
from eibert.errors import DataError
from eibert.ingest.reading import stem_of, suffix_of
from eibert.ingest.sources import SAMPLE, File, Source, find
from eibert.params.load import Params
from eibert.params.retrain import Mode
from flows.workspace import Workspace

_KEY = "retrain.incoming"
_ASIDE = "rows-before"
_ROWS, _PLACE = "rows", "place.txt"
"""In the backup: the rows, and their folder's path relative to the workspace."""
_BLOCK_BYTES = 1 << 20
_DESCRIPTION = "dataset.json"
_NO_ROWS = Source("", "", {})


def refresh(workspace: Workspace, params: Params) -> str:
    """Takes in what has arrived; returns what happened in one line, or "" if the sources are read in place.

    Raises:
        DataError: nothing can be read at `retrain.incoming`, or it lies in `ingest.source`; `ingest.source` is not a
            folder of the workspace, or has files but no rows; or the files of one split have two formats.
    """
    incoming, mode = params.retrain.incoming, params.retrain.mode
    if incoming is None:
        return ""
    target = _target(workspace, params.ingest.source)
    _check_apart(workspace, incoming, target)
    put_back(workspace)  # a killed retraining left it pending
    _clear(workspace)
    place = workspace.folder / incoming
    if place.is_dir() and not _holds_files(place):
        return f"{incoming}: nothing new"
    source = find(incoming, workspace.folder, _KEY)
    arrived = _by_split(source)
    before = find(str(target), workspace.folder, "ingest.source") if _holds_files(target) else _NO_ROWS
    earlier = _paths(before.labelled)
    if mode is Mode.REPLACE:
        wanted, new = arrived, sum(map(len, arrived.values()))
        if _digests(arrived) == _digests(earlier):
            return f"{incoming}: nothing new"
    else:
        wanted, new = _together(earlier, arrived)
        if not new:
            return f"{incoming}: nothing new"
    _check_formats(wanted)
    _set_aside(workspace, target)
    _exchange(target, before, wanted, source.about)
    return f"{incoming}: copied {new} file{'' if new == 1 else 's'} into {params.ingest.source} ({mode})"


def put_back(workspace: Workspace) -> bool:
    """Restores the rows from before the last `refresh`; returns whether there was anything to restore.

    They go back where they came from, whatever `ingest.source` names by now.
    """
    aside = _aside(workspace)
    if not aside.is_dir():
        return False
    if (aside / _ROWS).is_dir():  # otherwise a kill came just after they went back
        place = (aside / _PLACE).read_text(encoding="utf-8")
        atomic.take_place(aside / _ROWS, workspace.folder / place)
    shutil.rmtree(aside)
    return True


def is_undecided(workspace: Workspace) -> bool:
    """Returns whether rows were taken in that the gates have not accepted yet."""
    return _aside(workspace).is_dir()


def accept(workspace: Workspace) -> None:
    """Accepts the rows that the last `refresh` took in."""
    if not is_undecided(workspace):
        return
    _clear(workspace)
    aside = _aside(workspace)
    aside.rename(aside.with_name(f".{_ASIDE}.gone"))  # accepted from here on, even if a kill leaves parts of it
    _clear(workspace)


def _aside(workspace: Workspace) -> Path:
    return workspace.private() / _ASIDE


def _clear(workspace: Workspace) -> None:
    """Removes what a kill left beside the backup."""
    for stale in workspace.private().glob(f"*{_ASIDE}?*"):
        shutil.rmtree(stale, ignore_errors=True)


def _set_aside(workspace: Workspace, target: Path) -> None:
    """Backs up a folder, which need not exist, with a note of its path; atomic."""
    with atomic.folder(_aside(workspace)) as part:
        (part / _PLACE).write_text(target.relative_to(workspace.folder).as_posix(), encoding="utf-8")
        if target.is_dir():
            shutil.copytree(target, part / _ROWS, symlinks=True)
        else:
            (part / _ROWS).mkdir()


def _target(workspace: Workspace, source: str) -> Path:
    target = (workspace.folder / source).resolve()
    if source == SAMPLE or source.startswith("hf:") or workspace.folder not in target.parents or target.is_file():
        raise DataError(
            f"ingest.source: {source}: expected a folder inside the workspace, where {_KEY} puts incoming files; "
            "set it to `rows`, with the first files in it"
        )
    return target


def _check_apart(workspace: Workspace, incoming: str, target: Path) -> None:
    """Refuses a delivery inside the folder that is swapped and restored as a whole."""
    if target in (workspace.folder / incoming).resolve().parents:
        raise DataError(
            f"{_KEY}: {incoming}: is inside {target}, expected a place outside `ingest.source`; "
            "move it, or name another"
        )


def _holds_files(folder: Path) -> bool:
    return any(path.is_file() or path.is_symlink() for path in folder.rglob("*"))  # a link may point to a whole folder


def _paths(files: Mapping[SplitName, list[File]]) -> dict[SplitName, list[Path]]:
    return {split: [file.path for file in group] for split, group in files.items()}


def _by_split(source: Source) -> dict[SplitName, list[Path]]:
    """The arriving files of each split; a file whose name tells no split holds training rows."""
    found = _paths(source.files)
    if source.other:
        found["train"] = [*found.get("train", []), *(file.path for file in source.other)]
    return found


def _digests(files: Mapping[SplitName, Iterable[Path]]) -> dict[SplitName, list[str]]:
    return {split: [artifact.sha256(path) for path in paths] for split, paths in files.items()}


def _together(
    earlier: Mapping[SplitName, list[Path]], arrived: Mapping[SplitName, list[Path]]
) -> tuple[dict[SplitName, list[Path]], int]:
    """The earlier files followed by the new ones, grown files in place of their old versions; and how many are new."""
    wanted = {split: list(paths) for split, paths in earlier.items()}
    for split, paths in arrived.items():
        listed = wanted.setdefault(split, [])
        known = {artifact.sha256(path) for path in listed}
        for path in paths:
            digest = artifact.sha256(path)
            if digest in known or any(_begins_with(other, path) for other in listed):
                continue
            known.add(digest)
            _add(path, listed)
    new = sum(path not in earlier.get(split, ()) for split, paths in wanted.items() for path in paths)
    return wanted, new


def _add(path: Path, listed: list[Path]) -> None:
    """Adds a file to a list, in place of those with whose bytes it begins."""
    outgrown = [old for old in listed if _begins_with(path, old)]
    listed.insert(listed.index(outgrown[0]) if outgrown else len(listed), path)
    for old in outgrown:
        listed.remove(old)


def _begins_with(path: Path, earlier: Path) -> bool:
    if not 0 < earlier.stat().st_size < path.stat().st_size:
        return False
    with path.open("rb") as file, earlier.open("rb") as start:
        while block := start.read(_BLOCK_BYTES):
            if file.read(len(block)) != block:
                return False
    return True


def _check_formats(files: Mapping[SplitName, list[Path]]) -> None:
    for split, paths in files.items():
        formats = {suffix_of(path): path for path in paths}
        if len(formats) > 1:
            names = " and ".join(str(path.resolve()) for path in formats.values())
            raise DataError(f"{_KEY}: {names} have different formats, expected one for {split}; convert the new one")


def _exchange(target: Path, before: Source, files: Mapping[SplitName, list[Path]], about: Mapping[str, Any]) -> None:
    """Replaces the files with rows in a folder by copies of others, as shards, and carries over everything else in it.

    If the folder has no description, the arriving one is written.
    """
    replaced = {file.path for group in before.labelled.values() for file in group}
    held = (file.path.parent.relative_to(target) for group in (*before.files.values(), before.other) for file in group)
    rows = next(held, Path())
    with atomic.folder(target) as part:
        if target.is_dir():
            _carry_over(target, part, replaced, links=True)
        place = part / rows
        if place.is_symlink():
            place.unlink()  # its target belongs to others
            _carry_over(target / rows, place, replaced, links=False)
        place.mkdir(exist_ok=True)
        for split, paths in files.items():
            for index, path in enumerate(paths):
                ending = path.name[len(stem_of(path)) :]
                shutil.copyfile(path, place / f"{split}-{index:05}-of-{len(paths):05}{ending}")
        if about and not (part / _DESCRIPTION).is_file():
            artifact.write_json(part / _DESCRIPTION, about)


def _carry_over(source: Path, target: Path, replaced: Collection[Path], *, links: bool) -> None:
    """Copies a folder without some of its files; links stay links, or what they point to is copied."""

    def left_out(folder: str, names: list[str]) -> list[str]:
        paths = {name: Path(folder, name) for name in names}
        return [name for name, path in paths.items() if path in replaced or not (links or path.exists())]

    shutil.copytree(source, target, symlinks=links, ignore=left_out, dirs_exist_ok=True)
