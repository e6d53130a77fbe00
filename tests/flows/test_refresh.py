"""What is added, what is kept, and what is refused before a retraining."""

import contextlib
import gzip
import itertools
import shutil
from pathlib import Path

import pytest

from eibert.errors import DataError
from eibert.params.load import Params
from eibert.params.retrain import Mode
from flows.refresh import accept, is_undecided, put_back, refresh
from flows.workspace import Workspace

TRAIN = "text,label\nplay a song,play\nstop it,stop\n"


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """A workspace with its own rows, and a folder of deliveries beside it."""
    folder = tmp_path / "w"
    (folder / "rows").mkdir(parents=True)
    (tmp_path / "in").mkdir()
    return Workspace(folder, tmp_path)


def taking(params: Params, incoming: str | None = "../in", mode: Mode = Mode.APPEND, source: str = "rows") -> Params:
    return params.model_copy(
        update={
            "retrain": params.retrain.model_copy(update={"incoming": incoming, "mode": mode}),
            "ingest": params.ingest.model_copy(update={"source": source}),
        }
    )


def deliver(place: Workspace, name: str, text: str) -> None:
    (place.root / "in" / name).write_text(text)


def rows(place: Workspace) -> dict[str, str]:
    folder = place.folder / "rows"
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def put(place: Workspace, files: dict[str, str]) -> dict[str, str]:
    """Writes files into the workspace's rows."""
    for name, text in files.items():
        path = place.folder / "rows" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return files


def test_nothing_is_done_where_sources_are_read_in_place(place: Workspace, params: Params) -> None:
    assert refresh(place, taking(params, None, source="gone")) == ""


def test_arriving_files_stand_behind_the_earlier_ones_byte_by_byte(place: Workspace, params: Params) -> None:
    (place.folder / "rows" / "train.csv").write_text(TRAIN)
    for split in ("dev", "test"):
        (place.folder / "rows" / f"{split}.csv").write_text(TRAIN)
    deliver(place, "monday.csv", "label,text\r\nstop,halt\r\n")
    assert "copied 1 file into rows (append)" in refresh(place, taking(params))
    assert rows(place) == {
        "dev-00000-of-00001.csv": TRAIN,
        "test-00000-of-00001.csv": TRAIN,
        "train-00000-of-00002.csv": TRAIN,
        "train-00001-of-00002.csv": (place.root / "in" / "monday.csv").read_text(),
    }


def test_what_arrived_before_is_taken_once(place: Workspace, params: Params) -> None:
    deliver(place, "monday.csv", TRAIN)
    refresh(place, taking(params))
    accept(place)
    before = rows(place)
    deliver(place, "copy of monday.csv", TRAIN)
    assert refresh(place, taking(params)).endswith("nothing new")
    assert rows(place) == before


def test_what_arrives_twice_at_once_is_taken_once(place: Workspace, params: Params) -> None:
    deliver(place, "monday.csv", TRAIN)
    deliver(place, "copy of monday.csv", TRAIN)
    assert "copied 1 file" in refresh(place, taking(params))
    assert rows(place) == {"train-00000-of-00001.csv": TRAIN}


def test_a_file_that_has_grown_takes_its_own_place(place: Workspace, params: Params) -> None:
    deliver(place, "log.csv", TRAIN)
    refresh(place, taking(params))
    accept(place)
    deliver(place, "log.csv", TRAIN + "halt,stop\n")
    refresh(place, taking(params))
    assert rows(place) == {"train-00000-of-00001.csv": TRAIN + "halt,stop\n"}


def test_a_file_that_another_continues_is_not_taken_again(place: Workspace, params: Params) -> None:
    grown = TRAIN + "halt,stop\n"
    deliver(place, "2026-01.csv", TRAIN)
    refresh(place, taking(params))
    accept(place)
    deliver(place, "2026-02.csv", grown)
    assert "copied 1 file" in refresh(place, taking(params))
    accept(place)
    for _ in range(2):
        assert refresh(place, taking(params)).endswith("nothing new")
        assert rows(place) == {"train-00000-of-00001.csv": grown}


