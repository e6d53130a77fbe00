"""Sources, formats, carving and unlabelled text."""

import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from hypothesis import given, settings
from hypothesis import strategies as st

from eibert.corpus import Pretraining
from eibert.errors import DataError
from eibert.ingest import Ingested, ingest, local_sources, sources
from eibert.ingest.carving import carve
from eibert.ingest.describing import metric_of
from eibert.ingest.rows import Row
from eibert.matching import pair_key, text_key
from eibert.params.ingest import IngestParams

COLUMNS = {"text": "text", "text_b": "text_b", "label": "label", "id": None, "split": None}
ROWS = [(f'say "{n}", twice\tor écru', ("no", "yes", "maybe")[n % 3]) for n in range(30)]


def params(source: str = "data", **changes: Any) -> IngestParams:
    columns = {**COLUMNS, **changes.pop("columns", {})}
    fixed = {
        "source": source, "unlabelled": [], "inputs": "auto", "target": "auto", "dev_share": 0.1, "test_share": 0.1,
        "refused_rows_limit": 0, "unlabelled_limit": None, "shared_texts_min": 20_000, "sentence_chars": 40,
    }  # fmt: skip
    return IngestParams.model_validate({**fixed, **changes, "columns": columns})


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows as JSONL, gzipped if the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def labelled(rows: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"text": text, "label": label} for text, label in rows]


def task(folder: Path, *, dev: tuple[str, ...] = ("the dev text",), test: tuple[str, ...] = ("the test text",)) -> None:
    write(folder / "train.jsonl", labelled(ROWS))
    write(folder / "dev.jsonl", labelled([(text, "no") for text in dev]))
    write(folder / "test.jsonl", labelled([(text, "no") for text in test]))


def texts(ingested: Ingested, split: sources.SplitName) -> list[str]:
    return [row.text for row in ingested.splits[split]]


# Formats


def as_csv(rows: list[tuple[str, str]]) -> bytes:
    quoted = ['"' + text.replace('"', '""') + '",' + label for text, label in rows]
    return "\r\n".join(["text,label", *quoted]).encode("utf-8-sig")


def as_tsv(rows: list[tuple[str, str]]) -> bytes:
    return "".join(f"{label}\t{text}\n" for label, text in [("label", "text"), *((y, x) for x, y in rows)]).encode()


def as_jsonl(rows: list[tuple[str, str]]) -> bytes:
    return b"\xef\xbb\xbf" + "\n\n".join(json.dumps(row, ensure_ascii=False) for row in labelled(rows)).encode()


def as_parquet(rows: list[tuple[str, str]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(labelled(rows)), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("suffix", "encode"), [(".csv", as_csv), (".tsv", as_tsv), (".jsonl", as_jsonl), (".parquet", as_parquet)]
)
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str, encode: Any, packed: bool) -> None:
    rows = [(text.replace("\t", " ") if suffix == ".tsv" else text, label) for text, label in ROWS]
    data = encode(rows)
    (tmp_path / f"all{suffix}{'.gz' if packed else ''}").write_bytes(gzip.compress(data) if packed else data)
    ingested = ingest(params(f"all{suffix}{'.gz' if packed else ''}"), 1, tmp_path)
    found = [(row.text, row.label) for split in ingested.splits.values() for row in split]
    assert sorted(found) == sorted(rows)
    assert ingested.dataset["name"] == "all"


def test_text_with_line_ends_inside_quotes_stays_whole(tmp_path: Path) -> None:
    data = as_csv([*ROWS, ("two\nlines", "no")])
    (tmp_path / "all.csv").write_bytes(data)
    found = ingest(params("all.csv"), 1, tmp_path)
    assert "two\nlines" in {row.text for split in found.splits.values() for row in split}


def test_white_space_around_labels_makes_no_further_classes(tmp_path: Path) -> None:
    labels = ("no", " no", "no\t", "yes", "\u00a0yes ")
    write(tmp_path / "all.jsonl", [{"text": f" t{n} ", "label": labels[n % 5]} for n in range(40)])
    ingested = ingest(params("all.jsonl"), 1, tmp_path)
    assert ingested.dataset["labels"] == ["no", "yes"]
    assert Counter(row.label for part in ingested.splits.values() for row in part) == {"no": 24, "yes": 16}
    assert {row.text for part in ingested.splits.values() for row in part} == {f" t{n} " for n in range(40)}


