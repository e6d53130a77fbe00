"""Any source into one typed layout: labelled splits, and unlabelled text disjoint from dev and test.

No row is silently dropped or changed: each is in a split, among the refused rows, or in a count.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eibert import sample
from eibert.artifact import sha256
from eibert.corpus import Pretraining, SplitName, Text
from eibert.ingest.carving import carve
from eibert.ingest.describing import describe
from eibert.ingest.labelled import Labelled, read_labelled, texts_of
from eibert.ingest.rows import File, Refused, RefusedRowsError, Row
from eibert.ingest.sources import SAMPLE, SPLITS, Source, find, local_sources
from eibert.ingest.unlabelled import Collection, Counts, collect, files_of
from eibert.matching import HeldOut, pair_key
from eibert.params.ingest import IngestParams
from eibert.redact import redacted

__all__ = ["Ingested", "Refused", "RefusedRowsError", "ingest", "local_sources"]

_SHOWN = 5
_HELD: tuple[SplitName, ...] = ("dev", "test")


@dataclass(frozen=True)
class Ingested:
    """What was read from the sources.

    Attributes:
        dataset: Description of the data set, as in dataset.json of the artifact.
        splits: Rows of train, dev and test; no training row occurs in dev or test.
        leaked: The training rows that do; the data gate judges them, nothing is trained on them.
        unlabelled: Unique texts without labels.
        pretraining: Texts to pre-train on, none of which occurs in dev or test: the unlabelled ones alone if there are
            at least `shared_texts_min`, so that models can share them; else, and for pairs, also the training texts.
        held_out: The rows of dev and test.
        refused: Unusable rows, no more than allowed.
        metrics: Counts of rows and texts: read, refused, kept, and removed by reason.
        inputs: SHA-256 of each file read, by name.
        notes: What to tell about the sources, one line each; names places of this machine, so never recorded.
    """

    dataset: dict[str, Any]
    splits: dict[SplitName, list[Row]]
    leaked: list[Row]
    unlabelled: list[str]
    pretraining: Pretraining
    held_out: HeldOut
    refused: list[Refused]
    metrics: dict[str, Any]
    inputs: dict[str, str]
    notes: list[str] = field(default_factory=list)


def ingest(params: IngestParams, seed: int, workspace: Path) -> Ingested:
    """Returns the labelled rows and the unlabelled texts of all sources.

    Args:
        params: Where the data comes from and how it is read.
        seed: Seed of the built-in sample, of carving train, and of sampling unlabelled texts.
        workspace: Base of relative paths.

    Raises:
        DataError: a source is missing or unreadable, or its rows do not define a task.
        RefusedRowsError: more rows were refused than ingest.refused_rows_limit.
    """
    generated = sample.generate(seed) if SAMPLE in (params.source, *params.unlabelled) else None
    source = _source(params.source, workspace, "ingest.source")
    labelled = _of_sample(generated) if generated and params.source == SAMPLE else read_labelled(source, params)
    wanted: dict[SplitName, float] = {"dev": params.dev_share, "test": params.test_share}
    missing = {split: share for split, share in wanted.items() if split not in labelled.splits}
    splits = {**labelled.splits, **(carve(labelled.splits["train"], missing, seed) if missing else {})}

    collection = Collection(texts_of([*splits["dev"], *splits["test"]]), params.sentence_chars)
    sources = [(source, labelled.files)]
    for origin in params.unlabelled:
        further = _source(origin, workspace, "ingest.unlabelled")
        files = [] if origin == SAMPLE else files_of(further)
        sources.append((further, files))
        for text in generated.unlabelled if generated and origin == SAMPLE else ():
            collection.add(text)
        for file in files:
            collect(file, params, collection)
    unlabelled = collection.drawn(params.unlabelled_limit, seed)

    refused = [row for split in SPLITS for row in labelled.refused.get(split, [])] + collection.refused
    _within_limit(refused, params.refused_rows_limit)
    held_out = HeldOut.of(text for split in _HELD for text in _texts(splits[split], pair=labelled.pair))
    carved = {split: len(splits[split]) for split in missing}
    splits["train"], leaked = _apart(splits["train"], held_out, pair=labelled.pair)
    pretraining = _pretraining(splits["train"], unlabelled, held_out, params, pair=labelled.pair)
    digests = [{file.name: sha256(file.path) for file in files} for _, files in sources]
    return Ingested(
        dataset=describe(source.about, source.title, labelled, splits, leaked, carved, _record(sources, digests)),
        splits=splits,
        leaked=leaked,
        unlabelled=unlabelled,
        pretraining=pretraining,
        held_out=held_out,
        refused=refused,
        metrics=_metrics(labelled, splits, len(leaked), collection.counts, len(pretraining.texts)),
        inputs={name: digest for each in digests for name, digest in each.items()},
        notes=[*dict.fromkeys([*labelled.notes, *collection.notes]), *_unread(sources)],
    )


def _source(origin: str, workspace: Path, key: str) -> Source:
    return Source(SAMPLE, SAMPLE, {}, about={"language": "en"}) if origin == SAMPLE else find(origin, workspace, key)


def _of_sample(generated: sample.Sample) -> Labelled:
    parts: dict[SplitName, list[tuple[str, str]]] = {
        "train": generated.train, "dev": generated.dev, "test": generated.test,
    }  # fmt: skip
    rows = {}
    for split, part in parts.items():
        name = f"{SAMPLE}/{split}"
        file = File(Path(name), name, name)
        rows[split] = [Row(text, None, label, file, line) for line, (text, label) in enumerate(part, start=1)]
    return Labelled(pair=False, regression=False, splits=rows, read={split: len(part) for split, part in rows.items()})


def _apart(train: list[Row], held_out: HeldOut, *, pair: bool) -> tuple[list[Row], list[Row]]:
    """Returns the rows that occur in neither dev nor test, and those that do."""
    leaked = [held_out.has(*text) for text in _texts(train, pair=pair)]
    parted = list(zip(train, leaked, strict=True))
    return [row for row, found in parted if not found], [row for row, found in parted if found]


def _pretraining(
    train: list[Row], unlabelled: list[str], held_out: HeldOut, params: IngestParams, *, pair: bool
) -> Pretraining:
    lone: list[Text] = [(text, None) for text in unlabelled]
    unique: dict[tuple[str, str], Text] = {}
    for text in _texts(train, pair=pair):
        unique.setdefault(pair_key(*text), text)
    if not pair and len(lone) >= params.shared_texts_min:
        return Pretraining(lone, pairs=False, held_out=None)
    new = lone if pair else [text for text in lone if pair_key(*text) not in unique]
    return Pretraining([*unique.values(), *new], pairs=pair, held_out=held_out)


def _texts(rows: list[Row], *, pair: bool) -> list[Text]:
    return [(row.text, row.text_b if pair else None) for row in rows]


def _within_limit(refused: Sequence[Refused], limit: int) -> None:
    if len(refused) <= limit:
        return
    shown = "\n".join(f"  {row}" for row in refused[:_SHOWN])
    more = f"\n  and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
    raise RefusedRowsError(
        f"{len(refused)} row(s) refused, allowed: {limit} (ingest.refused_rows_limit)\n{shown}{more}\n"
        f"fix them, or leave them out with `--set ingest.refused_rows_limit={len(refused)}`",
        refused,
    )


def _uses(sources: list[tuple[Source, list[File]]]) -> list[str]:
    return ["labelled", *["unlabelled"] * (len(sources) - 1)]


def _unread(sources: list[tuple[Source, list[File]]]) -> list[str]:
    return [
        f"{source.place}: not read as {use} data: {', '.join(map(str, unread))}"
        for (source, files), use in zip(sources, _uses(sources), strict=True)
        if (unread := source.unread(files))
    ]


def _record(sources: list[tuple[Source, list[File]]], digests: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [
        {"source": redacted(source.origin), "use": use, "files": redacted(digested)}
        | ({"licence": redacted(source.licence)} if source.licence else {})
        | ({"ignored": [file.name for file in unread]} if (unread := source.unread(files)) else {})
        | ({"version": sample.VERSION} if source.origin == SAMPLE else {})
        for (source, files), use, digested in zip(sources, _uses(sources), digests, strict=True)
    ]


def _metrics(
    labelled: Labelled, splits: dict[SplitName, list[Row]], leaked: int, counts: Counts, pretraining: int
) -> dict[str, Any]:
    rows: dict[str, dict[str, int]] = {
        split: {
            "read": labelled.read.get(split, 0),
            "refused": len(labelled.refused.get(split, [])),
            "kept": len(splits[split]),
        }
        for split in SPLITS
    }
    rows["train"]["in_dev_or_test"] = leaked
    return {"rows": rows, "unlabelled": asdict(counts), "pretraining": pretraining}