@pytest.mark.parametrize("lengths", list(itertools.permutations([2, 3, 4])))
def test_of_files_that_continue_each_other_the_longest_is_taken(
    lengths: tuple[int, ...], place: Workspace, params: Params
) -> None:
    lines = ["text,label\n", "play a song,play\n", "stop it,stop\n", "halt,stop\n"]
    for number, length in enumerate(lengths):
        deliver(place, f"{number}.csv", "".join(lines[:length]))
    assert "copied 1 file into" in refresh(place, taking(params))
    assert rows(place) == {"train-00000-of-00001.csv": "".join(lines)}


def test_a_grown_file_takes_the_place_of_all_that_it_continues(place: Workspace, params: Params) -> None:
    """As where a file and its beginning were both taken in."""
    put(place, {
        "train-00000-of-00003.csv": TRAIN + "halt,stop\n",
        "train-00001-of-00003.csv": "text,label\nhush,stop\n",
        "train-00002-of-00003.csv": TRAIN,
    })  # fmt: skip
    deliver(place, "log.csv", TRAIN + "halt,stop\nsing,play\n")
    assert "copied 1 file" in refresh(place, taking(params))
    assert rows(place) == {
        "train-00000-of-00002.csv": TRAIN + "halt,stop\nsing,play\n",
        "train-00001-of-00002.csv": "text,label\nhush,stop\n",
    }


def test_a_packed_file_that_another_continues_is_not_taken_again(place: Workspace, params: Params) -> None:
    first, second = (gzip.compress(text.encode(), mtime=0) for text in (TRAIN, "halt,stop\n"))
    (place.folder / "rows" / "train.csv.gz").write_bytes(first + second)
    (place.root / "in" / "day.csv.gz").write_bytes(first)
    assert refresh(place, taking(params)).endswith("nothing new")


def test_an_empty_file_is_the_beginning_of_no_other(place: Workspace, params: Params) -> None:
    put(place, {"train.csv": TRAIN})
    deliver(place, "empty.csv", "")
    assert "copied 1 file" in refresh(place, taking(params))
    accept(place)
    assert rows(place) == {"train-00000-of-00002.csv": TRAIN, "train-00001-of-00002.csv": ""}
    assert refresh(place, taking(params)).endswith("nothing new")


def test_replacing_forgets_what_was_there(place: Workspace, params: Params) -> None:
    (place.folder / "rows" / "train.csv").write_text(TRAIN)
    (place.folder / "rows" / "dataset.json").write_text('{"metric": "macro_f1"}')
    deliver(place, "train.csv", "text,label\nhalt,stop\n")
    refresh(place, taking(params, mode=Mode.REPLACE))
    accept(place)
    assert rows(place) == {
        "dataset.json": '{"metric": "macro_f1"}',
        "train-00000-of-00001.csv": "text,label\nhalt,stop\n",
    }
    assert refresh(place, taking(params, mode=Mode.REPLACE)).endswith("nothing new")


def test_ingest_reads_the_shards_in_the_order_of_arrival(place: Workspace, params: Params) -> None:
    from eibert.ingest.labelled import read_labelled
    from eibert.ingest.sources import find

    for number in range(3):
        path = place.root / "in" / f"day{number}.csv.gz"
        path.write_bytes(gzip.compress(f"text,label\nfirst {number},a\nsecond {number},b\n".encode()))
        refresh(place, taking(params))
        accept(place)
    found = read_labelled(find("rows", place.folder, "ingest.source"), params.ingest)
    texts = [row.text for row in found.splits["train"]]
    assert texts == [f"{word} {number}" for number in range(3) for word in ("first", "second")]


