import copy
import dataclasses
import html
import json
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from eibert import artifact
from eibert.corpus import TaskSpec, write_parquet, write_spec
from eibert.errors import CorruptArtifactError, GateError, MissingArtifactError
from eibert.params.load import Params
from eibert.params.validate import Severity, ValidateParams

KINDS = ("class", "pair", "number")
LABELLED = ("train", "dev", "test")
WORDS = ("play", "stop", "lights", "alarm", "weather", "call", "volume", "timer", "news", "door")
TYPES = {"text": pa.string(), "text_b": pa.string(), "label": pa.string()}
SEVERITIES = tuple(name for name, info in ValidateParams.model_fields.items() if info.annotation is Severity)
Columns = dict[str, list[Any]]


@dataclass
class Data:
    """Contents of an ingest artifact."""

    splits: dict[str, Columns]
    labels: list[str] = field(default_factory=lambda: ["no", "yes"])
    pair: bool = False
    types: dict[str, pa.DataType] = field(default_factory=lambda: dict(TYPES))

    def write(self, workspace: Path) -> None:
        spec = {"name": "tiny <set>", "pair": self.pair, "labels": self.labels, "metric": "accuracy"}
        with artifact.writing(workspace, "ingest", params={}, inputs={}) as target:
            write_spec(target, spec)
            nothing: Columns = {name: [] for name in self.splits["train"]}
            for split, columns in {"leaked": nothing, **self.splits}.items():
                schema = pa.schema([(name, self.types[name]) for name in columns])
                write_parquet(target / f"{split}.parquet", columns, schema)


def healthy(*, pair: bool = False, numbers: bool = False) -> Data:
    """Twenty training, four dev, four test and five unlabelled rows without any defect."""
    splits: dict[str, Columns] = {}
    for split, rows in {"train": 20, "dev": 4, "test": 4, "unlabelled": 5}.items():
        splits[split] = {"text": [f"{WORDS[row % 10]} {split} {row}" for row in range(rows)]}
        if split in LABELLED:
            if pair:
                splits[split]["text_b"] = [f"the other {split} {row}" for row in range(rows)]
            splits[split]["label"] = [row % 3 / 2 if numbers else ("no", "yes")[row % 2] for row in range(rows)]
    data = Data(splits, pair=pair)
    if numbers:
        data.labels, data.types["label"] = [], pa.float64()
    return data


def put(split: str, column: str, row: int, value: Any) -> Callable[[Data], None]:
    def change(data: Data) -> None:
        data.splits[split][column][row - 1] = value

    return change


def copied(source: str, source_row: int, split: str, row: int, **others: Any) -> Callable[[Data], None]:
    """A row that repeats another one in different case."""

    def change(data: Data) -> None:
        for name in data.splits[split]:
            value = data.splits[source][name][source_row - 1]
            data.splits[split][name][row - 1] = value.upper() if name.startswith("text") else value
        for name, value in others.items():
            data.splits[split][name][row - 1] = value

    return change


def relabelled(label: Any, rows: int = 20) -> Callable[[Data], None]:
    def change(data: Data) -> None:
        data.splits["train"]["label"][:rows] = [label] * rows

    return change


def cut(split: str, rows: int) -> Callable[[Data], None]:
    def change(data: Data) -> None:
        for values in data.splits[split].values():
            del values[rows:]

    return change


def numbered(data: Data) -> None:
    data.types["label"] = pa.int64()
    for split in LABELLED:
        data.splits[split]["label"] = [0] * len(data.splits[split]["label"])


def dropped(data: Data) -> None:
    del data.splits["dev"]["label"]


def unknown_class(data: Data) -> None:
    data.labels = ["maybe", "no", "yes"]


@dataclass(frozen=True)
class Fault:
    """A planted defect, and the findings expected for it."""

    name: str
    split: str
    change: Callable[[Data], None]
    rows: int
    example: str | None
    key: str | None = None
    only: Severity = Severity.FAIL
    kind: str = "class"

    def __str__(self) -> str:
        return f"{self.name}-{self.split}-{self.kind}"


