"""New workspaces, and how their two files stay in sync."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from eibert.errors import DataError, ParamsError, RunError
from eibert.params.drift import Reaction
from flows.graph import read_graph
from flows.new import new
from flows.status import causes
from flows.workspace import Workspace, dump_yaml, find, follow_params, repository, set_params
from tests.flows.conftest import PROJECT, command


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / ".dvc").mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(PROJECT / name, root / name)
    shutil.copytree(PROJECT / "presets", root / "presets")
    (tmp_path / "rows.csv").write_text("text,label\na,b\n")
    return root


def make(root: Path, name: str = "models/trec6", **options: object) -> Workspace:
    given = {"preset": None, "assignments": (), "data": str(root.parent / "rows.csv"), "unlabelled": ()} | options
    return new(root / name, **given)  # type: ignore[arg-type]


def graph(workspace: Workspace) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = yaml.safe_load((workspace.folder / "dvc.yaml").read_text())["stages"]
    return found


def test_sources_are_relative_to_the_workspace_and_stand_in_the_graph(root: Path) -> None:
    made = make(root, unlabelled=["sample", str(root.parent / "rows.csv")])
    params = made.params().ingest
    assert params.source == "../../../rows.csv"
    assert params.unlabelled == ("sample", "../../../rows.csv")
    assert graph(made)["ingest"]["deps"] == ["data/code/ingest.json", "../../../rows.csv"]
    assert graph(made)["code"]["deps"][0] == "../../eibert"
    assert find(made.folder) == made
    assert made.name == "models/trec6"


def test_name_of_words_after_a_tokens_prefix_is_a_name_like_any_other(root: Path) -> None:
    assert make(root, name="models/hf_banking77_intents").name == "models/hf_banking77_intents"


def test_repositorys_own_workspace_has_one_name_wherever_it_is_cloned_and_no_other_has_it(root: Path) -> None:
    clones = [find(root), find(shutil.copytree(root, root.parent / "elsewhere"))]
    assert [clone.name for clone in clones] == ["root", "root"]
    with pytest.raises(RunError, match="`root` is the repository root's own name; name another folder"):
        make(root, name="root")
    assert not (root / "root").exists()


def test_all_but_the_paths_is_the_roots(root: Path) -> None:
    made = graph(make(root, data="sample"))
    original = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    assert made.keys() == original.keys()
    assert {name: stage for name, stage in made.items() if name != "code"} == {
        name: stage for name, stage in original.items() if name != "code"
    }


def test_comments_are_kept(root: Path) -> None:
    made = make(root)
    first = (root / "params.yaml").read_text().splitlines()[0]
    assert (made.folder / "params.yaml").read_text().startswith(first)


def leaves(tree: Any, at: str = "") -> dict[str, str]:
    """Values of a nested document as text, by dotted key."""
    if not isinstance(tree, dict):
        return {at: repr(tree)}
    return {key: value for name, below in tree.items() for key, value in leaves(below, f"{at}.{name}").items()}


@pytest.mark.parametrize("preset", [path.stem for path in (PROJECT / "presets").glob("*.yaml")])
def test_each_preset_gives_valid_parameters(root: Path, preset: str) -> None:
    made = make(root, preset=preset)
    overlay = yaml.safe_load((root / "presets" / f"{preset}.yaml").read_text())
    found = yaml.safe_load((made.folder / "params.yaml").read_text())
    assert leaves(overlay).items() <= leaves(found).items()
    assert leaves(found).keys() == leaves(yaml.safe_load((root / "params.yaml").read_text())).keys()


def test_presets_of_other_shapes_train_as_default_does() -> None:
    default, other = (
        leaves(yaml.safe_load((PROJECT / "presets" / f"{name}.yaml").read_text()))
        for name in ("default", "low-latency")
    )
    shape = {name for name in other if name.startswith((".pretrain.student.", ".prune.keep"))}
    assert shape
    assert {name: value for name, value in other.items() if name not in shape} == default


def test_assignments_come_last(root: Path) -> None:
    assert make(root, preset="fast", assignments=["prune.keep=4321"]).params().prune.keep == 4321


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"data": "nowhere.csv"}, DataError, "--data nowhere.csv: no such file"),
        ({"unlabelled": ["nowhere"]}, DataError, "--unlabelled nowhere: no such file"),
        ({"preset": "slow"}, RunError, "no such preset; available: best, default, fast, low-latency"),
        ({"assignments": ["prune.kep=1"]}, ParamsError, "prune.kep: unknown key"),
        ({"name": "models/50%af"}, RunError, "models/50%af: the path contains %, which MLflow reads"),
        ({"assignments": ["prune.keep={[a]: 1}"]}, ParamsError, "the value is not valid YAML; quote it"),
        ({"name": "."}, RunError, "root is a workspace already"),
        ({"name": "params.yaml"}, RunError, "params.yaml: a file, expected a folder"),
        ({"name": "params.yaml/model"}, RunError, "params.yaml: a file, expected a folder"),
        ({"name": "models/hf_canary21ABCDEFGHIJ"}, RunError, r"^models/\*\*\*: this name contains what looks like"),
    ],
)
def test_refusal_leaves_nothing_behind(
    root: Path, options: dict[str, object], error: type[Exception], message: str
) -> None:
    before = sorted(root.rglob("*"))
    with pytest.raises(error, match=message):
        make(root, **options)  # type: ignore[arg-type]
    assert sorted(root.rglob("*")) == before


def test_list_of_ignored_files_that_is_there_stays(root: Path) -> None:
    path = root / "models" / "trec6" / ".gitignore"
    path.parent.mkdir(parents=True)
    path.write_text("mine\n")
    with pytest.raises(RunError, match=r"\.gitignore: lacks /data/, /logs/, /\.eibert/; add these lines"):
        make(root)
    assert [file.name for file in path.parent.iterdir()] == [".gitignore"]
    path.write_text(ignored := "# ours\n/data/\n/logs/\n/.eibert/\nmine\n")
    with pytest.raises(ParamsError):
        make(root, assignments=["nope=1"])
    assert [file.name for file in path.parent.iterdir()] == [".gitignore"]
    make(root)
    assert path.read_text() == ignored


def test_workspace_is_not_overwritten(root: Path) -> None:
    made = make(root)
    before = (made.folder / "params.yaml").read_bytes()
    with pytest.raises(RunError, match="not overwritten"):
        make(root, data="sample")
    assert (made.folder / "params.yaml").read_bytes() == before


def test_folder_outside_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no \.dvc here"):
        repository(tmp_path)


def test_folder_without_params_is_no_workspace(root: Path) -> None:
    with pytest.raises(RunError, match=r"params\.yaml: missing, so this is not a workspace"):
        find(root / "presets")


def test_workspace_whose_name_records_would_redact_is_not_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(root)
    assert find(made.folder) == made
    monkeypatch.setenv("SOME_TOKEN", made.name)
    with pytest.raises(RunError, match=r"^\*\*\*: this name contains what looks like a token"):
        find(made.folder)


def test_graph_follows_sources_and_a_teachers_folder(root: Path) -> None:
    made = make(root, data="sample")
    (made.folder / "teacher").mkdir()
    shutil.copy(root.parent / "rows.csv", made.folder / "rows.csv")
    set_params(made.folder, ["ingest.source=rows.csv", "teacher.model=teacher"])
    assert follow_params(made, made.params())
    assert graph(made)["ingest"]["deps"] == ["data/code/ingest.json", "rows.csv"]
    assert graph(made)["finetune"]["deps"][-1] == "teacher"
    assert graph(made)["pretrain"]["deps"][-1] == "teacher"
    assert not follow_params(made, made.params())
    set_params(made.folder, ["ingest.source=sample", "teacher.model=bundled"])
    assert follow_params(made, made.params())
    assert graph(made) == graph(make(root, name="other/model", data="sample"))


def test_local_teacher_of_the_root_is_the_new_workspaces(root: Path) -> None:
    (root / "teacher").mkdir()
    set_params(root, ["teacher.model=teacher"])
    made = make(root)
    assert made.params().teacher.model == "../../teacher"
    assert graph(made)["finetune"]["deps"][-1] == "../../teacher"


def test_teacher_that_is_not_there_is_refused(root: Path) -> None:
    made = make(root)
    set_params(made.folder, ["teacher.model=gone"])
    with pytest.raises(ParamsError, match=r"teacher\.model: gone: no such folder"):
        follow_params(made, made.params())


def test_small_number_is_read_back_as_a_number(root: Path) -> None:
    assert make(root, assignments=["finetune.learning_rate=1e-5"]).params().finetune.learning_rate == 1e-5


@pytest.mark.parametrize("text", ["off", "no", "yes", "1_000", "1e5", "null", "2026-01-01", "a: b", "'", "é\n", ""])
def test_text_is_read_back_as_text(text: str) -> None:
    assert yaml.safe_load(dump_yaml({"key": text})) == {"key": text}


@pytest.mark.parametrize("reaction", Reaction)
def test_every_reaction_can_be_assigned(root: Path, reaction: Reaction) -> None:
    assert make(root, assignments=[f"drift.labels={reaction}"]).params().drift.labels is reaction


def test_small_number_of_a_preset_is_read_back_as_a_number(root: Path) -> None:
    (root / "presets" / "small.yaml").write_text("finetune:\n  learning_rate: 1.0e-05\n")
    made = make(root, preset="small")
    assert made.params().finetune.learning_rate == 1e-5
    assert YAML(typ="safe", pure=True).load(made.folder / "params.yaml")["finetune"]["learning_rate"] == 1e-5


@pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")
def test_path_with_spaces_is_a_workspace_like_any_other(unbuilt: Workspace) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(PROJECT / name, unbuilt.root / name)
    made = make(unbuilt.root, name="my models/first one", data="sample")
    found = causes(made, read_graph(made))
    assert [cause.text for cause in found["prune"]] == ["never run"]


def test_source_that_went_missing_is_named(root: Path) -> None:
    made = make(root)
    (root.parent / "rows.csv").unlink()
    with pytest.raises(DataError, match=r"\.\./\.\./\.\./rows\.csv: not found"):
        follow_params(made, made.params())


def test_command_names_the_workspace_as_json(root: Path) -> None:
    done = command("new", "models/m", "--data", "sample", "--json", folder=root)
    assert json.loads(done.stdout) == {"workspace": str(root / "models" / "m"), "name": "models/m"}