@pytest.mark.parametrize("source", ["sample", "hf:owner/name@main", "../in", "..", "."])
def test_rows_of_others_are_never_written_to(place: Workspace, params: Params, source: str) -> None:
    deliver(place, "train.csv", TRAIN)
    with pytest.raises(DataError, match="expected a folder inside the workspace"):
        refresh(place, taking(params, source=source))
    assert (place.root / "in" / "train.csv").read_text() == TRAIN


def test_two_formats_are_refused_and_nothing_is_taken(place: Workspace, params: Params) -> None:
    (place.folder / "rows" / "train.csv").write_text(TRAIN)
    deliver(place, "more.jsonl", '{"text": "halt", "label": "stop"}\n')
    with pytest.raises(DataError, match=r"more\.jsonl.*different formats"):
        refresh(place, taking(params))
    assert rows(place) == {"train.csv": TRAIN}


@pytest.mark.parametrize("mode", Mode)
def test_an_empty_delivery_brings_nothing_new(mode: Mode, place: Workspace, params: Params) -> None:
    (place.folder / "rows" / "train.csv").write_text(TRAIN)
    assert refresh(place, taking(params, mode=mode)).endswith(": nothing new")
    assert rows(place) == {"train.csv": TRAIN}


def test_a_delivery_that_cannot_be_read_is_named(place: Workspace, params: Params) -> None:
    deliver(place, "notes.docx", "?")
    with pytest.raises(DataError, match="no data files"):
        refresh(place, taking(params))
    shutil.rmtree(place.root / "in")
    with pytest.raises(DataError, match=r"retrain\.incoming: .*in: "):
        refresh(place, taking(params))


def test_refused_rows_go_out_again_and_a_mended_delivery_comes_in(place: Workspace, params: Params) -> None:
    (place.folder / "rows" / "train.csv").write_text(TRAIN)
    deliver(place, "day.csv", "text,label\nplay it,stop\n")
    refresh(place, taking(params))
    assert put_back(place)
    assert rows(place) == {"train.csv": TRAIN}
    assert not put_back(place)
    deliver(place, "day.csv", "text,label\nplay it,play\n")
    refresh(place, taking(params))
    accept(place)
    assert not put_back(place)
    assert rows(place)["train-00001-of-00002.csv"] == "text,label\nplay it,play\n"


@pytest.mark.parametrize("name", ["rows-earlier", "行" * 60, "a b'%2F"])
def test_rows_go_back_whatever_their_folder_is_called(place: Workspace, params: Params, name: str) -> None:
    (place.folder / name).mkdir()
    (place.folder / name / "train.csv").write_text(TRAIN)
    deliver(place, "train.csv", "text,label\nbad,bad\n")
    refresh(place, taking(params, mode=Mode.REPLACE, source=name))
    assert "bad" in next((place.folder / name).glob("train*")).read_text()
    assert put_back(place)
    assert [path.read_text() for path in (place.folder / name).iterdir()] == [TRAIN]
    assert not is_undecided(place)


def test_a_killed_retraining_leaves_nothing_undecided(place: Workspace, params: Params) -> None:
    """Rows that were not fully judged are removed before the next delivery is examined."""
    (place.folder / "rows" / "train.csv").write_text(TRAIN)
    deliver(place, "day.csv", "text,label\nplay it,stop\n")
    refresh(place, taking(params))
    (place.root / "in" / "day.csv").unlink()
    deliver(place, "other.csv", "text,label\nhalt,stop\n")
    refresh(place, taking(params))
    assert sorted(rows(place).values()) == sorted([TRAIN, "text,label\nhalt,stop\n"])


