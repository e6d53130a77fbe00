"""Predictions on the command line."""

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from eibert.errors import BundleError, DataError
from eibert.runtime.model import Prediction
from flows import predict


class FakeModel:
    def __init__(self, *, pair: bool, regression: bool = False) -> None:
        self.bundle = SimpleNamespace(pair=pair)
        self.regression = regression

    def predict(self, texts: list[object], top_k: int) -> list[Prediction]:
        if self.regression:
            return [Prediction(None, 2.5, (), 2.5) for _ in texts]
        return [Prediction("b", 0.75, (("b", 0.75), ("a", 0.25))[:top_k]) for _ in texts]


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    options = getattr(request, "param", {"pair": False})
    monkeypatch.setattr(predict.Model, "load", lambda _: FakeModel(**options))
    return tmp_path


def test_lines_of_a_stream_are_answered_in_order(bundle: Path) -> None:
    found = predict.predictions(bundle, io.StringIO("one\ntwo\r\n"), 2)
    assert [answer["text"] for answer in found] == ["one", "two"]
    assert found[0]["scores"] == [{"label": "b", "score": 0.75}, {"label": "a", "score": 0.25}]
    assert predict.lines(found)[0] == "b\t0.7500\ta\t0.2500\tone"


@pytest.mark.parametrize("bundle", [{"pair": True, "regression": True}], indirect=True)
def test_pairs_stand_apart_by_a_tab_and_numbers_are_values(bundle: Path) -> None:
    found = predict.predictions(bundle, ["one\ttwo"], 1)
    assert found == [{"text": "one\ttwo", "value": 2.5}]
    assert predict.lines(found) == ["2.5\tone\ttwo"]
    with pytest.raises(DataError, match="text 2: found one text"):
        predict.predictions(bundle, ["one\ttwo", "three"], 1)


def test_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle there; run `eibert run`"):
        predict.predictions(tmp_path / "none", ["x"], 1)


def test_command_without_texts_reads_standard_input(bundle: Path) -> None:
    from flows.cli import app

    done = CliRunner().invoke(app, ["predict", "--bundle", str(bundle)], input="one\ntwo\n")
    assert done.stdout == "b\t0.7500\tone\nb\t0.7500\ttwo\n"


def test_nothing_of_the_pipeline_is_imported() -> None:
    heavy = {"torch", "transformers", "pydantic", "dvc", "mlflow", "prefect", "pandas", "pyarrow"}
    script = f"import sys, flows.cli, flows.predict; sys.exit(repr({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"
