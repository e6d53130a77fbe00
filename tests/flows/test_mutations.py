"""Cache behaviour as a table: which stages run, are restored or are left alone after each mutation.

A copy of the project with a tiny teacher is built once, for real; each mutation gets a copy of that. Two kinds:

- DECIDED only asks what `eibert status` reports: which stages have causes of their own, and which would run at all.
- CARRIED_OUT runs the pipeline and compares the state of each stage: needed where something is restored, rebuilt, or
  left alone although something upstream was rebuilt.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import stage as stages
from flows.graph import read_graph
from flows.run import Selection, run
from flows.status import causes
from flows.workspace import Workspace, find, follow_params, set_params
from tasks import code, tracking
from tests.conftest import LETTERS
from tests.flows.conftest import PROJECT
from tests.flows.warm import INSTALLED, warm_stages

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc"), pytest.mark.slow]

STAGES = ["code", "ingest", "validate", "finetune", "pretrain", "prune", "distill", "quantize", "export", "evaluate"]
TINY = {
    "teacher": {"model": "teacher", "sha256": None},
    "ingest": {"source": "rows", "unlabelled": []},
    "validate": {"min_rows": 20},
    "finetune": {"epochs": 1, "max_tokens": 16},
    "pretrain": {
        "student": {"layers": 1, "hidden": 12, "heads": 3, "feed_forward": 24, "embedding": 8, "positions": 32},
        "epochs": 1, "max_tokens": 16,
    },
    "prune": {"keep": 70, "threads": 1},
    "distill": {"epochs": 1, "max_tokens": 16, "teacher_rows": 16, "control": False},
    "quantize": {"threads": 1},
    "export": {"min_agreement": 0.5},
    "evaluate": {
        "bootstrap_samples": 100, "rival_regularizations": [1.0],
        "static_dimensions": [4], "static_regularizations": [10.0], "threads": 1,
    },
}  # fmt: skip

STAGE_ENVIRONMENT = stages._environment
READ_CODE = code.current
REMEMBERED: dict[bytes, dict[str, dict[str, Any]]] = {}
Mutation = Callable[[Workspace], object]


def remembered_code(workspace: Path) -> dict[str, dict[str, Any]]:
    """Caches `code.current` for equal sources, because most mutations do not change them."""
    sources = [path for package in ("eibert", "tasks") for path in sorted((workspace / package).rglob("*.[pj]*"))]
    digest = hashlib.sha256((workspace / "dvc.yaml").read_bytes())
    for path in sources:
        if path.suffix != ".pyc" and path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    key = digest.digest()
    if key not in REMEMBERED:
        REMEMBERED[key] = READ_CODE(workspace)
    return REMEMBERED[key]


def write_rows(folder: Path) -> None:
    folder.mkdir()
    for start, (split, count) in enumerate({"train": 60, "dev": 24, "test": 24}.items()):
        lines = [
            f"{('call', 'play', 'stop')[row % 3]} the song {LETTERS[row // 26]}{LETTERS[row % 26]}{LETTERS[start]}"
            for row in range(count)
        ]
        rows = "".join(f"{line},{line.split()[0]}\n" for line in lines)
        (folder / f"{split}.csv").write_text(f"text,label\n{rows}")


@pytest.fixture(scope="module")
def _project(tmp_path_factory: pytest.TempPathFactory, server: None, database: Path, teacher_folder: Path) -> Path:
    """A copy of the project's sources with tiny data and teacher."""
    root = tmp_path_factory.mktemp("mutations") / "root"
    for package in ("eibert", "tasks", "flows"):
        shutil.copytree(PROJECT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("constraints.txt", "params.yaml", "dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copyfile(PROJECT / name, root / name)
    (root / ".dvc").mkdir()
    shutil.copyfile(PROJECT / ".dvc" / "config", root / ".dvc" / "config")
    shutil.copyfile(PROJECT / ".dvc" / ".gitignore", root / ".dvc" / ".gitignore")
    shutil.copyfile(database, root / "mlflow.db")
    shutil.copytree(teacher_folder, root / "teacher")
    write_rows(root / "rows")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    set_params(root, [f"{key}={json.dumps(value)}" for key, value in flat(TINY)])
    return root


def flat(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        inner = f"{key}.{name}" if key else name
        if isinstance(value, dict):
            yield from flat(value, inner)
        else:
            yield inner, value


@pytest.fixture(scope="module")
def _made(_project: Path, commands: Path) -> Path:
    """The copy in which all stages have run, one of them also with other parameters."""
    with pytest.MonkeyPatch.context() as patch:
        live_in(_project, commands, patch)
        workspace = find(_project)
        assert run(workspace, Selection()).states == dict.fromkeys(STAGES, "Completed")
        assert run(workspace, Selection(), ["quantize.percentile=99.5"]).states["quantize"] == "Completed"
        again = run(workspace, Selection(), ["quantize.percentile=99.99"])
        assert [again.states[stage] for stage in STAGES[7:]] == ["Restored"] * 3
    return _project


@pytest.fixture(scope="module")
def commands(_project: Path) -> Iterator[Path]:
    """A folder whose `eibert` runs the copy's stages."""
    with tempfile.TemporaryDirectory() as folder, warm_stages(Path(folder), _project) as found:
        yield found


def live_in(root: Path, commands: Path, patch: pytest.MonkeyPatch) -> None:
    """Makes this process read the copy's code, and DVC find the copy's stages."""

    def environment(mark: Path, *, share_terminal: bool) -> dict[str, str]:
        found = STAGE_ENVIRONMENT(mark, share_terminal=share_terminal)
        return found | {"PATH": os.pathsep.join([str(commands), found["PATH"]])}

    patch.setattr(code, "project_root", lambda: root)
    patch.setattr(stages, "_environment", environment)
    patch.setattr(code, "current", remembered_code)
    patch.setattr(tracking, "deliver", lambda *_: "")  # the record is not tested here


@pytest.fixture
def workspace(_made: Path, commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A fresh copy, as up to date as the original."""
    root = tmp_path / "root"
    # Faster than copying a thousand files in Python; without hard links, so that changing one copy leaves the other
    # alone.
    subprocess.run(["cp", "-r", "--preserve=mode,timestamps", str(_made), str(root)], check=True)
    live_in(root, commands, monkeypatch)
    return find(root)


# --- mutations of a workspace ----------------------------------------------------------------------------------------


def edit(name: str, old: str, new: str) -> Mutation:
    def change(workspace: Workspace) -> None:
        path = workspace.folder / name
        text = path.read_text()
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new, 1))

    return change


def append(name: str, text: str) -> Mutation:
    def change(workspace: Workspace) -> None:
        path = workspace.folder / name
        path.write_text(path.read_text() + text)

    return change


def params(*assignments: str) -> Mutation:
    def change(workspace: Workspace) -> None:
        set_params(workspace.folder, assignments)
        follow_params(workspace, workspace.params())

    return change


def other_library(name: str) -> Mutation:
    """The environment with another version of a library."""

    def change(workspace: Workspace) -> None:
        import eibert.code

        version = eibert.code._version
        _PATCH.setattr(eibert.code, "_version", lambda asked: "0.0.1" if asked == name else version(asked))
        _PATCH.setitem(globals(), "REMEMBERED", {})  # the cached digests have the true versions

    return change


def installed(name: str) -> Mutation:
    """Another version of a library according to its metadata, for this process and those of the stages."""

    def change(workspace: Workspace) -> None:
        import eibert.code

        about = workspace.root / ".installed" / f"{name}-0.0.1.dist-info" / "METADATA"
        about.parent.mkdir(parents=True)
        about.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.1\n")
        _PATCH.syspath_prepend(about.parents[1])
        _PATCH.setenv(INSTALLED, str(about.parents[1]))
        _PATCH.setattr(eibert.code, "_version", eibert.code._version.__wrapped__)  # which caches nothing
        _PATCH.setitem(globals(), "REMEMBERED", {})

    return change


_PATCH = pytest.MonkeyPatch()


@pytest.fixture(autouse=True)
def _patches() -> Iterator[None]:
    yield
    _PATCH.undo()


def columns_swapped(workspace: Workspace) -> None:
    for path in (workspace.folder / "rows").iterdir():
        lines = [line.split(",") for line in path.read_text().splitlines()]
        path.write_text("".join(f"{label},{text}\n" for text, label in lines))


def rows_shuffled(workspace: Workspace) -> None:
    path = workspace.folder / "rows" / "train.csv"
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *reversed(rows)]) + "\n")


def teacher_byte(workspace: Workspace) -> None:
    path = workspace.folder / "teacher" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def formatted(name: str) -> Mutation:
    """The same code as formatted by `ast.unparse`, without comments."""
    import ast

    def change(workspace: Workspace) -> None:
        path = workspace.folder / name
        path.write_text(ast.unparse(ast.parse(path.read_text())))

    return change


def touched(workspace: Workspace) -> None:
    for path in [workspace.folder / "rows" / "train.csv", workspace.folder / "eibert" / "losses.py"]:
        os.utime(path)
    for path in (workspace.folder / "data").rglob("*"):
        os.utime(path)


def deleted(*names: str) -> Mutation:
    def change(workspace: Workspace) -> None:
        for name in names:
            path = workspace.folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def overwritten(name: str) -> Mutation:
    def change(workspace: Workspace) -> None:
        path = workspace.folder / name
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1] + b"?")

    return change


def object_of(workspace: Workspace, stage: str, file: str) -> Path:
    lock = yaml.safe_load((workspace.folder / "dvc.lock").read_text())
    place = workspace.root / ".dvc" / "cache" / "files" / "md5"
    name = lock["stages"][stage]["outs"][0]["md5"]
    entries = json.loads((place / name[:2] / name[2:]).read_text())
    [oid] = [entry["md5"] for entry in entries if entry["relpath"] == file]
    return place / oid[:2] / oid[2:]


def object_altered(stage: str, file: str) -> Mutation:
    def change(workspace: Workspace) -> None:
        path = object_of(workspace, stage, file)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        path.chmod(0o444)

    return change


def object_deleted(stage: str, file: str) -> Mutation:
    return lambda workspace: object_of(workspace, stage, file).unlink()


def lock_reverted(workspace: Workspace) -> None:
    """As by `git checkout HEAD~1 dvc.lock`: it records the results of the previous parameters."""
    path = workspace.folder / "dvc.lock"
    entries = workspace.root / ".dvc" / "cache" / "runs"
    [entry] = [
        found for path in entries.rglob("*") if path.is_file()
        for found in [yaml.safe_load(path.read_text())]
        if found["cmd"] == "eibert stage quantize" and "99.5" in path.read_text().replace("99.99", "")
    ]  # fmt: skip
    lock = yaml.safe_load(path.read_text())
    lock["stages"]["quantize"] = entry
    path.write_text(yaml.safe_dump(lock, sort_keys=False))


def run_entry_altered(workspace: Workspace) -> None:
    """The run cache entry of `quantize` for the current parameters returns the output of other parameters."""
    runs = [path for path in (workspace.root / ".dvc" / "cache" / "runs").rglob("*") if path.is_file()]
    of_quantize = [path for path in runs if "eibert stage quantize" in path.read_text()]
    one, other = sorted(of_quantize, key=lambda path: "99.99" in path.read_text())
    outs = {path: yaml.safe_load(path.read_text())["outs"][0]["md5"] for path in (one, other)}
    other.chmod(0o644)
    other.write_text(other.read_text().replace(outs[other], outs[one]))
    (workspace.folder / "dvc.lock").unlink()


def both(*mutations: Mutation) -> Mutation:
    def change(workspace: Workspace) -> None:
        for mutation in mutations:
            mutation(workspace)

    return change


# --- decisions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decided:
    """Expected effect of a mutation, as reported by `eibert status`.

    Attributes:
        does: The mutation.
        own: Stage → beginnings of its own causes, joined by `; `.
        runs: The stages that would run; "": none.
        restores: The stages with an output that would be restored.
    """

    does: Mutation
    own: dict[str, str] = field(default_factory=dict)
    runs: str = ""
    restores: str = ""


LEARNING = "finetune pretrain prune distill quantize export evaluate"
AFTER_PRUNE = "prune distill quantize export evaluate"
AFTER_DISTILL = "distill quantize export evaluate"
AFTER_QUANTIZE = "quantize export evaluate"
ALL = f"ingest validate {LEARNING}"
EVERYTHING = f"code {ALL}"
THREE_LABELS = edit(
    "rows/train.csv", ",call\nplay the song aba,play\nstop the song aca,stop",
    ",stop\nplay the song aba,call\nstop the song aca,play",
)  # fmt: skip
LAYOUT = {"code": "only comments, formatting or code that no stage uses changed"}
LOSSES = "eibert/losses.py"

DECIDED = {
    "nothing": Decided(lambda _: None),
    "a row of train": Decided(
        edit("rows/train.csv", "call the song aaa", "call the light aaa"),
        {"ingest": "1 row changed in train"}, ALL,
    ),
    "three labels of train": Decided(
        THREE_LABELS, {"ingest": "3 rows changed in train"}, ALL,
    ),
    "a row more in dev": Decided(append("rows/dev.csv", "call mum now,call\n"),
                                 {"ingest": "1 row added to dev"}, ALL),
    "a row fewer in test": Decided(edit("rows/test.csv", "call the song aac,call\n", ""),
                                   {"ingest": "1 row removed from test"}, ALL),
    "order of columns": Decided(columns_swapped, {"ingest": "data rows changed"}, ALL),
    "order of rows": Decided(rows_shuffled, {"ingest": "data rows changed"}, ALL),
    "a byte of the teacher": Decided(
        teacher_byte, {"finetune": "data teacher changed", "pretrain": "data teacher changed"}, LEARNING,
    ),
    "seed": Decided(
        params("seed=18"),
        dict.fromkeys(["ingest", *LEARNING.replace("export ", "").split()], "params seed 17 → 18"), ALL,
    ),
    "params teacher": Decided(
        params("teacher.pooling=cls"),
        dict.fromkeys(["finetune", "pretrain"], "params teacher.pooling mean → cls"), LEARNING,
    ),
    "params ingest": Decided(params("ingest.sentence_chars=200"),
                             {"ingest": "params ingest.sentence_chars 300 → 200"}, ALL),
    "params validate": Decided(params("validate.max_chars=900"),
                               {"validate": "params validate.max_chars 5000 → 900"}, f"validate {LEARNING}"),
    "params finetune": Decided(params("finetune.epochs=2"), {"finetune": "params finetune.epochs 1 → 2"},
                               f"finetune {AFTER_PRUNE}"),
    "params pretrain": Decided(params("pretrain.epochs=2"), {"pretrain": "params pretrain.epochs 1 → 2"},
                               f"pretrain {AFTER_PRUNE}"),
    "params prune": Decided(params("prune.keep=69"), {"prune": "params prune.keep 70 → 69"}, AFTER_PRUNE),
    "params distill": Decided(params("distill.temperature=3.0"),
                              {"distill": "params distill.temperature 2.0 → 3.0"}, AFTER_DISTILL),
    "params quantize": Decided(params("quantize.head.bits=7"),
                               {"quantize": "params quantize.head.bits 8 → 7"}, AFTER_QUANTIZE),
    "params export": Decided(params("export.budget_bytes=1800000"),
                             {"export": "params export.budget_bytes 1910000 → 1800000"}, "export evaluate"),
    "params evaluate": Decided(params("evaluate.bootstrap_samples=200"),
                               {"evaluate": "params evaluate.bootstrap_samples 100 → 200"}, "evaluate"),
    "layout of params.yaml": Decided(append("params.yaml", "\n# a comment\n")),
    "layout of dvc.yaml": Decided(append("dvc.yaml", "\n# a comment\n")),
    "command of export": Decided(edit("dvc.yaml", "cmd: eibert stage export", "cmd: eibert  stage export"),
                                 {"export": "command changed"}, "export evaluate"),
    "description in dvc.yaml": Decided(edit("dvc.yaml", "desc: Module-wise INT8", "desc: Integers")),
    "a loss": Decided(
        edit(LOSSES, "temperature**2", "temperature**3"),
        dict.fromkeys(["code", *LEARNING.split()], f"code {LOSSES}:logits_divergence"), f"code {LEARNING}",
    ),
    "a helper three imports away": Decided(
        edit("eibert/matching.py", "def ", "def _unused() -> None: ...\n\n\ndef "),
        dict.fromkeys(["code", "ingest", "finetune", "pretrain", "prune", "distill", "quantize", "export", "evaluate",
                       "validate"], "code eibert/matching.py:_unused"), EVERYTHING,
    ),
    "the adapter of export": Decided(
        edit("tasks/export.py", "agreed < params.min_agreement", "agreed <= params.min_agreement"),
        {"code": "code tasks/export.py:run", "export": "code tasks/export.py:run"}, "code export evaluate",
    ),
    "the page of the report": Decided(
        append("tasks/report.html.j2", "<!-- x -->"),
        {"code": "code tasks/report.html.j2", "evaluate": "code tasks/report.html.j2"}, "code evaluate",
    ),
    "a comment": Decided(append(LOSSES, "# why\n"), LAYOUT, "code"),
    "a docstring": Decided(edit(LOSSES, '"""', '"""Really: '), LAYOUT, "code"),
    "formatting": Decided(formatted(LOSSES), LAYOUT, "code"),
    "order of imports": Decided(
        edit("tasks/export.py", "from eibert.errors import ArtifactError\nfrom eibert.export import bundle_logits",
             "from eibert.export import bundle_logits, write_bundle\nfrom eibert.errors import ArtifactError\n"
             "from eibert.export import bundle_logits"), LAYOUT, "code",
    ),
    "a module nobody imports": Decided(
        lambda w: (w.folder / "eibert" / "alone.py").write_text("import torch\n"), LAYOUT, "code"),
    "the version of the project": Decided(edit("eibert/__init__.py", "__version__ = ", "__version__ = 'x' + "),
                                          LAYOUT, "code"),
    "code of the flows": Decided(append("flows/status.py", "\nX = 1\n")),
    "a library of evaluate and others": Decided(
        other_library("jinja2"),
        dict.fromkeys(["code", "validate", "evaluate"], "library jinja2 "), f"code validate {LEARNING}",
    ),
    "a library of export": Decided(
        other_library("onnx"), dict.fromkeys(["code", "export"], "library onnx "), "code export evaluate"),
    "a library beneath one of export": Decided(
        other_library("protobuf"), dict.fromkeys(["code", "export"], "library protobuf "), "code export evaluate"),
    "a library that shapes no result": Decided(other_library("filelock")),
    "a constraint without a change of what is installed": Decided(append("constraints.txt", "zzz==1\n"), LAYOUT,
                                                                  "code"),
    "an output deleted": Decided(deleted("data/finetune"), {"finetune": "output missing: data/finetune"},
                                 restores="finetune"),
    "an output altered": Decided(overwritten("data/prune/vocab.txt"),
                                 {"prune": "output data/prune/vocab.txt: altered"}, restores="prune"),
    "two outputs deleted": Decided(deleted("data/finetune", "data/export"),
                                   {"finetune": "output missing", "export": "output missing"},
                                   restores="finetune export"),
    "a source deleted": Decided(deleted("rows/dev.csv"), {"ingest": "6 rows removed from train"}, ALL),
}  # fmt: skip


@pytest.mark.parametrize("name", DECIDED)
def test_decision(workspace: Workspace, name: str) -> None:
    case = DECIDED[name]
    case.does(workspace)
    found = causes(workspace, read_graph(workspace))
    own = {
        stage: "; ".join(cause.text for cause in listed if not cause.text.startswith("upstream "))
        for stage, listed in found.items()
    }
    own = {stage: text for stage, text in own.items() if text}
    assert own.keys() == case.own.keys(), own
    for stage, text in own.items():
        assert text.startswith(case.own[stage])
    assert [stage for stage, listed in found.items() if any(not cause.restores for cause in listed)] == in_order(
        case.runs
    )
    assert [s for s, listed in found.items() if listed and all(cause.restores for cause in listed)] == in_order(
        case.restores
    )


def in_order(stages: str) -> list[str]:
    return sorted(stages.split(), key=STAGES.index)


# --- carried out -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CarriedOut:
    """Expected effect of a mutation when the pipeline runs; stages that are not named are left alone.

    Attributes:
        does: The mutation.
        runs: The stages whose commands run.
        restores: The stages whose outputs are restored without running.
        quarantined: Files moved to quarantine.
    """

    does: Mutation
    runs: str = ""
    restores: str = ""
    quarantined: int = 0


CARRIED_OUT = {
    "nothing": CarriedOut(lambda _: None),
    "every time touched": CarriedOut(touched),
    "a comment": CarriedOut(append(LOSSES, "# why\n"), "code"),
    "order of columns": CarriedOut(columns_swapped, "ingest validate evaluate"),
    "three labels of train": CarriedOut(THREE_LABELS, f"ingest validate finetune {AFTER_PRUNE}"),
    "a byte of the teacher": CarriedOut(teacher_byte, LEARNING),
    "seed": CarriedOut(params("seed=18"), ALL),
    "a loss": CarriedOut(edit(LOSSES, "temperature**2", "temperature**3"), f"code {LEARNING}"),
    "a library of export": CarriedOut(installed("onnx"), "code export"),
    "a row of test": CarriedOut(
        edit("rows/test.csv", "call the song aac", "call the light aac"),
        f"ingest validate pretrain {AFTER_PRUNE}",
    ),
    "parameter of quantize": CarriedOut(params("quantize.head.bits=7"), AFTER_QUANTIZE),
    "parameter of quantize back to an earlier value": CarriedOut(
        params("quantize.percentile=99.5"), restores=AFTER_QUANTIZE),
    "wording of the gate": CarriedOut(params("validate.max_chars=900"), "validate"),
    "an output deleted": CarriedOut(deleted("data/finetune"), restores="finetune"),
    "all outputs deleted": CarriedOut(deleted("data"), "code", ALL),
    "one file of an output deleted": CarriedOut(deleted("data/export/bundle/vocab.txt"), restores="export"),
    "an output altered": CarriedOut(overwritten("data/prune/vocab.txt"), restores="prune"),
    "a manifest altered": CarriedOut(edit("data/quantize/manifest.json", '"format": 1', '"format": 2'),
                                     restores="quantize"),
    "a manifest deleted": CarriedOut(deleted("data/ingest/manifest.json"), restores="ingest"),
    "a foreign file in an output": CarriedOut(
        lambda w: (w.folder / "data" / "export" / "notes.txt").write_text("x"), restores="export"),
    "metrics of an output deleted": CarriedOut(deleted("data/evaluate/metrics.json"), restores="evaluate"),
    "a copy of metrics deleted": CarriedOut(deleted("metrics/evaluate.json")),
    "an object altered behind a sound output": CarriedOut(object_altered("export", "bundle/eibert.json")),
    "an object altered that another output has as well": CarriedOut(
        both(object_altered("export", "bundle/vocab.txt"), deleted("data/export")), restores="prune export",
        quarantined=1),
    "an object altered and its output deleted": CarriedOut(
        both(object_altered("export", "bundle/eibert.json"), deleted("data/export")), "export", quarantined=1),
    "an object altered and its output too": CarriedOut(
        both(object_altered("quantize", "weights.safetensors"), overwritten("data/quantize/weights.safetensors")),
        "quantize", quarantined=1),
    "an object deleted behind a sound output": CarriedOut(
        object_deleted("export", "bundle/eibert.json"), restores="export"),
    "an object and its output deleted": CarriedOut(
        both(object_deleted("export", "bundle/model.onnx"), deleted("data/export")), "export"),
    "dvc.lock deleted": CarriedOut(deleted("dvc.lock"), "code", ALL),
    "dvc.lock reverted": CarriedOut(lock_reverted, restores="quantize"),
    "dvc.lock torn": CarriedOut(lambda w: (w.folder / "dvc.lock").write_text("stages: {"), "code", ALL, 1),
    "run cache emptied": CarriedOut(deleted(".dvc/cache/runs")),
    "run cache emptied and an output deleted": CarriedOut(
        both(deleted(".dvc/cache/runs"), deleted("data/quantize")), restores="quantize"),
    "run cache emptied and dvc.lock deleted": CarriedOut(
        both(deleted(".dvc/cache/runs"), deleted("dvc.lock"), params("evaluate.bootstrap_samples=100")), EVERYTHING),
    "an entry of the run cache altered": CarriedOut(run_entry_altered, "code quantize", " ".join(
        stage for stage in ALL.split() if stage != "quantize"), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CARRIED_OUT)
def test_run(workspace: Workspace, name: str) -> None:
    case = CARRIED_OUT[name]
    case.does(workspace)
    result = run(workspace, Selection())
    assert result.error == ""
    expected = dict.fromkeys(STAGES, "Cached")
    expected |= dict.fromkeys(case.runs.split(), "Completed") | dict.fromkeys(case.restores.split(), "Restored")
    assert result.states == expected, {name: found.reasons for name, found in result.outcomes.items()}
    aside = [path for path in (workspace.root / ".eibert" / "quarantine").glob("*") if "note" not in path.name]
    assert len(aside) == case.quarantined
    assert run(workspace, Selection()).outcomes == {}


def test_the_table_has_forty_rows() -> None:
    assert len(DECIDED.keys() | CARRIED_OUT.keys()) >= 40