def test_rows_go_back_where_they_came_from_though_the_source_is_another_by_now(
    place: Workspace, params: Params
) -> None:
    put(place, {"train.csv": TRAIN})
    others = put(place, {"../all/more/train.csv": "text,label\nhush,stop\n"})
    deliver(place, "day.csv", "text,label\nplay it,stop\n")
    refresh(place, taking(params))
    elsewhere = taking(params, source="all/more")
    refresh(place, elsewhere)  # the other was killed, and a person changed the source
    assert rows(place) == {"train.csv": TRAIN}
    assert put_back(place)
    assert [path.name for path in (place.folder / "all" / "more").iterdir()] == ["train.csv"]
    assert (place.folder / "all" / "more" / "train.csv").read_text() == next(iter(others.values()))
    assert list(place.private().iterdir()) == []


def test_rows_are_back_however_far_a_kill_let_it_come(
    place: Workspace, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place, {"train.csv": TRAIN, "test.csv": TRAIN})
    before = rows(place)
    deliver(place, "day.csv", "text,label\nhalt,stop\n")
    refresh(place, taking(params))
    for _ in range(2):  # halfway through each folder being removed
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(shutil, "rmtree", lambda folder, **_: lose_one_file(folder) if folder.is_dir() else None)
            put_back(place)
    put_back(place)
    assert rows(place) == before
    assert not is_undecided(place)


ABOUT = {"README.md": "whose rows", "LICENSE": "CC0", "notes/of/2024.txt": "as found", "data/seen.md": "by whom"}
"""What a hub folder contains besides its rows."""


@pytest.mark.parametrize("about", [{}, ABOUT], ids=["rows alone", "with papers"])
def test_rows_in_a_data_folder_are_kept_there_and_put_back_whole(
    about: dict[str, str], place: Workspace, params: Params
) -> None:
    before = put(place, {"data/train.csv": TRAIN, "data/test.csv": "text,label\nhush,stop\n"} | about)
    deliver(place, "day.csv", "text,label\nplay it,stop\n")
    refresh(place, taking(params))
    after = about | {
        "data/train-00000-of-00002.csv": TRAIN,
        "data/train-00001-of-00002.csv": "text,label\nplay it,stop\n",
        "data/test-00000-of-00001.csv": "text,label\nhush,stop\n",
    }
    assert rows(place) == after
    assert put_back(place)
    assert rows(place) == before
    refresh(place, taking(params))
    accept(place)
    assert rows(place) == after
    assert refresh(place, taking(params)).endswith("nothing new")


@pytest.mark.parametrize("mode", list(Mode))
def test_what_is_no_row_is_carried_over(mode: Mode, place: Workspace, params: Params) -> None:
    put(place, {"train.csv": TRAIN} | ABOUT)
    (place.folder / "rows" / "latest").symlink_to("train.csv")
    deliver(place, "train.csv", "text,label\nhalt,stop\n")
    refresh(place, taking(params, mode=mode))
    accept(place)
    found = rows(place)
    assert {name: found.get(name) for name in ABOUT} == ABOUT
    assert (place.folder / "rows" / "latest").readlink() == Path("train.csv")


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("folder", ["", "data/"])
def test_rows_that_ingest_does_not_read_stay_as_they_are(
    folder: str, mode: Mode, place: Workspace, params: Params
) -> None:
    before = put(place, {f"{folder}{name}.csv": f"text,label\n{name},stop\n" for name in ("train", "dev", "excluded")})
    deliver(place, "train.csv", "text,label\nhalt,stop\n")
    refresh(place, taking(params, mode=mode))
    expected = {f"{folder}excluded.csv": "text,label\nexcluded,stop\n"}
    if mode is Mode.APPEND:
        expected |= {
            f"{folder}dev-00000-of-00001.csv": "text,label\ndev,stop\n",
            f"{folder}train-00000-of-00002.csv": "text,label\ntrain,stop\n",
            f"{folder}train-00001-of-00002.csv": "text,label\nhalt,stop\n",
        }
    else:
        expected |= {f"{folder}train-00000-of-00001.csv": "text,label\nhalt,stop\n"}
    assert rows(place) == expected
    assert put_back(place)
    assert rows(place) == before