FAULTS = [
    Fault("columns", "dev", dropped, 0, None),
    Fault("type_label", "train", numbered, 0, None),
    Fault("rows", "train", cut("train", 9), 0, None),
    Fault("rows", "dev", cut("dev", 0), 0, None),
    Fault("rows", "test", cut("test", 0), 0, None),
    Fault("nulls_text", "train", put("train", "text", 17, None), 1, "train row 17: missing, label “no”"),
    Fault("nulls_text_b", "dev", put("dev", "text_b", 2, None), 1, "dev row 2: “stop dev 1”, missing, ", kind="pair"),
    Fault("nulls_label", "test", put("test", "label", 3, None), 1, "test row 3: “lights test 2”, label missing"),
    Fault("nulls_label", "dev", put("dev", "label", 3, None), 1, "dev row 3: ", kind="number"),
    Fault("nulls_text", "unlabelled", put("unlabelled", "text", 2, None), 1, "unlabelled row 2", only=Severity.WARN),
    Fault("blank", "train", put("train", "text", 4, " \u200b"), 1, "train row 4: “ \\u200b”"),
    Fault("blank", "test", put("test", "text_b", 4, ""), 1, "test row 4: “alarm test 3”, “”", kind="pair"),
    Fault("blank", "unlabelled", put("unlabelled", "text", 5, ""), 1, "unlabelled row 5", only=Severity.WARN),
    Fault("wordless", "dev", put("dev", "text", 1, "?!"), 1, "dev row 1: “?!”", key="wordless"),
    Fault("wordless", "unlabelled", put("unlabelled", "text", 1, "--"), 1, "unlabelled row 1", only=Severity.WARN),
    Fault("lengths_text", "train", put("train", "text", 2, "a" * 101), 1, "train row 2: “aaa", key="lengths"),
    Fault("lengths_text_b", "test", put("test", "text_b", 1, "b" * 101), 1, "test row 1: ", "lengths", kind="pair"),
    Fault("lengths_text", "unlabelled", put("unlabelled", "text", 4, "c" * 101), 1, "row 4", only=Severity.WARN),
    Fault("unclean", "train", put("train", "text", 7, "on\x96off"), 1, "train row 7: “on\\x96off”", key="unclean"),
    Fault("unclean", "dev", put("dev", "text_b", 3, "caf\ufffd"), 1, "dev row 3", key="unclean", kind="pair"),
    Fault("unclean", "unlabelled", put("unlabelled", "text", 3, "a\x00"), 1, "row 3: “a\\x00”", only=Severity.WARN),
    Fault(
        "duplicates", "train", copied("train", 3, "train", 9), 1, "LIGHTS TRAIN 2”, label “no” — see train row 3",
        key="duplicates",
    ),
    Fault("duplicates", "train", copied("train", 3, "train", 9), 1, "see train row 3", "duplicates", kind="number"),
    Fault("duplicates", "train", copied("train", 3, "train", 9), 1, "see train row 3", "duplicates", kind="pair"),
    Fault(
        "contradictions", "train", copied("train", 11, "train", 14, label="yes"), 2,
        "train row 11: “play train 10”, label “no” — see train row 14", key="contradictions",
    ),
    Fault("leakage_train", "dev", copied("train", 5, "dev", 2), 1, "dev row 2: “WEATHER TRAIN 4”", key="leakage"),
    Fault("leakage_train", "test", copied("train", 5, "test", 2), 1, "see train row 5", key="leakage", kind="pair"),
    Fault("leakage_dev", "test", copied("dev", 4, "test", 1), 1, "see dev row 4", key="leakage", kind="number"),
    Fault("labels", "test", put("test", "label", 2, "maybe"), 1, "test row 2: “stop test 1”, label “maybe”"),
    Fault("distinct_labels", "train", relabelled("no"), 0, None),
    Fault("distinct_labels", "train", relabelled(0.5), 0, None, kind="number"),
    Fault("class_rows", "train", relabelled("no", 17), 1 + 1, "train row 18: “timer train 17”, label “yes”"),
    Fault("class_rows", "train", unknown_class, 0, "train: no row has label “maybe”"),
    Fault("balance", "train", relabelled("no", 10), 5, "train row 12: ", key="balance"),
    Fault("finite", "train", put("train", "label", 6, float("inf")), 1, "train row 6", kind="number"),
    Fault("finite", "dev", put("dev", "label", 2, -1e39), 1, "dev row 2", kind="number"),
    Fault("target_range", "test", put("test", "label", 4, 1.5), 1, "label 1.5", key="target_range", kind="number"),
]  # fmt: skip