@pytest.mark.parametrize(("suffix", "separator"), [("csv", ","), ("tsv", "\t")])
def test_white_space_around_column_names_does_not_count(tmp_path: Path, suffix: str, separator: str) -> None:
    rows = "".join(f"t{n}{separator} {'ab'[n % 2]}\n" for n in range(40))
    (tmp_path / f"all.{suffix}").write_text(f" text {separator} label\n{rows}")
    ingested = ingest(params(f"all.{suffix}"), 1, tmp_path)
    assert ingested.dataset["labels"] == ["a", "b"]
    assert {row.text for part in ingested.splits.values() for row in part} == {f"t{n}" for n in range(40)}


def test_integers_and_truth_values_are_class_names(tmp_path: Path) -> None:
    write(tmp_path / "all.jsonl", [{"text": f"t{n}", "label": (True, 3)[n % 2]} for n in range(30)])
    assert ingest(params("all.jsonl"), 1, tmp_path).dataset["labels"] == ["3", "true"]


# Sources


@pytest.mark.parametrize("name", ["dev", "valid", "validation", "val", "Dev", "validation-00000-of-00001"])
def test_dev_file_is_known_by_any_of_its_names(tmp_path: Path, name: str) -> None:
    write(tmp_path / "data" / "train.jsonl", labelled(ROWS))
    write(tmp_path / "data" / f"{name}.jsonl.gz", labelled([("only dev", "no")]))
    ingested = ingest(params(), 1, tmp_path)
    assert texts(ingested, "dev") == ["only dev"]
    assert ingested.dataset["carved"] == {"test": 3}


def test_shards_are_read_in_order_from_a_data_folder(tmp_path: Path) -> None:
    for shard in range(2):
        part = pa.Table.from_pylist(labelled(ROWS[shard * 15 : (shard + 1) * 15]))
        folder = tmp_path / "hub" / "data"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(part, folder / f"train-0000{shard}-of-00002.parquet")
    for split in ("dev", "test"):
        write(tmp_path / "hub" / "data" / f"{split}.jsonl", labelled([(split, "no")]))
    assert texts(ingest(params("hub"), 1, tmp_path), "train") == [text for text, _ in ROWS]


def test_dataset_json_names_the_data_set_and_its_metric(tmp_path: Path) -> None:
    task(tmp_path / "data")
    about = {"name": "grammar", "task": "classification", "metric": "Matthews correlation", "language": "en"}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(about))
    dataset = ingest(params(), 1, tmp_path).dataset
    assert {key: dataset[key] for key in ("name", "metric", "language", "pair", "carved")} == {
        "name": "grammar", "metric": "matthews", "language": "en", "pair": False, "carved": {},
    }  # fmt: skip
    assert dataset["labels"] == ["maybe", "no", "yes"]
    assert dataset["counts"]["train"] == {"maybe": 10, "no": 10, "yes": 10}


@pytest.mark.parametrize(
    ("stated", "regression", "expected"),
    [
        ("accuracy and F1", False, "accuracy"), ("AUC, F1, accuracy", False, "macro_f1"), (None, False, "accuracy"),
        ("Matthews correlation", False, "matthews"), ("masked-LM loss", False, "accuracy"),
        ("Pearson and Spearman correlation", True, "spearman"), ("macro_f1", False, "macro_f1"),
    ],
)  # fmt: skip
def test_metric_is_the_first_one_stated(stated: str | None, regression: bool, expected: str) -> None:
    assert metric_of(stated, regression) == expected


def test_second_text_makes_pairs_unless_single_is_asked_for(tmp_path: Path) -> None:
    rows = [{"text": f"a{n}", "text_b": f"b{n}", "label": str(n % 2)} for n in range(40)]
    write(tmp_path / "data" / "train.jsonl", rows)
    pairs = ingest(params(), 1, tmp_path)
    assert pairs.dataset["pair"]
    assert {row.text_b for split in pairs.splits.values() for row in split} == {f"b{n}" for n in range(40)}
    single = ingest(params(inputs="single"), 1, tmp_path)
    assert {row.text_b for split in single.splits.values() for row in split} == {None}