def test_new_rows_lie_beside_files_none_of_which_ingest_reads(place: Workspace, params: Params) -> None:
    before = put(place, {"data/a.csv": TRAIN, "data/b.csv": TRAIN})
    deliver(place, "train.csv", "text,label\nhalt,stop\n")
    refresh(place, taking(params))
    assert rows(place) == before | {"data/train-00000-of-00001.csv": "text,label\nhalt,stop\n"}


def test_a_single_first_file_holds_training_rows_whatever_its_name(place: Workspace, params: Params) -> None:
    put(place, {"mine.csv": TRAIN})
    deliver(place, "day.csv", "text,label\nhalt,stop\n")
    refresh(place, taking(params))
    assert rows(place) == {
        "train-00000-of-00002.csv": TRAIN,
        "train-00001-of-00002.csv": "text,label\nhalt,stop\n",
    }


def test_what_lies_beside_rows_behind_a_link_is_copied(place: Workspace, params: Params) -> None:
    store, linked = place.root / "store", place.root / "linked"
    store.mkdir()
    linked.mkdir()
    (store / "blob").write_text(TRAIN)
    for name in ("train.csv", "excluded.csv"):
        (linked / name).symlink_to("../store/blob")
    (linked / "gone.csv").symlink_to("../store/gone")
    (place.folder / "rows" / "data").symlink_to(linked)
    deliver(place, "day.csv", "text,label\nhalt,stop\n")
    refresh(place, taking(params))
    assert rows(place) == {
        "data/excluded.csv": TRAIN,
        "data/train-00000-of-00002.csv": TRAIN,
        "data/train-00001-of-00002.csv": "text,label\nhalt,stop\n",
    }
    assert len(list(linked.iterdir())) == 3


def test_rows_behind_a_link_are_left_as_they_are(place: Workspace, params: Params) -> None:
    elsewhere = place.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "train.csv").write_text(TRAIN)
    (place.folder / "rows" / "data").symlink_to(elsewhere)
    deliver(place, "day.csv", "text,label\nhalt,stop\n")
    refresh(place, taking(params))
    assert len(list((place.folder / "rows" / "data").iterdir())) == 2
    assert [path.name for path in elsewhere.iterdir()] == ["train.csv"]
    put_back(place)
    assert (place.folder / "rows" / "data").readlink() == elsewhere


def test_a_folder_without_rows_among_its_files_is_refused_and_left_as_it_is(place: Workspace, params: Params) -> None:
    before = put(place, {"old/train.csv": TRAIN})
    deliver(place, "train.csv", "text,label\nhalt,stop\n")
    with pytest.raises(DataError, match="no data files in it or in its `data` folder"):
        refresh(place, taking(params))
    assert rows(place) == before


def test_a_delivery_inside_the_rows_is_refused(place: Workspace, params: Params) -> None:
    before = put(place, {"train.csv": TRAIN, "new/day.csv": TRAIN})
    with pytest.raises(DataError, match=r"retrain\.incoming: rows/new: is inside .*, expected a place outside"):
        refresh(place, taking(params, "rows/new"))
    assert rows(place) == before


def test_rows_accepted_stay_however_much_of_the_earlier_ones_a_kill_leaves(
    place: Workspace, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place, {"train.csv": TRAIN, "test.csv": TRAIN})
    deliver(place, "day.csv", "text,label\nhalt,stop\n")
    refresh(place, taking(params))
    taken = rows(place)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lose_one_file)
        with pytest.raises(KeyboardInterrupt):
            accept(place)
    assert refresh(place, taking(params)).endswith("nothing new")
    assert rows(place) == taken
    assert not is_undecided(place)
    assert list(place.private().iterdir()) == []


def lose_one_file(folder: Path, **_: object) -> None:
    """What is left if a kill interrupts the removal of a folder."""
    next(path for path in sorted(folder.rglob("*")) if path.is_file()).unlink()
    raise KeyboardInterrupt