@pytest.fixture(scope="module")
def stage() -> Iterator[ModuleType]:
    """The adapter; Great Expectations imports deprecated standard library modules."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "module 'sre_", DeprecationWarning)
        from tasks import validate
    return validate


@pytest.fixture
def bounds(params: Params) -> ValidateParams:
    """Bounds that healthy data meets and each defect violates, with every severity set explicitly."""
    values = {"min_rows": 10, "min_class_rows": 3, "max_chars": 100, "max_class_ratio": 2.0}
    shares = {name: 0.0 for name in ValidateParams.model_fields if name.endswith("_share")}
    return params.validate_.model_copy(update=values | shares | dict.fromkeys(SEVERITIES, Severity.WARN))


@dataclass
class Gate:
    """A workspace and the means to run its gate."""

    stage: ModuleType
    workspace: Path
    bounds: ValidateParams
    params: Params

    def run(self, data: Data, **changed: Any) -> None:
        data.write(self.workspace)
        self.stage.run(self.workspace, self.bounds.model_copy(update=changed), self.params.shared)

    def read(self, name: str) -> Any:
        return json.loads(self.file(name).read_text(encoding="utf-8"))

    def file(self, name: str) -> Path:
        return artifact.folder(self.workspace, "validate") / name

    def broken(self) -> dict[tuple[str, str], dict[str, Any]]:
        entries = self.read("result.json")["expectations"]
        return {(entry["name"], entry["split"]): entry for entry in entries if not entry["passed"]}


@pytest.fixture
def gate(stage: ModuleType, tmp_path: Path, bounds: ValidateParams, params: Params) -> Gate:
    return Gate(stage, tmp_path, bounds, params)


def data_of(kind: str) -> Data:
    return healthy(pair=kind == "pair", numbers=kind == "number")


def test_rows_that_nothing_learns_from_are_judged_as_rows_of_train(gate):
    data = data_of("class")
    copied("train", 20, "dev", 2)(data)
    data.splits["leaked"] = {name: [values.pop()] for name, values in data.splits["train"].items()}
    with pytest.raises(GateError, match="see train row 20"):
        gate.run(data, leakage=Severity.FAIL)


def test_rows_that_nothing_learns_from_do_not_count_as_rows_to_learn_from(gate):
    data = data_of("class")
    train = data.splits["train"]
    yes = [row for row, label in enumerate(train["label"]) if label == "yes"][:6]
    data.splits["leaked"] = {name: [values[row] for row in yes] for name, values in train.items()}
    data.splits["train"] = {
        name: [value for row, value in enumerate(values) if row not in yes] for name, values in train.items()
    }
    gate.run(data, min_rows=14, min_class_rows=4, max_class_ratio=2.5, balance=Severity.FAIL)
    for bound in ({"min_rows": 15}, {"min_class_rows": 5}, {"max_class_ratio": 2.4, "balance": Severity.FAIL}):
        with pytest.raises(GateError, match="1 expectation failed"):
            gate.run(data, **bound)


@pytest.mark.parametrize("kind", KINDS)
def test_healthy_data_passes(gate, kind, capsys):
    gate.run(data_of(kind), **dict.fromkeys(SEVERITIES, Severity.FAIL))
    assert gate.read("gate.json") == {"passed": True}
    count = len(gate.read("result.json")["expectations"])
    assert gate.read("metrics.json") == {"passed": 1, "expectations": count, "failed": 0, "warned": 0}
    assert gate.read("manifest.json")["metrics"] == gate.read("metrics.json")
    assert artifact.problems(gate.workspace, "validate") == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.only is Severity.FAIL], ids=str)
def test_fault_of_severity_fail_stops(gate, fault):
    data = data_of(fault.kind)
    fault.change(data)
    with pytest.raises(GateError) as stopped:
        gate.run(data, **({fault.key: Severity.FAIL} if fault.key else {}))
    line = next(
        line for line in str(stopped.value).splitlines() if line.startswith(f"  {fault.name} ({fault.split}): ")
    )
    assert (f", {fault.rows} row" in line) == bool(fault.rows)
    assert fault.example is None or fault.example in line
    assert str(gate.file("docs/index.html")) in str(stopped.value)
    assert fault.key is None or f"validate.{fault.key}" in str(stopped.value)
    assert gate.read("gate.json") == {"passed": False}
    assert gate.read("metrics.json")["passed"] == 0
    assert gate.broken()[fault.name, fault.split]["severity"] == "fail"
    assert gate.broken()[fault.name, fault.split]["gx"]["severity"] == "critical"
    assert artifact.problems(gate.workspace, "validate") == []


@pytest.mark.parametrize("kind", KINDS)
def test_faults_of_severity_warn_are_all_said_and_pass(gate, kind, capsys):
    faults = [fault for fault in FAULTS if fault.kind == kind and (fault.key or fault.only is Severity.WARN)]
    data = data_of(kind)
    for fault in faults:
        fault.change(data)
    gate.run(data)
    said = capsys.readouterr().err.splitlines()
    for fault in faults:
        line = next(line for line in said if f"warning: {fault.name} ({fault.split}): " in line)
        assert f", {fault.rows} row" in line
        assert fault.example in line
        assert gate.broken()[fault.name, fault.split]["gx"]["severity"] == "warning"
    assert gate.read("gate.json") == {"passed": True}
    assert gate.read("metrics.json")["warned"] == len(said) == len(gate.broken()) == len(faults)


def test_every_expectation_has_a_planted_fault(gate):
    names = set()
    for kind in KINDS:
        gate.run(data_of(kind))
        names |= {entry["name"] for entry in gate.read("result.json")["expectations"]}
    assert names - {fault.name for fault in FAULTS} == {"type_text", "type_text_b"}  # as type_label


def test_faults_within_their_share_pass(gate):
    data = healthy()
    copied("train", 3, "train", 9)(data)
    gate.run(data, max_duplicate_share=1 / 20, duplicates=Severity.FAIL)
    entry = next(e for e in gate.read("result.json")["expectations"] if e["name"] == "duplicates")
    assert (entry["observed"], entry["unexpected_rows"], entry["passed"]) == ("5 %", 1, True)


def test_two_numbers_for_one_input_are_no_contradiction(gate):
    data = healthy(numbers=True)
    copied("train", 3, "train", 9, label=0.25)(data)
    gate.run(data, contradictions=Severity.FAIL, duplicates=Severity.FAIL)
    assert gate.broken() == {}


def test_without_unlabelled_text_the_gate_still_passes(gate):
    data = healthy()
    cut("unlabelled", 0)(data)
    gate.run(data)
    assert gate.broken() == {}


def test_all_failures_are_named_at_once_before_the_warnings_on_the_page(gate):
    data = healthy()
    put("train", "text", 3, "on\x96off")(data)
    put("train", "text", 4, "")(data)
    put("dev", "label", 1, "maybe")(data)
    with pytest.raises(GateError, match=r"2 expectations failed:\n  .*\n  .*\nSee "):
        gate.run(data)
    page = gate.file("docs/index.html").read_text(encoding="utf-8")
    assert page.index("<code>blank") < page.index("<code>labels") < page.index("<code>unclean")


def test_equal_inputs_give_equal_bytes(gate, tmp_path):
    files = []
    for folder in ("one", "two"):
        data = healthy()
        copied("train", 3, "train", 9, label="yes")(data)
        Gate(gate.stage, tmp_path / folder, gate.bounds, gate.params).run(copy.deepcopy(data))
        target = artifact.folder(tmp_path / folder, "validate")
        files.append({path.relative_to(target): path.read_bytes() for path in target.rglob("*") if path.is_file()})
    assert files[0] == files[1]
    assert {path.as_posix() for path in files[0]} == {
        "result.json", "gate.json", "metrics.json", "manifest.json", "docs/index.html",
    }  # fmt: skip
    assert not any(str(tmp_path).encode() in content for content in files[0].values())


class Tags(HTMLParser):
    """Counts unclosed elements, and collects the URLs that a page would fetch."""

    VOID = frozenset({"meta", "br", "rect", "link", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize("kind", KINDS)
def test_page_is_well_formed_and_fetches_nothing(gate, kind):
    gate.run(data_of(kind))
    page = gate.file("docs/index.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    assert tags.fetched == []
    assert not re.search(r"https?://|@import|url\(|<script", page)


def test_page_shows_the_example_and_escapes_it(gate):
    data = healthy()
    attack = "<script>alert('x')</script>\x00"
    put("dev", "text", 2, attack)(data)
    gate.run(data)
    page = gate.file("docs/index.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert html.escape("dev row 2: “<script>alert('x')</script>\\x00”", quote=True).replace("&#x27;", "&#39;") in page
    assert "tiny &lt;set&gt;: passed with 1 warning<" in page


def test_page_shows_the_rows_of_each_class_and_the_verdict(gate):
    data = healthy()
    relabelled("yes", 19)(data)
    with pytest.raises(GateError):
        gate.run(data)
    page = gate.file("docs/index.html").read_text(encoding="utf-8")
    assert "failed the data gate" in page
    row = next(line for line in page.splitlines() if '<td class="label">no</td>' in line)
    assert re.findall(r"<span>(\d+)</span>", row) == ["0", "2", "2"]


def test_fault_far_into_a_text_is_in_its_example(gate, capsys):
    data = healthy()
    put("train", "text", 1, "a" * 5000 + "\x96" + "b" * 5000)(data)
    gate.run(data)
    assert "aaa\\x96bbb" in capsys.readouterr().err
    assert gate.file("result.json").stat().st_size < 100_000


def test_earlier_verdict_is_replaced(gate):
    gate.run(healthy())
    data = healthy()
    put("train", "text", 4, "")(data)
    with pytest.raises(GateError):
        gate.run(data)
    assert gate.read("gate.json") == {"passed": False}


def test_missing_ingest_is_named(gate):
    with pytest.raises(MissingArtifactError, match="ingest"):
        gate.stage.run(gate.workspace, gate.bounds, gate.params.shared)


def test_altered_ingest_is_refused(gate):
    healthy().write(gate.workspace)
    (artifact.folder(gate.workspace, "ingest") / "dev.parquet").write_bytes(b"other")
    with pytest.raises(CorruptArtifactError, match="altered"):
        gate.stage.run(gate.workspace, gate.bounds, gate.params.shared)
    assert not artifact.folder(gate.workspace, "validate").exists()


def test_expectation_that_cannot_be_checked_does_not_pass(gate, monkeypatch):
    from tasks.gate import check, rules

    rule = next(check.schema_rules("dev", pd.DataFrame({"text": ["a"]}), TaskSpec("tiny", False, ("a",), "accuracy")))
    absent = dataclasses.replace(
        rule, expectation=rules.gxe.ExpectColumnValuesToNotBeNull(column="absent"), name="absent"
    )
    monkeypatch.setattr(check, "row_rules", lambda rows, *_, **__: [dataclasses.replace(absent, split=rows.split)])
    with pytest.raises(GateError, match=r"absent \(dev\): could not be checked \(.*absent"):
        gate.run(healthy())
    assert str(Path(check.__file__).parents[2]) not in gate.file("result.json").read_text(encoding="utf-8")