@pytest.mark.parametrize("told", ["params", "dataset.json"])
def test_numbers_are_read_as_numbers(tmp_path: Path, told: str) -> None:
    write(tmp_path / "data" / "train.jsonl", [{"text": f"t{n}", "label": str(n / 4)} for n in range(40)])
    if told == "dataset.json":
        (tmp_path / "data" / "dataset.json").write_text('{"task": "regression"}')
    ingested = ingest(params(target="number" if told == "params" else "auto"), 1, tmp_path)
    assert sorted(row.label for split in ingested.splits.values() for row in split) == [n / 4 for n in range(40)]
    assert (ingested.dataset["labels"], ingested.dataset["metric"]) == ([], "spearman")
    assert ingested.dataset["counts"] == {"train": 32, "dev": 4, "test": 4}


def test_split_column_of_a_single_file_is_obeyed(tmp_path: Path) -> None:
    names = ["train"] * 28 + ["validation", "test"]
    rows = [{"q": text, "y": label, "part": name} for (text, label), name in zip(ROWS, names, strict=True)]
    write(tmp_path / "all.jsonl", rows)
    ingested = ingest(params("all.jsonl", columns={"text": "q", "label": "y", "split": "part"}), 1, tmp_path)
    assert [len(ingested.splits[split]) for split in ("train", "dev", "test")] == [28, 1, 1]
    write(tmp_path / "all.jsonl", [*rows, {"q": "x", "y": "no", "part": "holdout"}])
    with pytest.raises(DataError, match=r"all\.jsonl:31: `part` is 'holdout', expected train, dev or test"):
        ingest(params("all.jsonl", columns={"text": "q", "label": "y", "split": "part"}), 1, tmp_path)


def test_hub_data_set_is_read_at_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task(tmp_path / "snapshot")
    asked: dict[str, Any] = {}

    def download(repo: str, **options: Any) -> str:
        asked.update(options, repo=repo)
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(sources, "snapshot_download", download)
    ingested = ingest(params("hf:owner/na-me@v1.0"), 1, tmp_path)
    assert (asked["repo"], asked["revision"], asked["repo_type"]) == ("owner/na-me", "v1.0", "dataset")
    assert ingested.dataset["name"] == "na-me"
    assert set(ingested.inputs) == {f"hf:owner/na-me@v1.0/{split}.jsonl" for split in ("train", "dev", "test")}


@pytest.mark.parametrize("origin", ["hf:owner/name", "hf:name@main", "hf:owner/name@", "hf:"])
def test_hub_source_without_owner_or_revision_is_refused(tmp_path: Path, origin: str) -> None:
    with pytest.raises(DataError, match=r"expected `hf:owner/name@revision`"):
        ingest(params(origin), 1, tmp_path)


def test_unreachable_hub_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise LocalEntryNotFoundError("not in the cache")

    monkeypatch.setattr(sources, "snapshot_download", download)
    with pytest.raises(
        DataError, match=r"ingest.source: hf:o/n@1: cannot be downloaded \(not in the cache\); check name"
    ):
        ingest(params("hf:o/n@1"), 1, tmp_path)


def test_local_sources_are_those_that_are_paths() -> None:
    chosen = params("../a", unlabelled=["sample", "b.txt", "hf:o/n@1", "../a"])
    assert local_sources(chosen) == ["../a", "b.txt"]
    assert local_sources(params("sample")) == []


def test_sources_are_recorded_with_digests(tmp_path: Path) -> None:
    task(tmp_path / "data")
    (tmp_path / "more.txt").write_text("hello\n")
    (tmp_path / "data" / "dataset.json").write_text('{"license": "CC BY 4.0"}')
    ingested = ingest(params(unlabelled=["more.txt", "sample"]), 1, tmp_path)
    assert [entry.get("licence") for entry in ingested.dataset["sources"]] == ["CC BY 4.0", None, None]
    uses = [(entry["source"], entry["use"], sorted(entry["files"])) for entry in ingested.dataset["sources"]]
    assert uses == [
        ("data", "labelled", ["data/dev.jsonl", "data/test.jsonl", "data/train.jsonl"]),
        ("more.txt", "unlabelled", ["more.txt"]),
        ("sample", "unlabelled", []),
    ]
    # sha256sum of "hello\n"
    assert ingested.inputs["more.txt"] == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"


