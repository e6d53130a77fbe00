"""params.yaml is parsed strictly, and all problems are reported at once."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from eibert.errors import ParamsError
from eibert.params.drift import Reaction
from eibert.params.load import Params, load, parse

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def raw() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def test_all_problems_are_named_with_their_dotted_keys(raw: dict) -> None:
    raw["prune"]["keep"] = "many"
    raw["distill"]["temprature"] = 2.0
    raw["finetune"]["epochs"] = 0
    del raw["export"]["budget_bytes"]
    with pytest.raises(ParamsError) as caught:
        parse(raw, "params.yaml")
    message = str(caught.value)
    for line in (
        "params.yaml: 4 problem(s)",
        "prune.keep: Input should be a valid integer, found 'many'",
        "distill.temprature: unknown key",
        "finetune.epochs: Input should be greater than or equal to 1, found 0",
        "export.budget_bytes: missing",
    ):
        assert line in message


@pytest.mark.parametrize(
    ("value", "kind"), [("8000", "text"), (8000.5, "fraction"), (True, "truth value"), (None, "null")]
)
def test_a_number_is_never_guessed_from_something_else(raw: dict, value: object, kind: str) -> None:
    raw["prune"]["keep"] = value
    with pytest.raises(ParamsError, match=r"prune\.keep"):
        parse(raw, "params.yaml")


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text().replace("prune:\n", "prune:\n  keep: 3000\n")
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match="duplicate key `keep`"):
        load(tmp_path / "params.yaml")


def test_off_needs_no_quotation_marks(params: Params, tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    assert text.count("  labels: warn") == 1
    (tmp_path / "params.yaml").write_text(text.replace("  labels: warn", "  labels: off"))
    assert load(tmp_path / "params.yaml").drift == params.drift.model_copy(update={"labels": Reaction.OFF})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", "not readable as YAML"),
        ("[a, b]: 1", "a list or mapping as a key on line 1"),
        ("- 1", "expected a mapping"),
        ("", "NoneType"),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=expected):
        load(tmp_path / "params.yaml")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="eibert new"):
        load(tmp_path / "params.yaml")


def test_heads_must_divide_hidden_and_texts_must_fit_positions(raw: dict) -> None:
    raw["pretrain"]["student"]["heads"] = 5
    with pytest.raises(ParamsError, match=r"pretrain\.student: .*must divide"):
        parse(raw, "params.yaml")
    raw["pretrain"]["student"]["heads"] = 4
    raw["distill"]["max_tokens"] = 500
    with pytest.raises(ParamsError, match=r"distill\.max_tokens \(500\)"):
        parse(raw, "params.yaml")


def test_graph_is_of_a_version_that_the_oldest_onnxruntime_reads(raw: dict) -> None:
    raw["export"]["ir_version"] = 10  # onnxruntime 1.17: "max supported IR version: 9"
    with pytest.raises(ParamsError, match=r"export\.ir_version: .*less than or equal to 9"):
        parse(raw, "params.yaml")


def test_loaded_parameters_cannot_be_changed(params: Params) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        params.prune.keep = 1


def test_every_parameter_is_described() -> None:
    def undescribed(model: type, path: str) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            if hasattr(field.annotation, "model_fields"):
                found += undescribed(field.annotation, f"{path}{name}.")
            elif not field.description:
                found.append(path + name)
        return found

    assert undescribed(Params, "") == []