# Carving

LABELS = st.lists(st.sampled_from("abc"), min_size=40, max_size=120)
REPEATED = st.lists(st.tuples(st.integers(0, 60), st.sampled_from("abc")), max_size=90)
SHARES = {"dev": 0.1, "test": 0.2}


def rows_of(pairs: list[tuple[str, Any]]) -> list[Row]:
    return [Row(text, None, label, "f", line) for line, (text, label) in enumerate(pairs, start=1)]


@given(LABELS, st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_carving_takes_each_class_in_proportion_and_loses_nothing(labels: list[str], seed: int) -> None:
    rows = rows_of([(f"text {n}", label) for n, label in enumerate(labels)])
    carved = carve(rows, SHARES, seed)  # type: ignore[arg-type]
    assert sorted(row.line for part in carved.values() for row in part) == [row.line for row in rows]
    sizes = Counter(labels)
    for split, share in SHARES.items():
        found = Counter(row.label for row in carved[split])  # type: ignore[index]
        for label, size in sizes.items():
            assert abs(found[label] - size * share) <= 1
    assert {row.label for row in carved["train"]} == set(labels)
    for part in carved.values():
        assert [row.line for row in part] == sorted(row.line for row in part)


@given(REPEATED, st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_equal_texts_stay_on_one_side(pairs: list[tuple[int, str]], seed: int) -> None:
    forms = ["Text {}", "text  {}", " TEXT {} "]
    pairs = [(number, "abc"[number % 3]) for number in range(60)] + pairs
    rows = rows_of([(forms[n % 3].format(number), label) for n, (number, label) in enumerate(pairs)])
    sides = defaultdict(set)
    for split, part in carve(rows, SHARES, seed).items():  # type: ignore[arg-type]
        for row in part:
            sides[text_key(row.text)].add(split)
    assert all(len(splits) == 1 for splits in sides.values())


def test_carving_depends_on_the_seed_alone() -> None:
    rows = rows_of([(f"text {n}", "ab"[n % 2]) for n in range(100)])
    assert carve(rows, {"dev": 0.1}, 1) == carve(rows, {"dev": 0.1}, 1)
    assert carve(rows, {"dev": 0.1}, 1) != carve(rows, {"dev": 0.1}, 2)


def test_added_rows_leave_nearly_all_others_on_their_side() -> None:
    rows = rows_of([(f"text {n}", "ab"[n % 2]) for n in range(1200)])
    before, after = (carve(part, {"dev": 0.1, "test": 0.1}, 1) for part in (rows[:1000], rows))
    held = {split: {row.text for row in part} for split, part in before.items()}
    earlier = {row.text for row in after["test"]} - {row.text for row in rows[1000:]}
    assert len(earlier) > 90
    assert len(earlier & held["test"]) >= 0.9 * len(earlier)  # a shuffle would leave a tenth


def test_order_of_the_rows_decides_nothing() -> None:
    pairs = [(f"text {n}", "ab"[n % 2]) for n in range(100)]
    sides = [{row.text for row in carve(rows_of(part), {"test": 0.1}, 1)["test"]} for part in (pairs, pairs[::-1])]
    assert sides[0] == sides[1]


def test_small_classes_with_texts_to_spare_are_in_each_carved_split() -> None:
    sizes = {"large": 200, **{f"four {n}": 4 for n in range(9)}, "three": 3, "two": 2, "one": 1}
    rows = rows_of([(f"{label} text {n}", label) for label, size in sizes.items() for n in range(size)])
    for seed in range(20):
        carved = carve(rows, {"dev": 0.1, "test": 0.1}, seed)
        found = {split: Counter(row.label for row in part) for split, part in carved.items()}
        assert {found[split][f"four {n}"] for split in ("dev", "test") for n in range(9)} == {1}
        assert {found["train"][f"four {n}"] for n in range(9)} == {2}
        assert found["dev"]["three"] + found["test"]["three"] == 1
        assert (found["train"]["two"], found["train"]["one"]) == (2, 1)
        assert 15 <= found["dev"]["large"] <= 20


def test_class_of_repeated_texts_is_in_each_carved_split() -> None:
    repeated = [(f"again {n // 7}", "repeated") for n in range(28)]  # four texts, of which 2.8 rows would be the share
    rows = rows_of([*repeated, *((f"text {n}", "other") for n in range(100))])
    carved = carve(rows, {"dev": 0.1, "test": 0.1}, 1)
    found = {split: Counter(row.label for row in part)["repeated"] for split, part in carved.items()}
    assert found == {"train": 14, "dev": 7, "test": 7}


def test_small_classes_leave_enough_for_the_later_split() -> None:
    rows = rows_of([*((f"small {n}", "small") for n in range(4)), *((f"text {n}", "other") for n in range(40))])
    for seed in range(20):
        found = [
            Counter(row.label for row in part)["small"]
            for part in carve(rows, {"dev": 0.45, "test": 0.1}, seed).values()
        ]
        assert found == [2, 1, 1]


def test_carved_numbers_come_from_their_whole_range() -> None:
    rows = rows_of([(f"text {n}", float(n)) for n in range(1000)])
    tenths = Counter(int(row.label) // 100 for row in carve(rows, {"dev": 0.1}, 3)["dev"])
    assert tenths == dict.fromkeys(range(10), 10)


def test_turned_pair_is_the_same_pair() -> None:
    assert pair_key("One  text", "another") == pair_key("ANOTHER", "one text")
    assert pair_key("one", "two") != pair_key("one", "three")


def test_existing_splits_are_not_touched_by_carving(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train.jsonl", labelled(ROWS))
    write(tmp_path / "data" / "test.jsonl", labelled(ROWS[:3]))
    ingested = ingest(params(), 1, tmp_path)
    assert texts(ingested, "test") == [text for text, _ in ROWS[:3]]
    assert ingested.dataset["carved"] == {"dev": 3}
    leaked = len({text for text, _ in ROWS[:3]} - set(texts(ingested, "dev")))  # what is carved for dev has left train
    assert ingested.metrics["rows"] == {
        "train": {"read": 30, "refused": 0, "kept": 27 - leaked, "in_dev_or_test": leaked},
        "dev": {"read": 0, "refused": 0, "kept": 3},
        "test": {"read": 3, "refused": 0, "kept": 3},
    }


def test_training_rows_of_dev_or_test_are_left_aside_and_their_classes_known(tmp_path: Path) -> None:
    rows = [("one", "a"), ("The DEV  text", "only here"), ("two", "b"), ("the test text", "a"), ("three", "b")]
    write(tmp_path / "data" / "train.jsonl", labelled(rows))
    write(tmp_path / "data" / "dev.jsonl", labelled([("the dev text", "only here")]))
    write(tmp_path / "data" / "test.jsonl", labelled([("The test text", "b")]))
    ingested = ingest(params(), 1, tmp_path)
    assert texts(ingested, "train") == ["one", "two", "three"]
    assert [(row.text, row.label, row.line) for row in ingested.leaked] == [
        ("The DEV  text", "only here", 2), ("the test text", "a", 4),
    ]  # fmt: skip
    assert ingested.dataset["labels"] == ["a", "b", "only here"]
    assert ingested.metrics["rows"]["train"] == {"read": 5, "refused": 0, "kept": 3, "in_dev_or_test": 2}


def test_a_training_pair_of_test_is_left_aside_whichever_way_round(tmp_path: Path) -> None:
    train = [{"text": f"a{n}", "text_b": f"b{n}", "label": str(n % 2)} for n in range(6)]
    held = {"dev": {"text": "a0", "text_b": "b1", "label": "0"}, "test": {"text": "B3", "text_b": "a3", "label": "1"}}
    write(tmp_path / "data" / "train.jsonl", train)
    for split, row in held.items():
        write(tmp_path / "data" / f"{split}.jsonl", [row])
    ingested = ingest(params(), 1, tmp_path)
    assert [row.text for row in ingested.leaked] == ["a3"]
    assert len(ingested.splits["train"]) == 5


# Unlabelled text


def test_text_of_dev_or_test_is_removed_from_unlabelled_text_and_counted(tmp_path: Path) -> None:
    task(tmp_path / "data")
    (tmp_path / "u.txt").write_text("a new text\nThe  DEV text\n\n the test text\na new text\nA NEW TEXT\nanother\n")
    ingested = ingest(params(unlabelled=["u.txt"]), 1, tmp_path)
    assert ingested.unlabelled == ["a new text", "another"]
    few = ingested.pretraining
    assert few.texts == [*((text, None) for text, _ in ROWS), ("a new text", None), ("another", None)]
    assert few.held_out == ingested.held_out
    assert [ingested.held_out.has(text) for text in ("the  dev TEXT", "The test text", "another")] == [
        True,
        True,
        False,
    ]
    assert ingested.metrics["unlabelled"] == {
        "read": 7, "refused": 0, "empty": 1, "split": 0, "split_into": 0, "in_dev_or_test": 2, "duplicates": 2,
        "over_limit": 0, "kept": 2,
    }  # fmt: skip


def test_both_texts_of_held_out_pairs_are_removed(tmp_path: Path) -> None:
    rows = [{"text": f"a{n}", "text_b": f"b{n}", "label": str(n % 2)} for n in range(40)]
    write(tmp_path / "data" / "train.jsonl", rows)
    (tmp_path / "u.txt").write_text("".join(f"a{n}\nb{n}\n" for n in range(40)))
    ingested = ingest(params(unlabelled=["u.txt"]), 1, tmp_path)
    held_out = {text for split in ("dev", "test") for row in ingested.splits[split] for text in (row.text, row.text_b)}  # type: ignore[index]
    assert set(ingested.unlabelled) == {f"{side}{n}" for side in "ab" for n in range(40)} - held_out
    assert ingested.metrics["unlabelled"]["in_dev_or_test"] == 16


@pytest.mark.parametrize("limit", [60, 80], ids=["a long test text", "a short one"])
def test_long_document_is_split_and_held_out_sentences_fall_out(limit: int, tmp_path: Path) -> None:
    test = "The hall was full of smoke. Nobody could see the door any more."
    task(tmp_path / "data", test=(test,))
    document = "Nobody could see the door any more. Then the lights came back on, first in the hall."
    (tmp_path / "u.txt").write_text(f"{test}\n{document}\n")
    ingested = ingest(params(unlabelled=["u.txt"], sentence_chars=limit), 1, tmp_path)
    assert ingested.unlabelled == ["Then the lights came back on, first in the hall."]
    assert ingested.metrics["unlabelled"]["in_dev_or_test"] == 2
    assert ingested.metrics["unlabelled"]["split_into"] == 2


def test_unlabelled_folder_gives_its_train_file_or_all_files_without_split_names(tmp_path: Path) -> None:
    task(tmp_path / "data")
    for name in ("train", "dev", "test", "notes"):
        write(tmp_path / "split" / f"{name}.jsonl", [{"text": f"from {name}"}])
    for name in ("one", "two"):
        write(tmp_path / "whole" / f"{name}.jsonl.gz", [{"text": f"from {name}"}])
    assert ingest(params(unlabelled=["split"]), 1, tmp_path).unlabelled == ["from train"]
    assert ingest(params(unlabelled=["whole"]), 1, tmp_path).unlabelled == ["from one", "from two"]


def test_unlabelled_column_is_the_configured_one_else_text_else_the_only_one(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train.jsonl", [{"q": text, "label": label} for text, label in ROWS])
    write(tmp_path / "a.jsonl", [{"q": "first", "text": "no"}])
    write(tmp_path / "b.jsonl", [{"text": "second", "other": "no"}])
    (tmp_path / "c.csv").write_text("anything\nthird\n\n")
    write(tmp_path / "d.jsonl", [{"text": "fourth", "text_b": "fifth"}])
    chosen = params(unlabelled=["a.jsonl", "b.jsonl", "c.csv", "d.jsonl"], columns={"text": "q"})
    assert ingest(chosen, 1, tmp_path).unlabelled == ["first", "second", "third", "fourth", "fifth"]


def test_unlabelled_limit_draws_by_seed_and_keeps_the_order(tmp_path: Path) -> None:
    task(tmp_path / "data")
    (tmp_path / "u.txt").write_text("".join(f"text {n:03}\n" for n in range(100)))
    drawn = [ingest(params(unlabelled=["u.txt"], unlabelled_limit=30), seed, tmp_path).unlabelled for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == sorted(drawn[0])
    assert len(set(drawn[0])) == 30


def test_without_unlabelled_text_pretraining_reads_train_less_dev_and_test(tmp_path: Path) -> None:
    task(tmp_path / "data", dev=(ROWS[4][0].upper(),), test=("never seen",))
    ingested = ingest(params(), 1, tmp_path)
    assert ingested.unlabelled == []
    assert ingested.pretraining.texts == [(text, None) for n, (text, _) in enumerate(ROWS) if n != 4]


def test_much_unlabelled_text_is_pretrained_on_alone_so_that_models_share_it(
    tmp_path: Path,
) -> None:
    texts = [f"plain {n}" for n in range(30)]
    (tmp_path / "u.txt").write_text("\n".join(texts))
    found = []
    for held in ("one", "two"):
        task(tmp_path / held / "data", dev=(held,))
        (tmp_path / held / "u.txt").write_text("\n".join(texts))
        found.append(ingest(params(unlabelled=["u.txt"], shared_texts_min=30), 1, tmp_path / held).pretraining)
    assert found[0] == found[1] == Pretraining([(text, None) for text in texts], pairs=False, held_out=None)


def test_pairs_are_pretrained_on_as_pairs_less_those_of_dev_and_test(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    train = [(f"first {n}", f"second {n}", "ab"[n % 2]) for n in range(12)]
    held = {"dev": [("SECOND 4", "first 4", "a"), ("x", "y", "b")], "test": [("first 5", "second 6", "a"), *[train[7]]]}
    for name, rows in {"train": [*train, train[0]], **held}.items():
        lines = [json.dumps({"text": one, "text_b": other, "label": label}) for one, other, label in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    (tmp_path / "u.txt").write_text("alone\nfirst 5\n")
    ingested = ingest(params(unlabelled=["u.txt"]), 1, tmp_path)
    kept = [(one, other) for n, (one, other, _) in enumerate(train) if n not in (4, 7)]
    assert ingested.pretraining.texts == [
        *kept,
        ("alone", None),
    ]  # "first 5" stands in a row of test, its pair does not


@given(st.lists(st.text("ab. \n。", max_size=120), max_size=12))
@settings(max_examples=60, deadline=None)
def test_every_unlabelled_text_is_accounted_for(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    workspace = tmp_path_factory.mktemp("w")
    task(workspace / "data", dev=("a",), test=("b b",))
    write(workspace / "u.jsonl", [{"text": line} for line in [*lines, "b"]])
    counts = ingest(params(unlabelled=["u.jsonl"], unlabelled_limit=5), 1, workspace).metrics["unlabelled"]
    assert counts["read"] == len(lines) + 1
    whole = counts["read"] - counts["refused"] - counts["empty"] - counts["split"]
    left = counts["in_dev_or_test"] + counts["duplicates"] + counts["over_limit"] + counts["kept"]
    assert whole + counts["split_into"] == left


def test_sample_is_a_source_like_any_other(tmp_path: Path) -> None:
    chosen = params("sample", unlabelled=["sample"], sentence_chars=300)
    ingested = ingest(chosen, 5, tmp_path)
    assert [len(ingested.splits[split]) for split in ("train", "dev", "test")] == [6000, 1000, 1000]
    assert len(ingested.unlabelled) == 20000
    assert ingested.dataset["sources"][0]["version"] >= 1
    assert ingested == ingest(chosen, 5, tmp_path)
